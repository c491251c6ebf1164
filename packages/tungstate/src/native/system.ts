import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import { isNode } from "./platform.ts";

/**
 * Node's stream handles, the layer below `net.Socket`. They are not public: everything taken from there is checked here, once, and
 * where anything is missing there is no `System`, and connections use sockets by their public interface, which is slower.
 */
export interface StreamHandle {
  /** Called with `this` the handle; how many bytes came, or a negative errno, is in `System.readResult()`. */
  onread: (this: StreamHandle) => void;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  /** 0 or a negative errno. Whether it is done already is in `System.lastWriteWasAsync()`. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  writev(request: WriteRequest, chunks: readonly Uint8Array[], allBuffers: true): number;
  shutdown(request: ShutdownRequest): number;
  close(callback?: () => void): void;
  /** Bytes of writes that the system has not taken. */
  readonly writeQueueSize: number;
  setNoDelay?(on: boolean): number;
  /** Times in seconds. Node.js before 25 ignores `interval` and `count`, and has libuv's: 1 and 10. */
  setKeepAlive?(on: boolean, idle: number, interval: number, count: number): number;
  getsockname?(out: Partial<AddressOut>): number;
  getpeername?(out: Partial<AddressOut>): number;
  ref(): void;
  unref(): void;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Whether a socket reads from it. */
  reading?: boolean;
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
  oncomplete: (this: WriteRequest, status: number) => void;
  /** -1 while the request is not in use. */
  getAsyncId(): number;
  /** Kept until the write is done: the bytes must not be collected. */
  bytes: unknown;
  /** What OpenSSL says about an error of a TLS handle. */
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
  // Bun and Deno imitate parts of `process.binding`, without what is needed here
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
    return undefined; // process.binding is gone, or not permitted
  }
}

let loaded: { readonly system: System | undefined } | undefined;

/** Returns what all handles need; undefined where it is not available. Nothing private is used before the first call. */
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
 * Takes the handle out of a plain, connected socket. The socket remains as a husk that knows its addresses and, where a server counts it,
 * is counted. Undefined, and nothing changed, for a socket that is anything else: TLS, connecting, ended, with
 * bytes that wait to be written, one that decodes what it reads, or without such a handle.
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
  // each is remembered by the socket
  if (remembersAddresses) void [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort];
  socket.setTimeout(0);
  socket.pause();
  const early: Uint8Array[] = [];
  for (let chunk: unknown; (chunk = socket.read()) instanceof Uint8Array;) early.push(chunk);
  const read = handle.onread;
  handle.readStop(); // a socket with a read buffer of its own (`socketOn`) goes on reading when it is read from
  Reflect.set(socket, "_handle", null);
  return { handle, early, read };
}

/**
 * Gives a handle back to the socket that `takeHandle` took it from: the socket is as it was before. `read` is what the socket
 * has called its handle's `onread`; the handle goes on reading into `buffer`, of which the socket gets copies.
 */
export function giveHandleBack(socket: Socket, handle: StreamHandle, read: StreamHandle["onread"], buffer: Uint8Array) {
  handle.transport = undefined;
  handle.onread = function (this: StreamHandle) {
    const size = loadSystem()?.readResult() ?? 0;
    // Node's function makes a Buffer of the memory that it is given; errors and the end come without
    Reflect.apply(read, this, size > 0 ? [new Uint8Array(buffer.subarray(0, size)).buffer] : []);
  };
  Reflect.set(socket, "_handle", handle);
  // the socket waits for the read that it has begun with its handle, and begins no other
  handle.reading = true;
  handle.readStart();
}

interface HandleOptions {
  readonly handle: StreamHandle;
  readonly pauseOnCreate: boolean;
  readonly onread: OnReadOpts;
}

/**
 * Makes a socket of a handle that reads into `buffer`, paused, as those of an HTTP server are made: each end of it is ended by itself.
 */
export function socketOn(handle: StreamHandle, buffer: Uint8Array): Socket {
  const options: SocketConstructorOpts & HandleOptions = {
    handle,
    allowHalfOpen: true,
    pauseOnCreate: true,
    // what is read next overwrites it
    onread: { buffer, callback: (size, bytes) => socket.push(Buffer.from(bytes.subarray(0, size))) },
  };
  const socket: Socket = new Socket(options);
  return socket;
}
