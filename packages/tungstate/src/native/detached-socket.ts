import { Socket } from "node:net";
import type { StreamHandle } from "./system.ts";

/** The connection that uses the handle of a detached socket. */
export interface HandleUser {
  readonly handle: StreamHandle;
  /** Bytes that are buffered for writing. */
  readonly bufferedAmount: number;
  /** Whether reading is paused. */
  readonly isPaused: boolean;
  /** Writes buffered output to the system. */
  flush(): void;
  /** Returns the handle to the socket. */
  reattach(): void;
  /** Closes the handle. */
  destroy(): void;
}

const USER = Symbol("the user of the socket's handle");

function userOf(socket: Socket): HandleUser | undefined {
  return Reflect.get(socket, USER);
}

/** Events that a socket emits without its handle. */
const EVENTS_WITHOUT_HANDLE: ReadonlySet<unknown> = new Set(["close", "drain", "error", "finish"]);

/** Returns the handle to the socket, and returns the socket. */
function reattached(socket: Socket): Socket {
  const user = userOf(socket);
  unmarkDetached(socket);
  if (user !== undefined) {
    Reflect.apply(Reflect.get(Socket.prototype, "removeListener"), socket, ["error", onError]);
    user.reattach();
  }
  return socket;
}

/** Methods that need the handle: the first call returns it to the socket. */
const METHODS = [
  "write",
  "end",
  "read",
  "resume",
  "pause",
  "pipe",
  "unpipe",
  "cork",
  "uncork",
  "unshift",
  "push",
  "setEncoding",
  "destroySoon",
  "resetAndDestroy",
] as const;
const LISTENING = ["on", "addListener", "once", "prependListener", "prependOnceListener"] as const;

const WRAPPED = [...LISTENING, "setEncoding"] as const;

const detachedPrototype: object = Object.create(Socket.prototype);

function define(name: string | symbol, descriptor: PropertyDescriptor): void {
  Object.defineProperty(detachedPrototype, name, { configurable: true, ...descriptor });
}

for (const name of [...METHODS, Symbol.asyncIterator]) {
  define(name, {
    writable: true,
    value: function (this: Socket, ...args: unknown[]): unknown {
      return Reflect.apply(Reflect.get(Socket.prototype, name), reattached(this), args);
    },
  });
}

for (const name of LISTENING) {
  define(name, {
    writable: true,
    value: function (this: Socket, event: unknown, ...args: unknown[]): unknown {
      const socket = EVENTS_WITHOUT_HANDLE.has(event) ? this : reattached(this);
      return Reflect.apply(Reflect.get(Socket.prototype, name), socket, [event, ...args]);
    },
  });
}

/** Methods that are applied to the handle without returning it to the socket. */
const forwarded = {
  ref(this: Socket): Socket {
    userOf(this)?.handle.ref();
    return this;
  },
  unref(this: Socket): Socket {
    userOf(this)?.handle.unref();
    return this;
  },
  setNoDelay(this: Socket, on?: boolean): Socket {
    userOf(this)?.handle.setNoDelay?.(on === undefined ? true : on);
    return this;
  },
  setKeepAlive(this: Socket, on?: boolean, initialDelay?: number): Socket {
    userOf(this)?.handle.setKeepAlive?.(on === true, Math.floor((initialDelay ?? 0) / 1000), 1, 10);
    return this;
  },
  setTimeout(this: Socket, timeout: number, callback?: () => void): Socket {
    // a timeout counts from reads and writes of the socket, which needs its handle for them
    return timeout === 0 && callback === undefined ? this : reattached(this).setTimeout(timeout, callback);
  },
  isPaused(this: Socket): boolean {
    return userOf(this)?.isPaused ?? true;
  },
  _final(this: Socket, callback: () => void): void {
    callback(); // the connection ends the handle
  },
  destroy(this: Socket, error?: Error): Socket {
    userOf(this)?.flush();
    return Socket.prototype.destroy.call(this, error);
  },
};
for (const [name, value] of Object.entries(forwarded)) define(name, { writable: true, value });

const values: Readonly<Record<string, (user: HandleUser) => number | boolean>> = {
  bytesRead: ({ handle }) => handle.bytesRead,
  bytesWritten: (user) => {
    user.flush();
    return user.handle.bytesWritten;
  },
  writableLength: (user) => user.bufferedAmount,
  bufferSize: (user) => user.bufferedAmount,
  writableNeedDrain: (user) => user.bufferedAmount > 0,
  readableFlowing: (user) => !user.isPaused,
};
for (const [name, get] of Object.entries(values)) {
  define(name, {
    get(this: Socket): number | boolean {
      const user = userOf(this);
      return user === undefined ? 0 : get(user);
    },
  });
}

define("pending", {
  get(this: Socket): boolean {
    return userOf(this) === undefined;
  },
});

type Address = Partial<Record<"address" | "family" | "port", string | number>>;

function ownAddress(socket: Socket): Address {
  const out = {};
  userOf(socket)?.handle.getsockname?.(out);
  return out;
}

/** Returns the address of the peer. The socket keeps it: programs read it after the end too. */
function peerAddress(socket: Socket): Address {
  const known: unknown = Reflect.get(socket, "_peername");
  if (typeof known === "object" && known !== null) return known;
  const out = {};
  userOf(socket)?.handle.getpeername?.(out);
  Reflect.set(socket, "_peername", out);
  return out;
}

const addresses = { local: ownAddress, remote: peerAddress };
for (const [side, addressOf] of Object.entries(addresses)) {
  for (const [name, part] of [
    ["Address", "address"],
    ["Family", "family"],
    ["Port", "port"],
  ] as const) {
    define(side + name, {
      get(this: Socket) {
        return addressOf(this)[part];
      },
    });
  }
}
define("address", {
  writable: true,
  value: function (this: Socket): object {
    return ownAddress(this);
  },
});

/**
 * Marks a socket whose handle was taken. Its addresses and byte counts still work, and socket
 * options are forwarded to the handle. The use of any other member returns the handle to the
 * socket.
 */
export function markDetached(socket: Socket, user: HandleUser): void {
  socket.on("error", onError);
  socket.on("close", onClose);
  Reflect.set(socket, USER, user);
  Object.setPrototypeOf(socket, detachedPrototype);
  // node:http replaces these methods on its sockets
  for (const name of WRAPPED) {
    if (Object.hasOwn(socket, name)) Reflect.set(socket, name, Reflect.get(detachedPrototype, name));
  }
}

/** Other code has destroyed the socket with an error, or emits one. */
function onError(this: Socket): void {
  this.destroy();
}

function onClose(this: Socket): void {
  userOf(this)?.destroy();
}

/** Undoes `markDetached`. */
export function unmarkDetached(socket: Socket): void {
  if (userOf(socket) === undefined) return;
  Reflect.set(socket, USER, undefined);
  Object.setPrototypeOf(socket, Socket.prototype);
}
