import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import { isNode } from "./platform.ts";

/**
 * A stream handle of Node.js, the layer below `net.Socket`. Handles are private APIs. `loadSystem`
 * checks them once. If a member is missing, there is no `System`, and connections use the public
 * API of sockets, which is slower.
 */
export interface StreamHandle {
  /**
   * Called after a read; `this` is the handle. `System.readResult()` returns the number of bytes,
   * or a negative errno.
   */
  onread: (this: StreamHandle) => void;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  /**
   * Returns 0 or a negative errno. The write is complete if `System.lastWriteWasAsync()` is false.
   */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  writev(request: WriteRequest, chunks: readonly Uint8Array[], allBuffers: true): number;
  shutdown(request: ShutdownRequest): number;
  close(callback?: () => void): void;
  /** Written bytes that the system has not accepted. */
  readonly writeQueueSize: number;
  setNoDelay?(on: boolean): number;
  /** Times in seconds. Node.js before 25 ignores `interval` and `count`; libuv uses 1 and 10. */
  setKeepAlive?(on: boolean, idle: number, interval: number, count: number): number;
  getsockname?(out: Partial<AddressOut>): number;
  getpeername?(out: Partial<AddressOut>): number;
  ref(): void;
  unref(): void;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Whether a socket reads from the handle. */
  reading?: boolean;
  /** The buffer that `readInto` has set. */
  readsInto?: Uint8Array | undefined;
  /** For the owner of the handle. */
  transport?: unknown;
}

interface AddressOut {
  address: string;
  family: string;
  port: number;
}

export interface WriteRequest {
  handle: StreamHandle | undefined;
  oncomplete: ((this: WriteRequest, status: number) => void) | undefined;
  /** -1 while the request is not in use. */
  getAsyncId(): number;
  /** The bytes of the write, which must not be garbage-collected before it is complete. */
  bytes: unknown;
  /** OpenSSL's description of an error of a TLS handle. */
  readonly error?: string;
}

export interface ShutdownRequest {
  handle: StreamHandle | undefined;
  oncomplete: (this: ShutdownRequest, status: number) => void;
}

export interface System {
  newWriteRequest(): WriteRequest;
  newShutdownRequest(): ShutdownRequest;
  readResult(): number;
  lastWriteWasAsync(): boolean;
}

interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

function load(): System | undefined {
  // Bun and Deno have parts of `process.binding`, but not `stream_wrap`
  if (!isNode) return undefined;
  try {
    const { binding } = process as unknown as { binding?: (name: string) => Partial<StreamWrap> };
    const found = binding?.call(process, "stream_wrap");
    const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = found ?? {};
    if (typeof WriteWrap !== "function" || typeof ShutdownWrap !== "function") return undefined;
    if (streamBaseState?.[kReadBytesOrError ?? -1] === undefined) return undefined;
    if (streamBaseState[kLastWriteWasAsync ?? -1] === undefined) return undefined;
    const readAt = Number(kReadBytesOrError);
    const asyncAt = Number(kLastWriteWasAsync);
    return {
      newWriteRequest: () => new WriteWrap(),
      newShutdownRequest: () => new ShutdownWrap(),
      readResult: () => streamBaseState[readAt],
      lastWriteWasAsync: () => streamBaseState[asyncAt] !== 0,
    };
  } catch {
    return undefined; // process.binding does not exist, or is not permitted
  }
}

let loaded: { readonly system: System | undefined } | undefined;

/** Returns the functions that all handles need; undefined if they are unavailable. */
export function loadSystem(): System | undefined {
  loaded ??= { system: load() };
  return loaded.system;
}

const METHODS = ["readStart", "readStop", "useUserBuffer", "writeBuffer", "writev", "shutdown", "close"] as const;

export function isStreamHandle(value: unknown): value is StreamHandle {
  return (
    typeof value === "object" &&
    value !== null &&
    METHODS.every((name) => typeof Reflect.get(value, name) === "function") &&
    typeof Reflect.get(value, "writeQueueSize") === "number"
  );
}

/**
 * Takes the handle out of a plain, connected socket. The socket still has its addresses, and still
 * counts as a connection of its server. Returns undefined, and changes nothing, for any other
 * socket: TLS, connecting, ended, with pending writes, with an encoding, or without such a handle.
 */
export function takeHandle(
  socket: Socket,
  remembersAddresses = true,
):
  | { readonly handle: StreamHandle; readonly early: readonly Uint8Array[]; readonly read: StreamHandle["onread"] }
  | undefined {
  if (loadSystem() === undefined || Object.getPrototypeOf(socket) !== Socket.prototype) return undefined;
  if (socket.connecting || socket.destroyed || !socket.readable || !socket.writable || socket.writableLength > 0)
    return undefined;
  if (socket.readableEncoding !== null) return undefined;
  const handle: unknown = Reflect.get(socket, "_handle");
  if (!isStreamHandle(handle) || handle.readStop() !== 0) return undefined;
  // the socket caches its addresses when they are read
  if (remembersAddresses) void [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort];
  socket.setTimeout(0);
  socket.pause();
  const early: Uint8Array[] = [];
  for (let chunk: unknown; (chunk = socket.read()) instanceof Uint8Array;) early.push(chunk);
  const read = handle.onread;
  handle.readStop(); // `read()` has started a socket with its own read buffer (`socketOn`) again
  Reflect.set(socket, "_handle", null);
  return { handle, early, read };
}

/** Has a handle read into a buffer from now on. Its `onread` then gets no memory. */
export function readInto(handle: StreamHandle, buffer: Uint8Array): void {
  if (handle.readsInto === buffer) return;
  handle.useUserBuffer(buffer);
  handle.readsInto = buffer;
}

/**
 * Has `read`, the `onread` of a socket, called with a copy of what the handle has read into
 * `buffer`: sockets expect memory that Node.js has allocated.
 */
export function copyReads(handle: StreamHandle, read: StreamHandle["onread"], buffer: Uint8Array): void {
  handle.onread = function (this: StreamHandle, memory?: ArrayBuffer) {
    const size = loadSystem()?.readResult() ?? 0;
    // the function of Node.js creates a Buffer on this memory; it gets none for errors and the end
    const copy = memory === undefined && size > 0 ? new Uint8Array(buffer.subarray(0, size)).buffer : memory;
    Reflect.apply(read, this, copy === undefined ? [] : [copy]);
  };
}

/**
 * Returns a handle to the socket that `takeHandle` took it from. The socket then works as before.
 * `read`: the original `onread` of the handle. The handle still reads into `buffer`; the socket
 * gets copies.
 */
export function giveHandleBack(socket: Socket, handle: StreamHandle, read: StreamHandle["onread"], buffer: Uint8Array) {
  handle.transport = undefined;
  copyReads(handle, read, buffer);
  Reflect.set(socket, "_handle", handle);
  // the socket believes that a read is in progress, and does not start one itself
  handle.reading = true;
  handle.readStart();
}

interface HandleOptions {
  readonly handle: StreamHandle;
  readonly pauseOnCreate: boolean;
  readonly onread: OnReadOpts;
}

/**
 * Creates a paused socket for a handle that reads into `buffer`. As with sockets of an HTTP server,
 * its two halves end separately.
 */
export function socketOn(handle: StreamHandle, buffer: Uint8Array): Socket {
  const options: SocketConstructorOpts & HandleOptions = {
    handle,
    allowHalfOpen: true,
    pauseOnCreate: true,
    // the next read overwrites the buffer
    onread: { buffer, callback: (size, bytes) => socket.push(Buffer.from(bytes.subarray(0, size))) },
  };
  const socket: Socket = new Socket(options);
  return socket;
}
