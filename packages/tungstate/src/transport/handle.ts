import type { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import type { HandleResources } from "../native/runtime.ts";
import { type ShutdownRequest, socketOn, type StreamHandle, type WriteRequest } from "../native/system.ts";
import { unansweredOf } from "../native/tcp-table.ts";
import type { ReleasableTransport, TransportSink } from "./transport.ts";

const EOF = -4095; // libuv's UV_EOF
const FULL_READS_PER_TURN = 3; // about 1 MiB; then the other connections have their turn

/** A socket without `net.Socket` around it: reads into the shared buffer, writes without a queue in between. */
export class HandleTransport implements ReleasableTransport {
  closed = false;
  readonly handle: StreamHandle;
  protected readonly shared: HandleResources;
  protected readonly detachedSocket: Socket | undefined;
  protected sink: TransportSink | undefined;
  protected early: readonly Uint8Array[] | undefined;
  /** Writes that the system has not done yet; that of a handshake may be among them. */
  private pending = 0;
  private started = false;
  /** Whether the sink wants bytes, whether the handle is being read, and whether it is the others' turn. */
  protected wanted = false;
  private reading = false;
  private yielding = false;
  private fullReads = 0;
  protected readEnded = false;
  protected writeEnded = false;
  private writeDone = false;
  /** Closed to its end. */
  private gone = false;
  private cause: Error | undefined;

  /** `detachedSocket` is the socket that the handle was taken from; `early` what that had read already. */
  constructor(handle: StreamHandle, shared: HandleResources, detachedSocket?: Socket, early?: readonly Uint8Array[]) {
    this.handle = handle;
    this.shared = shared;
    this.detachedSocket = detachedSocket;
    this.early = early !== undefined && early.length > 0 ? early : undefined;
    handle.transport = this;
    // code that still holds the socket may end it
    detachedSocket?.on("error", (error: Error) => (this.cause ??= error));
    detachedSocket?.on("close", () => this.destroy());
  }

  get unsent(): number {
    return this.closed ? 0 : this.handle.writeQueueSize;
  }

  get localAddress(): string | undefined {
    return this.detachedSocket?.localAddress ?? this.address("getsockname");
  }

  get remoteAddress(): string | undefined {
    return this.detachedSocket?.remoteAddress ?? this.address("getpeername");
  }

  private address(which: "getsockname" | "getpeername"): string | undefined {
    const out: { address?: string } = {};
    if (!this.closed) this.handle[which]?.(out);
    return out.address;
  }

  start(sink: TransportSink): void {
    this.sink = sink;
    if (this.closed) {
      if (this.gone) process.nextTick(() => sink.onClosed(this.cause));
      return;
    }
    if (!this.started) {
      this.started = true;
      this.handle.onread = onRead;
      this.handle.useUserBuffer(this.shared.readBuffer);
    }
    if (this.readEnded) process.nextTick(() => sink.onEnd());
    else this.resume();
  }

  pause(): void {
    this.wanted = false;
    this.update();
  }

  resume(): void {
    if (this.wanted) return;
    this.wanted = true;
    if (this.early !== undefined) process.nextTick(() => this.deliverEarly());
    this.update();
  }

  private deliverEarly(): void {
    while (this.wanted && this.early !== undefined && !this.closed) {
      const [chunk, ...rest] = this.early;
      this.early = rest.length > 0 ? rest : undefined;
      if (chunk !== undefined) this.sink?.onBytes(chunk, 0, chunk.length);
    }
    this.update();
  }

  /** Reads from the handle if, and only if, it should be read from now. */
  private update(): void {
    const should = this.wanted && !this.yielding && !this.readEnded && !this.closed && this.early === undefined;
    if (should === this.reading) return;
    this.reading = should;
    if (!should) {
      if (!this.closed) this.handle.readStop();
      return;
    }
    const status = this.handle.readStart();
    if (status !== 0) this.fail(status, "read");
  }

  /** Bytes lie in the read buffer, or an error was returned instead. */
  read(): void {
    const size = this.shared.system.readResult();
    if (size > 0) {
      if (size < this.shared.readBuffer.length) this.fullReads = 0;
      else if (++this.fullReads === FULL_READS_PER_TURN) this.yieldTurn();
      this.sink?.onBytes(this.shared.readBuffer, 0, size);
    } else if (size === EOF) {
      this.readEnded = true;
      this.update();
      this.sink?.onEnd();
      if (this.writeDone) this.destroy();
    } else if (size < 0) this.fail(size, "read");
  }

  private yieldTurn(): void {
    this.fullReads = 0;
    this.yielding = true;
    this.update();
    setImmediate(() => {
      this.yielding = false;
      this.update();
    });
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    if (this.closed || pieces.length === 0) return true; // libuv ends the process for a write of nothing
    const { shared } = this;
    const request = shared.idleRequest ?? shared.system.newWriteRequest();
    shared.idleRequest = undefined;
    const status = Array.isArray(pieces)
      ? this.handle.writev(request, pieces, true)
      : this.handle.writeBuffer(request, pieces);
    if (status !== 0) {
      this.fail(status, "write");
      return true;
    }
    if (!shared.system.lastWriteWasAsync()) {
      shared.idleRequest = request;
      return true;
    }
    this.pending++;
    request.handle = this.handle;
    request.oncomplete = onWritten;
    request.bytes = pieces;
    return false;
  }

  /** A write that took longer is done. */
  written(status: number): void {
    this.pending--;
    if (status !== 0) this.fail(status, "write");
    else if (!this.closed && this.pending === 0) this.sink?.onWritten();
  }

  keepAlive(idle: number): void {
    if (!this.closed) this.handle.setKeepAlive?.(true, Math.max(1, Math.round(idle / 1000)), 1, 10);
  }

  unansweredSends(): Promise<number | undefined> {
    return unansweredOf(this.handle);
  }

  end(): void {
    if (this.writeEnded || this.closed) return;
    this.writeEnded = true;
    if (this.readEnded && this.pending === 0) {
      this.destroy(); // closing ends the stream as well, behind what was written
      return;
    }
    const request = this.shared.system.newShutdownRequest();
    request.handle = this.handle;
    request.oncomplete = onShutdown;
    // an error here means that the peer is gone, which reading tells, too
    if (this.handle.shutdown(request) < 0) this.shutDown();
  }

  shutDown(): void {
    this.writeDone = true;
    if (this.readEnded) this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.handle.close(() => {
      this.gone = true;
      this.sink?.onClosed(this.cause);
      this.detachedSocket?.destroy();
    });
  }

  release(): Socket {
    this.pause();
    this.closed = true; // for this transport
    this.sink = undefined;
    this.handle.transport = undefined;
    return this.detachedSocket ?? socketOn(this.handle, this.shared.readBuffer);
  }

  private fail(status: number, call: string): void {
    if (this.closed) return; // ECANCELED
    const code = getSystemErrorName(status);
    this.cause ??= Object.assign(new Error(`${call} ${code}`), { code, errno: status, syscall: call });
    this.destroy();
  }
}

// Handles and requests call these with themselves as `this`.

function transportOf(handle: StreamHandle | undefined): HandleTransport | undefined {
  return handle?.transport instanceof HandleTransport ? handle.transport : undefined;
}

function onRead(this: StreamHandle): void {
  (this.transport as HandleTransport).read();
}

function onWritten(this: WriteRequest, status: number): void {
  this.bytes = undefined;
  transportOf(this.handle)?.written(status);
}

function onShutdown(this: ShutdownRequest): void {
  transportOf(this.handle)?.shutDown();
}
