import type { Duplex } from "node:stream";
import { platform } from "../../native/platform.ts";
import { connectionEvent, type WebServer } from "../http/web-server.ts";

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

/** Passes a paused stream to an HTTP server, with the bytes that were read from it. */
export function giveStream(server: WebServer, stream: Duplex, bytes: Uint8Array): void {
  markPassed(stream);
  // Bun's node:https reads what it is given on `connection`, decrypted as it is
  server.emit(platform.name === "Bun" ? "connection" : connectionEvent(server), stream);
  if (bytes.length > 0) stream.unshift(bytes);
  stream.resume();
}
