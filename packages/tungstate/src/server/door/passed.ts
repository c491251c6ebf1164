import type { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { platform } from "../../native/platform.ts";

/** Connections that were passed to an HTTP server. They are not intercepted again. */
const passed = new WeakSet<object>();

/** Whether a connection was passed to an HTTP server. */
export function wasPassed(stream: object): boolean {
  return passed.has(stream);
}

/** Marks a connection as passed to an HTTP server. */
export function markPassed(stream: object): void {
  passed.add(stream);
}

/** Returns the event on which an HTTP server starts to read a connection. */
export function connectionEvent(server: HttpServer | HttpsServer): "connection" | "secureConnection" {
  return server instanceof HttpsServer ? "secureConnection" : "connection";
}

/** Passes a paused stream to an HTTP server, with the bytes that were read from it. */
export function giveStream(server: HttpServer | HttpsServer, stream: Duplex, bytes: Uint8Array): void {
  markPassed(stream);
  // Bun's node:https reads what it is given on `connection`, decrypted as it is
  server.emit(platform.name === "Bun" ? "connection" : connectionEvent(server), stream);
  if (bytes.length > 0) stream.unshift(bytes);
  stream.resume();
}
