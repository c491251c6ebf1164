import type { IncomingMessage, Server } from "node:http";
import { DEFAULTS } from "../constants.ts";
import type { PerMessageDeflateOptions } from "../deflate/permessage-deflate.ts";
import { checkPolicies, type Policies } from "../endpoint/policies.ts";
import { WebSocket } from "../websocket.ts";

/** Argument of `verifyClient`. */
export interface ClientInfo {
  readonly origin: string | undefined;
  readonly secure: boolean;
  readonly req: IncomingMessage;
}

type Decide = (admitted: boolean, code?: number, message?: string, headers?: Record<string, unknown>) => void;

/** The options of a running server. A program may change them. */
export interface ServerOptions {
  allowSynchronousEvents: boolean;
  autoPong: boolean;
  backlog: number | null;
  clientTracking: boolean;
  closeTimeout: number;
  handleProtocols: ((protocols: Set<string>, request: IncomingMessage) => string | false | undefined) | null;
  host: string | null;
  maxBufferedChunks: number;
  maxFragments: number;
  maxPayload: number;
  maxPendingAutoPongs: number;
  noServer: boolean;
  path: string | null;
  perMessageDeflate: boolean | PerMessageDeflateOptions;
  port: number | null;
  server: Server | null;
  skipUTF8Validation: boolean;
  /** Policies of the core, which are off by default. */
  tungstate?: Policies | undefined;
  verifyClient: ((info: ClientInfo, decide?: Decide) => unknown) | null;
  WebSocket: typeof WebSocket;
}

/**
 * Returns the options with their defaults. Throws a TypeError unless exactly one of `port`,
 * `server` and `noServer` is given.
 */
export function resolveOptions(given: Partial<ServerOptions> | undefined): ServerOptions {
  const options: ServerOptions = {
    ...DEFAULTS,
    perMessageDeflate: false,
    handleProtocols: null,
    clientTracking: true,
    verifyClient: null,
    noServer: false,
    backlog: null,
    server: null,
    host: null,
    path: null,
    port: null,
    WebSocket,
    ...given,
  };
  const modes = [options.port !== null && options.port !== undefined, options.server, options.noServer];
  if (modes.filter(Boolean).length !== 1) {
    throw new TypeError('One and only one of the "port", "server", or "noServer" options must be specified');
  }
  checkPolicies(options.tungstate);
  if (options.perMessageDeflate === true) options.perMessageDeflate = {};
  return options;
}
