import { chooseProtocol } from "@tungstate/protocol";
import { invalid } from "../options/check.ts";
import { checkNames, type OptionNames } from "../options/names.ts";
import { mayConnect, type OriginPolicy } from "../server/admission/origin.ts";
import { workersError } from "./errors.ts";
import type { ServerSocket, SocketPair } from "./socket.ts";

/** Options of `upgrade`. */
export interface UpgradeOptions {
  /** Subprotocols of the server, most wanted first. Default: none. */
  readonly protocols?: readonly string[];
  /** Web pages that may connect. Default: "same", those of the host of the request. */
  readonly origin?: Exclude<OriginPolicy, (...args: never) => unknown>;
  /** Additional header fields of the 101 response. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The result of `upgrade`. */
export interface Upgrade {
  /** The response to the request: 101, or the refusal. */
  readonly response: Response;
  /** The server socket, for `accept` or a `Hibernation`; undefined if the request was refused. */
  readonly socket: ServerSocket | undefined;
}

const UPGRADE_OPTIONS: OptionNames<UpgradeOptions> = { protocols: true, origin: true, headers: true };

/**
 * Answers a WebSocket handshake: makes a `WebSocketPair` and returns the response with the server
 * socket. Refuses requests that are no handshake with 426, and pages of other origins with 403.
 * Throws INVALID_ARGUMENT, and NOT_SUPPORTED if the runtime has no `WebSocketPair`.
 */
export function upgrade(request: Request, options: UpgradeOptions = {}): Upgrade {
  checkOptions(options);
  const { WebSocketPair } = globalThis as { readonly WebSocketPair?: SocketPair };
  if (WebSocketPair === undefined)
    throw workersError("NOT_SUPPORTED", "WebSocketPair: use the package tungstate in this runtime");
  const { protocols = [], origin = "same", headers = {} } = options;
  const { headers: fields } = request;
  if (request.method !== "GET" || fields.get("upgrade")?.toLowerCase() !== "websocket") {
    return refused(426, "this is a WebSocket\n", { upgrade: "websocket", connection: "Upgrade" });
  }
  const url = new URL(request.url);
  const from = { origin: fields.get("origin") ?? undefined, host: fields.get("host") ?? url.host };
  if (mayConnect(origin, from, url.protocol === "https:") !== true) {
    return refused(403, "pages of this origin may not connect\n", {});
  }
  const offered = (fields.get("sec-websocket-protocol") ?? "").split(",").map((each) => each.trim());
  const protocol = chooseProtocol(offered, protocols);
  const { 0: client, 1: socket } = new WebSocketPair();
  const response = new Response(null, {
    status: 101,
    headers: { ...headers, ...(protocol === undefined ? {} : { "sec-websocket-protocol": protocol }) },
    webSocket: client,
  } as ResponseInit);
  return { response, socket };
}

function refused(status: number, body: string, headers: Record<string, string>): Upgrade {
  return { response: new Response(body, { status, headers }), socket: undefined };
}

function checkOptions(options: UpgradeOptions): void {
  checkNames(options, UPGRADE_OPTIONS);
  const { protocols, origin } = options;
  if (protocols !== undefined && !isStrings(protocols)) {
    invalid("protocols", "an array of strings", protocols);
  }
  if (origin !== undefined && origin !== "same" && origin !== "any" && !isStrings(origin)) {
    invalid("origin", 'one of "same" and "any", or an array of origins', origin);
  }
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
