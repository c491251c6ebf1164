import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { isStreamHandle, loadSystem, type StreamHandle, type System } from "./system.ts";

/** A TLS handle and what its socket had decrypted before. */
export interface TakenTls {
  readonly handle: StreamHandle;
  /** The handle below, of the socket or pipe. */
  readonly parent: StreamHandle;
  readonly early: readonly Uint8Array[];
  /** What the socket does when its handle has read. */
  readonly read: StreamHandle["onread"];
}

/**
 * Takes over reading and writing of a TLS socket after its handshake. Everything else stays with
 * the socket: errors of OpenSSL, sessions, the certificate, and closing. The socket must be kept as
 * long as the handle is used, and the handle must not be used once the socket is destroyed.
 *
 * Returns undefined, and changes nothing, for any other socket: one whose handshake is not done,
 * that is ended, that has pending writes, that decodes what it reads, of another class, or that
 * runs over a stream in JavaScript.
 */
export function takeTlsHandle(socket: Socket): TakenTls | undefined {
  if (loadSystem() === undefined || !(socket instanceof TLSSocket)) return undefined;
  if (Object.getPrototypeOf(socket) !== TLSSocket.prototype) return undefined;
  // a public property that Node's types lack
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
  // The socket reads when it is asked for data: it must not stop what reads now.
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
    // Node's function makes a Buffer of the memory that it is given; errors and the end come without
    Reflect.apply(read, this, size > 0 ? [new Uint8Array(buffer.subarray(0, size)).buffer] : []);
  };
  // taking the handle asked the socket for data: for the socket, this read is still in progress
  handle.readStart();
}

/**
 * Whether a handle is one of the system. A TLS socket over a stream in JavaScript has a handle that
 * calls back while it is written to.
 */
function isNativeStream(handle: unknown): handle is StreamHandle {
  return isStreamHandle(handle) && typeof Reflect.get(handle, "emitEOF") !== "function";
}

// A second write while one is in progress would end the process: `CHECK(!current_write_)` in Node.js.
// Code that still holds the socket gets the error that a plain socket without its handle reports.

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
