import { CONNECT_OPTIONS, checkConnectOptions, type ConnectOptions } from "../client/connect.ts";
import { checkNames, type OptionNames } from "../options/names.ts";
import { pageOrigin } from "./url.ts";

/**
 * Options of the connection of a WebSocket or a WebSocketStream: those of `connect`. Compression is
 * on by default.
 */
export interface WebConnectOptions extends Omit<ConnectOptions, "protocols"> {}

const { protocols: _protocols, ...names } = CONNECT_OPTIONS;
const WEB_CONNECT_OPTIONS: OptionNames<WebConnectOptions> = names;

/**
 * Checks the last argument of a constructor. Throws INVALID_ARGUMENT. Ignores a value that is not
 * an object, as the standard ignores additional arguments.
 */
export function connectOptionsOf(given: unknown): WebConnectOptions {
  const options: WebConnectOptions = typeof given === "object" && given !== null ? given : {};
  checkNames(options, WEB_CONNECT_OPTIONS);
  checkConnectOptions(options);
  const origin = options.origin ?? pageOrigin();
  return { ...options, ...(origin === undefined ? {} : { origin }), compression: options.compression ?? true };
}
