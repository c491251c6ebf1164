import type { Socket } from "node:net";
import { closeHandle, countUntilClose } from "../native/accepted-handles.ts";
import type { HandleResources } from "../native/runtime.ts";
import { socketOn, type StreamHandle } from "../native/system.ts";
import { unansweredOf } from "../native/tcp-table.ts";
import { HandleReader } from "./handle-reader.ts";
import { onShutdown, onWritten } from "./handle-requests.ts";
import type { ReleasableTransport, TransportSink } from "./transport.ts";

/** Reads and writes the handle of a TCP or Unix socket directly, without a `net.Socket`. */
export class HandleTransport extends HandleReader implements ReleasableTransport {
  closed = false;
  protected readonly detachedSocket: Socket | undefined;
  /** Number of writes in progress. One may be from the handshake. */
  private pending = 0;
  protected writeEnded = false;
  private writeDone = false;
  /** Whether the handle has been closed completely. */
  private gone = false;

  /**
   * `detachedSocket`: the socket that the handle was taken from. `early`: chunks that it had read.
   */
  constructor(handle: StreamHandle, shared: HandleResources, detachedSocket?: Socket, early?: readonly Uint8Array[]) {
    super(handle, shared, early, shared.readBuffer.length);
    this.detachedSocket = detachedSocket;
    // other code may destroy the socket
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
    if (!this.closed) {
      this.read(sink);
      return;
    }
    this.sink = sink;
    if (this.gone) process.nextTick(() => sink.onClosed(this.cause));
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    if (this.closed || pieces.length === 0) return true; // libuv aborts on an empty write
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

  /** Called when an asynchronous write is complete. */
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
      this.destroy(); // closing also ends the stream after the written bytes
      return;
    }
    const request = this.shared.system.newShutdownRequest();
    request.handle = this.handle;
    request.oncomplete = onShutdown;
    // an error means that the peer has disconnected, which reading reports too
    if (this.handle.shutdown(request) < 0) this.shutDown();
  }

  shutDown(): void {
    this.writeDone = true;
    if (this.readEnded) this.destroy();
  }

  protected afterEnd(): void {
    if (this.writeDone) this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    closeHandle(this.handle, () => {
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
    countUntilClose(this.handle);
    return this.detachedSocket ?? socketOn(this.handle, this.shared.readBuffer);
  }
}
