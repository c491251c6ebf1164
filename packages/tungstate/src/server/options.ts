import type { WebSocketError } from "@tungstate/protocol";
import type { TlsOptions } from "node:tls";
import { CONNECTION_OPTIONS, type ConnectionOptions } from "../connection/options.ts";
import type { MemoryUse } from "../connection/memory-use.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import type { OptionNames } from "../options/names.ts";
import { ADMISSION_OPTIONS, type AdmissionOptions } from "./admission/admission.ts";
import type { HandshakeRequest } from "./admission/request.ts";
import type { RoomOptions } from "./admission/room.ts";
import type { HttpApp } from "./http/app.ts";
import type { Http2Options } from "./http2/backend.ts";

/** Options of a server: those of each connection, of admission, and limits on all of them. */
export interface WebSocketServerOptions extends ConnectionOptions, AdmissionOptions, RoomOptions {}

export const SERVER_OPTIONS: OptionNames<WebSocketServerOptions> = {
  ...CONNECTION_OPTIONS,
  ...ADMISSION_OPTIONS,
  maxConnections: true,
  maxHandshakes: true,
  maxConnectionsPerAddress: true,
};

/** Options of `listen`, beside those of node:net's `listen`. */
export interface ServerListenOptions {
  /** TLS options of node:tls. Default: no TLS. */
  readonly tls?: TlsOptions;
  /**
   * Handles all requests that are not WebSocket handshakes, and those for another `path`: a request
   * listener, a server of node:http, or an application of Express, Fastify, Koa or Hono.
   * `handshakeTimeout`, `handshakeLimits`, `maxHandshakes` and `maxConnectionsPerAddress` apply to
   * the head of the first request of each connection. Default: such requests get 426.
   */
  readonly http?: HttpApp;
  /**
   * HTTP/2 beside HTTP/1.1, chosen by ALPN; needs `tls`. Clients open many WebSockets in one
   * connection (RFC 8441). Default false.
   */
  readonly http2?: boolean | Http2Options;
}

/** The current load of a server. */
export interface ServerStats {
  /** Connections that are open or closing. */
  readonly connections: number;
  /** Handshakes under way. */
  readonly handshakes: number;
  /** Addresses with connections or handshakes; 0 if they are not counted. */
  readonly addresses: number;
  /** State of the memory budget, which other servers may share. */
  readonly memory: MemoryUse;
}

/** Events of a server, with the arguments of their listeners. */
export interface ServerEvents {
  /** A handshake succeeded. The connection starts paused: messages wait until you read. */
  connection: [connection: WebSocketConnection, request: HandshakeRequest];
  /** A handshake failed or was refused. */
  refused: [error: WebSocketError];
  /**
   * A hook or handler of the application threw, or a port could not accept a connection, for
   * example without file descriptors.
   */
  error: [error: unknown];
}
