import type { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";

/** The connections whose first request has been read: an HTTP server has them, and no door takes them again. */
const passed = new WeakSet<object>();

/** Whether the first request of a connection has been read. */
export function wasPassed(stream: object): boolean {
  return passed.has(stream);
}

/** Marks a connection as one that an HTTP server has. */
export function markPassed(stream: object): void {
  passed.add(stream);
}

/** The event by which an HTTP server takes a connection. */
export function connectionEvent(server: HttpServer | HttpsServer): "connection" | "secureConnection" {
  return server instanceof HttpsServer ? "secureConnection" : "connection";
}

/** Gives a paused stream to an HTTP server, with bytes that were read from it. */
export function giveStream(server: HttpServer | HttpsServer, stream: Duplex, bytes: Uint8Array): void {
  markPassed(stream);
  server.emit(connectionEvent(server), stream);
  if (bytes.length > 0) stream.unshift(bytes);
  stream.resume();
}
