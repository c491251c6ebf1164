import { argumentError } from "@tungstate/protocol/internal";
import { openWorkerConnection } from "./connection.ts";
import { type WorkerConnectionOptions, workerSettings } from "./options.ts";
import { listenTo, type ServerSocket } from "./socket.ts";
import type { WorkerConnection } from "./types.ts";

/**
 * Accepts the server socket of a `WebSocketPair` and returns its connection. The socket must not
 * have been accepted. Throws INVALID_ARGUMENT.
 */
export function accept(socket: ServerSocket, options: WorkerConnectionOptions = {}): WorkerConnection {
  const settings = workerSettings(options);
  checkSocket(socket);
  readBuffers(socket);
  const { connection, events } = openWorkerConnection(socket, settings);
  listenTo(socket, events);
  socket.accept();
  return connection;
}

export function checkSocket(socket: unknown): asserts socket is ServerSocket {
  if (typeof socket === "object" && socket !== null && "accept" in socket && typeof socket.accept === "function")
    return;
  throw argumentError(TypeError, "the socket must be the server socket of a WebSocketPair");
}

/** Messages of bytes come as ArrayBuffers, also where the runtime's default is Blob. */
export function readBuffers(socket: ServerSocket): void {
  if (socket.binaryType !== undefined) socket.binaryType = "arraybuffer";
}
