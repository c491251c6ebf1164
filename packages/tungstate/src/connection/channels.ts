import type { Message, WebSocketError } from "@tungstate/protocol";
import { channel } from "node:diagnostics_channel";
import type { CloseInfo, WebSocketConnection } from "./types.ts";

// Without subscribers, a channel costs one check. An object is made for subscribers only.
const opens = channel("tungstate:connection:open");
const closes = channel("tungstate:connection:close");
const errors = channel("tungstate:connection:error");
const messages = channel("tungstate:connection:message");

/**
 * Publishes an open connection. `request`: the request that a server has accepted. To be called
 * when the connection is complete: a subscriber may close it.
 */
export function publishOpen(connection: WebSocketConnection, role: "client" | "server", request?: object): void {
  if (opens.hasSubscribers) opens.publish({ connection, role, request });
}

export function publishClose(connection: WebSocketConnection, info: CloseInfo): void {
  if (closes.hasSubscribers) closes.publish({ connection, info });
}

export function publishError(connection: WebSocketConnection, error: WebSocketError): void {
  if (errors.hasSubscribers) errors.publish({ connection, error });
}

export function publishMessage(connection: WebSocketConnection, message: Message): void {
  if (messages.hasSubscribers) messages.publish({ connection, message });
}
