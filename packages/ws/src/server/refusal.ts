import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";

type Headers = Record<string, unknown>;

/** Rejects a handshake with a status, and ends the connection. */
export function refuse(socket: Duplex, status: number, message?: string, headers?: Headers): void {
  const body = message || (STATUS_CODES[status] ?? "");
  const fields: Headers = {
    Connection: "close",
    "Content-Type": "text/html",
    "Content-Length": Buffer.byteLength(body),
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${String(value)}\r\n`);
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}

/** Rejects an invalid handshake, unless there is a listener for `wsClientError`. */
export function refuseClient(
  server: EventEmitter,
  request: IncomingMessage,
  socket: Duplex,
  status: number,
  message: string,
  headers?: Headers,
): void {
  if (server.listenerCount("wsClientError") === 0) refuse(socket, status, message, headers);
  else {
    const error = new Error(message);
    Error.captureStackTrace(error, refuseClient);
    server.emit("wsClientError", error, socket, request);
  }
}
