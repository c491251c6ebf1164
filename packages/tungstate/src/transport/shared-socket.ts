import { Socket } from "node:net";
import { type HandleUser, markDetached, unmarkDetached } from "../native/detached-socket.ts";
import type { HandleResources } from "../native/runtime.ts";
import { giveHandleBack, type StreamHandle, takeHandle } from "../native/system.ts";
import { HandleTransport } from "./handle.ts";

/** A connection on a socket that the application may also use. */
export interface SocketSharer {
  /** Writes buffered output to the transport. */
  flush(): void;
  /** Bytes that are buffered for writing. */
  readonly bufferedAmount: number;
  /** Called after the handle was returned to the socket: continue with the socket. */
  onSocketNeeded(socket: Socket): void;
}

/**
 * A transport on the handle of a socket that the application may also use. It returns the handle to
 * the socket when the application uses it.
 */
export class SharedSocketTransport extends HandleTransport implements HandleUser {
  private readonly socket: Socket;
  private readonly onread: StreamHandle["onread"];
  private readonly sharer: SocketSharer;

  constructor(
    socket: Socket,
    taken: NonNullable<ReturnType<typeof takeHandle>>,
    handles: HandleResources,
    sharer: SocketSharer,
  ) {
    super(taken.handle, handles, undefined, taken.early);
    this.socket = socket;
    this.onread = taken.read;
    this.sharer = sharer;
    markDetached(socket, this);
  }

  get isPaused(): boolean {
    return !this.wanted;
  }

  get bufferedAmount(): number {
    return this.sharer.bufferedAmount;
  }

  flush(): void {
    this.sharer.flush();
  }

  reattach(): void {
    if (this.closed || this.readEnded || this.writeEnded) return; // the socket will end too
    this.sharer.flush();
    const { early } = this;
    this.pause();
    this.closed = true;
    this.sink = undefined;
    giveHandleBack(this.socket, this.handle, this.onread, this.shared.readBuffer);
    for (const chunk of early ?? []) this.socket.push(chunk);
    this.sharer.onSocketNeeded(this.socket);
  }

  override written(status: number): void {
    super.written(status);
    if (this.closed || this.socket.listenerCount("drain") === 0 || this.bufferedAmount > 0) return;
    this.socket.emit("drain");
  }

  override end(): void {
    // without its handle, the socket only updates its state
    if (!this.writeEnded && !this.closed) Reflect.apply(Reflect.get(Socket.prototype, "end"), this.socket, []);
    super.end();
  }

  override destroy(): void {
    unmarkDetached(this.socket);
    super.destroy();
    if (!this.socket.destroyed) this.socket.destroy(this.cause);
  }
}

/** Returns whether the application reads the socket, or waits for its end. */
function isRead(socket: Socket): boolean {
  const ownEndListeners = 1; // of net.Socket itself
  return (
    socket.listenerCount("data") > 0 ||
    socket.listenerCount("readable") > 0 ||
    socket.listenerCount("end") > ownEndListeners
  );
}

/**
 * Returns a transport on the handle of a plain socket. Returns undefined, and changes nothing, if
 * the handle cannot be taken.
 */
export function shareSocket(
  socket: object,
  handles: HandleResources | undefined,
  sharer: SocketSharer,
): SharedSocketTransport | undefined {
  if (handles === undefined || !(socket instanceof Socket) || isRead(socket)) return undefined;
  const taken = takeHandle(socket, false);
  return taken === undefined ? undefined : new SharedSocketTransport(socket, taken, handles, sharer);
}
