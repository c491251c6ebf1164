import type { Server } from "node:net";
import { copyReads, isStreamHandle, loadSystem, readInto, type StreamHandle } from "./system.ts";

/** A listening server whose accepted handles are intercepted. */
export interface Interception {
  /** Passes a handle to the server, as if the server had just accepted it. */
  pass(handle: StreamHandle): void;
  /** Stops intercepting. */
  release(): void;
}

/**
 * Passes the handles that a listening server accepts to `onHandle`, without creating a socket. If
 * `onHandle` returns false, the server gets the handle. Returns undefined, and changes nothing, if
 * the private APIs are unavailable.
 */
export function interceptAccepted(
  server: Server,
  onHandle: (handle: StreamHandle) => boolean,
): Interception | undefined {
  const listening: unknown = Reflect.get(server, "_handle");
  if (loadSystem() === undefined || typeof listening !== "object" || listening === null) return undefined;
  const original: unknown = Reflect.get(listening, "onconnection");
  if (typeof original !== "function") return undefined;
  let active = true;
  let known: unknown; // the prototype of the last handle, which has been checked
  const isKnown = (handle: unknown): handle is StreamHandle => {
    if (known !== undefined && Object.getPrototypeOf(handle) === known) return true;
    if (!isStreamHandle(handle)) return false;
    known = Object.getPrototypeOf(handle);
    return true;
  };
  const intercepted = function (this: unknown, status: number, handle: unknown): void {
    if (active && status === 0 && isKnown(handle) && onHandle(handle)) return;
    Reflect.apply(original, this, [status, handle]);
  };
  if (!Reflect.set(listening, "onconnection", intercepted)) return undefined;
  return {
    pass(handle) {
      Reflect.apply(original, listening, [0, handle]);
      // the new socket expects memory that Node.js has allocated; it has read nothing yet
      if (handle.readsInto !== undefined) copyReads(handle, handle.onread, handle.readsInto);
    },
    release() {
      active = false; // other code may have wrapped `intercepted`
      if (Reflect.get(listening, "onconnection") === intercepted) Reflect.set(listening, "onconnection", original);
    },
  };
}

/** A handle that counts as a connection of a server. */
interface CountedHandle extends StreamHandle {
  countedBy?: Server | undefined;
}

/**
 * Counts a handle as a connection of a server (`getConnections`, `maxConnections`, the end of
 * `close`) until `closeHandle` has closed it. Returns false, and does nothing, if the private APIs
 * are unavailable.
 */
export function countHandle(server: Server, handle: StreamHandle): boolean {
  const count: unknown = Reflect.get(server, "_connections");
  if (typeof count !== "number" || typeof Reflect.get(server, "_emitCloseIfDrained") !== "function") return false;
  const counted: CountedHandle = handle;
  counted.countedBy = server;
  Reflect.set(server, "_connections", count + 1);
  return true;
}

/** Undoes `countHandle`. */
export function uncountHandle(handle: StreamHandle): void {
  const counted: CountedHandle = handle;
  const { countedBy: server } = counted;
  if (server === undefined) return;
  counted.countedBy = undefined;
  Reflect.set(server, "_connections", Number(Reflect.get(server, "_connections")) - 1);
}

/** Closes a handle. A server that counts it counts it no longer once it is closed. */
export function closeHandle(handle: StreamHandle, callback?: () => void): void {
  const { countedBy: server } = handle as CountedHandle;
  if (server === undefined) {
    handle.close(callback);
    return;
  }
  handle.close(() => {
    callback?.();
    uncountHandle(handle);
    // a closed server emits `close` when its last connection has ended
    Reflect.apply(Reflect.get(server, "_emitCloseIfDrained") as () => void, server, []);
  });
}

/** A counted handle gets another owner. Its `close` does what `closeHandle` does. */
export function countUntilClose(handle: StreamHandle): void {
  if ((handle as CountedHandle).countedBy === undefined) return;
  handle.close = function (this: StreamHandle, callback?: () => void): void {
    Reflect.deleteProperty(this, "close");
    closeHandle(this, callback);
  };
}

/** Whether the `maxConnections` of the server is reached. */
export function isFull(server: Server): boolean {
  const { maxConnections } = server;
  // as node:net: 0 and undefined are no limit
  return Boolean(maxConnections) && Number(Reflect.get(server, "_connections")) >= maxConnections;
}

/** Receives the bytes of a handle. */
export interface FirstReader {
  /** `size` bytes are in the buffer. */
  onRead(size: number): void;
  /** The peer has ended its half. If the handle is read again, it reports the end again. */
  onEnd(): void;
  /** Reading failed with this negative errno. Never called before `startReading` returns. */
  onFailed(status: number): void;
}

interface ReadHandle extends StreamHandle {
  firstReader?: FirstReader | undefined;
}

/** Starts to read from a new handle into `buffer`. `Interception.pass` gives it to a socket. */
export function startReading(handle: StreamHandle, buffer: Uint8Array, reader: FirstReader): void {
  const read: ReadHandle = handle;
  read.firstReader = reader;
  read.onread = onFirstRead;
  readInto(handle, buffer);
  const status = read.readStart();
  if (status !== 0) process.nextTick(() => read.firstReader?.onFailed(status));
}

/** Stops the reading that `startReading` has started. */
export function stopReading(handle: StreamHandle): void {
  const read: ReadHandle = handle;
  read.firstReader = undefined;
  read.readStop();
}

const EOF = -4095; // libuv's UV_EOF

function onFirstRead(this: ReadHandle): void {
  const size = loadSystem()?.readResult() ?? 0;
  if (size > 0) this.firstReader?.onRead(size);
  else if (size === EOF) this.firstReader?.onEnd();
  else if (size < 0) this.firstReader?.onFailed(size);
}
