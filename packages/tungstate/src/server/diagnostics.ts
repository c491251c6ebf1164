import type { Message, WebSocketError } from "@tungstate/protocol";
import type { CloseInfo, WebSocketConnection } from "../connection/types.ts";
import type { HandshakeRequest } from "./admission/request.ts";

/** The channels of node:diagnostics_channel, with what is published on each. */
export interface DiagnosticsChannels {
  /** A connection is open. `request`: of a server's connection. */
  readonly "tungstate:connection:open": {
    readonly connection: WebSocketConnection;
    readonly role: "client" | "server";
    readonly request: HandshakeRequest | undefined;
  };
  /** A connection has ended. Published before its `close` event. */
  readonly "tungstate:connection:close": { readonly connection: WebSocketConnection; readonly info: CloseInfo };
  /** A connection is about to end with this error. Published before its `error` event. */
  readonly "tungstate:connection:error": { readonly connection: WebSocketConnection; readonly error: WebSocketError };
  /** A message was received. Published before a listener or an iteration gets it. */
  readonly "tungstate:connection:message": { readonly connection: WebSocketConnection; readonly message: Message };
}
