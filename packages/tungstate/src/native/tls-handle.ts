import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { isStreamHandle, loadSystem, type StreamHandle, type System } from "./system.ts";

/** The handle of a TLS socket. */
export interface TakenTls {
  readonly handle: StreamHandle;
  /** The handle of the TCP or Unix socket below. */
  readonly parent: StreamHandle;
  /** Chunks that the socket had decrypted before. */
  readonly early: readonly Uint8Array[];
  /** The original `onread` of the handle. */
  readonly read: StreamHandle["onread"];
}

/**
 * Takes over reading and writing of a TLS socket after its handshake. The socket still handles
 * errors of OpenSSL, sessions, the certificate, and closing. Keep a reference to the socket while
 * the handle is used. Do not use the handle after the socket is destroyed.
 *
 * Returns undefined, and changes nothing, for any other socket: one whose handshake is not done,
 * that is ended, that has pending writes, that has an encoding, of another class, or that runs over
 * a stream in JavaScript.
 */
export function takeTlsHandle(socket: Socket): TakenTls | undefined {
  if (loadSystem() === undefined || !(socket instanceof TLSSocket)) return undefined;
  if (Object.getPrototypeOf(socket) !== TLSSocket.prototype) return undefined;
  // a public property that the types of Node.js lack
  if (Reflect.get(socket, "secureConnecting") !== false || socket.destroyed) return undefined;
  if (!socket.readable || !socket.writable || socket.writableLength > 0 || socket.readableEncoding !== null)
    return undefined;
  const handle: unknown = Reflect.get(socket, "_handle");
  if (!isStreamHandle(handle)) return undefined;
  const parent: unknown = Reflect.get(handle, "_parent");
  if (!isNativeStream(parent)) return undefined;
  if (handle.readStop() !== 0) return undefined;
  socket.setTimeout(0);
  socket.pause();
  // tells the socket that a read is in progress, so that `read()` starts none
  handle.reading = true;
  const early: Uint8Array[] = [];
  for (let chunk: unknown; (chunk = socket.read()) instanceof Uint8Array;) early.push(chunk);
  handle.readStop();
  Object.assign(socket, { _write: refuseWrite, _writev: refuseWritev, _final: refuseEnd });
  return { handle, parent, early, read: handle.onread };
}

/**
 * Returns reading and writing to the socket that the handle was taken from. `buffer` is what the
 * handle reads into.
 */
export function returnTlsHandle(socket: Socket, { handle, read }: TakenTls, system: System, buffer: Uint8Array): void {
  for (const name of ["_write", "_writev", "_final"]) Reflect.deleteProperty(socket, name);
  handle.transport = undefined;
  handle.onread = function (this: StreamHandle) {
    const size = system.readResult();
    // the function of Node.js creates a Buffer on this memory; it gets none for errors and the end
    Reflect.apply(read, this, size > 0 ? [new Uint8Array(buffer.subarray(0, size)).buffer] : []);
  };
  // for the socket, the read that `takeTlsHandle` has requested is still in progress
  handle.readStart();
}

/**
 * Whether a handle is one of the system. A TLS socket over a stream in JavaScript has a handle that
 * calls back while it is written to.
 */
function isNativeStream(handle: unknown): handle is StreamHandle {
  return isStreamHandle(handle) && typeof Reflect.get(handle, "emitEOF") !== "function";
}

// A second write while one is in progress would end the process: `CHECK(!current_write_)` in
// Node.js. Other code that writes to the socket gets the error of a plain socket without a handle.

type Done = (error?: Error | null) => void;

function refuseWrite(_chunk: unknown, _encoding: unknown, done: Done): void {
  done(closedError());
}

function refuseWritev(_chunks: unknown, done: Done): void {
  done(closedError());
}

function refuseEnd(done: Done): void {
  done();
}

function closedError(): Error {
  return Object.assign(new Error("Socket is closed"), { code: "ERR_SOCKET_CLOSED" });
}
