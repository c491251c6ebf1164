import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { HandleResources } from "../native/runtime.ts";
import { unansweredOf } from "../native/tcp-table.ts";
import { returnTlsHandle, type TakenTls } from "../native/tls-handle.ts";
import type { StreamHandle, WriteRequest } from "../native/system.ts";
import { Batches, type BatchStream } from "./batches.ts";
import { HandleReader } from "./handle-reader.ts";
import { onShutdown, onWriteResult, onWritten } from "./handle-requests.ts";
import type { ReleasableTransport, TransportSink } from "./transport.ts";

/** Largest TLS record in bytes (RFC 8446 §5.1). One read returns at most one record. */
const RECORD_SIZE = 16 * 1024;

/**
 * Largest write in bytes: the default `writeBufferSize` of 128 KiB, and two records for headers and
 * the last message.
 */
const BATCH_SIZE = 160 * 1024;

/**
 * Bytes that Node.js always encrypts into one write: it writes ten buffers of 16 KiB at once, of
 * which the first may be smaller.
 */
const SINGLE_WRITE_SIZE = 128 * 1024;

/** Identifier of a request that is not in use. */
const NO_ASYNC_ID = -1;

function sizeOf(pieces: readonly Uint8Array[]): number {
  let size = 0;
  for (const piece of pieces) size += piece.length;
  return size;
}

/**
 * Joins the pieces of a write in memory that all connections share, which can be reused as soon as
 * the write call returns. `writev` of Node.js allocates memory for each write.
 */
function join(pieces: Uint8Array | readonly Uint8Array[], size: number, shared: HandleResources): Uint8Array {
  if (pieces instanceof Uint8Array) return pieces;
  if (pieces.length === 1) return pieces[0];
  const joined = (shared.joined ??= Buffer.allocUnsafeSlow(BATCH_SIZE));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined.subarray(0, size);
}

/**
 * Reads and writes the handle of a TLS socket directly. The socket still owns the handle: it closes
 * the handle and reports errors of OpenSSL.
 */
export class TlsHandleTransport extends HandleReader implements ReleasableTransport, BatchStream {
  private readonly socket: Socket;
  private readonly allowedHalfOpen: boolean;
  private readonly taken: TakenTls;
  /** Below the TLS handle. */
  private readonly parent: StreamHandle;
  private readonly batches = new Batches(this, BATCH_SIZE);
  /** The request of the last write, which may be complete. */
  private request: WriteRequest | undefined;
  /** A batch that waits for the last write. */
  private waiting: { readonly pieces: readonly Uint8Array[]; readonly size: number } | undefined;
  private released = false;
  /** Whether our half ends once everything is written. */
  private endDue = false;
  private writeDone = false;
  /** The sink that was notified of the end. */
  private notified: TransportSink | undefined;

  constructor(socket: Socket, taken: TakenTls, shared: HandleResources) {
    super(taken.handle, shared, taken.early, RECORD_SIZE);
    this.taken = taken;
    this.parent = taken.parent;
    this.socket = socket;
    this.allowedHalfOpen = socket.allowHalfOpen;
    socket.allowHalfOpen = true;
    socket.on("error", this.failed);
    socket.on("close", this.tellClosed);
    socket.on("end", this.ended);
  }

  private readonly failed = (error: Error): void => {
    this.cause ??= error;
    this.destroy(); // a TLS socket reports an error of OpenSSL and stays open
  };

  private readonly tellClosed = (): void => {
    if (this.notified === this.sink) return;
    this.notified = this.sink;
    this.sink?.onClosed(this.cause);
  };

  /** The socket read the end of the stream before its handle was taken. */
  private readonly ended = (): void => this.receiveEnd();

  get closed(): boolean {
    return this.released || this.socket.destroyed;
  }

  get unsent(): number {
    return this.closed ? 0 : this.batches.unsent;
  }

  get tlsSocket(): TLSSocket | undefined {
    return this.socket instanceof TLSSocket ? this.socket : undefined;
  }

  get localAddress(): string | undefined {
    return this.socket.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  start(sink: TransportSink): void {
    if (!this.closed) {
      this.read(sink);
      return;
    }
    this.sink = sink;
    if (this.socket.closed) process.nextTick(this.tellClosed);
  }

  write(pieces: Uint8Array | Uint8Array[]): boolean {
    if (this.closed || this.endDue || pieces.length === 0) return true;
    if (this.batches.unsent === 0 && this.isIdle) {
      const size = Array.isArray(pieces) ? sizeOf(pieces) : pieces.length;
      if (size === 0) return true;
      if (size <= BATCH_SIZE) {
        const request = this.encrypt(pieces, size);
        if (request === undefined) return true;
        if (this.parent.writeQueueSize === 0) {
          // the system has it, so a callback would cost time and tell nothing new
          request.oncomplete = size > SINGLE_WRITE_SIZE ? onWriteResult : undefined;
          return true;
        }
        this.batches.begun(size);
        return false;
      }
    }
    this.batches.write(Array.isArray(pieces) ? pieces : [pieces]);
    return false;
  }

  writeBatch(pieces: readonly Uint8Array[], size: number): void {
    const { request } = this;
    if (request !== undefined && !this.isIdle) {
      this.waiting = { pieces, size };
      request.oncomplete = onWritten;
      return;
    }
    const begun = size === 0 ? undefined : this.encrypt(pieces, size);
    if (begun === undefined) setImmediate(() => this.written(0));
  }

  /**
   * Whether the last write is complete. Node.js ends the process when a TLS handle is written to
   * before that. A request loses its identifier when it is complete, and can then be used again.
   */
  private get isIdle(): boolean {
    return this.request === undefined || this.request.getAsyncId() === NO_ASYNC_ID;
  }

  /**
   * Encrypts and writes bytes. The caller may reuse them when this method returns. Returns the
   * request, which calls `written` when it is complete, or undefined if the write is complete or
   * has failed.
   *
   * A write that fails at once calls `written` before this method returns. Node.js reports such a
   * failure nowhere else, and completes no later write of this handle.
   */
  private encrypt(pieces: Uint8Array | readonly Uint8Array[], size: number): WriteRequest | undefined {
    const { system } = this.shared;
    this.request ??= system.newWriteRequest();
    this.request.handle = this.handle;
    this.request.oncomplete = onWritten;
    const status = this.handle.writeBuffer(this.request, join(pieces, size, this.shared));
    if (status === 0 && system.lastWriteWasAsync()) return this.request;
    if (status !== 0) this.fail(status, "write", this.request.error);
    this.request = undefined;
    return undefined;
  }

  written(status: number, detail?: string): void {
    this.request = undefined; // still in use until this call returns
    if (this.closed) return;
    const { waiting } = this;
    this.waiting = undefined;
    if (status !== 0) this.fail(status, "write", detail);
    else if (waiting !== undefined) this.writeBatch(waiting.pieces, waiting.size);
    else if (this.batches.unsent > 0) this.batches.batchWritten();
    else this.onBatchesWritten();
  }

  onBatchesWritten(): void {
    if (this.endDue) this.endStream();
    this.sink?.onWritten();
  }

  keepAlive(idle: number): void {
    this.socket.setKeepAlive(true, Math.max(1_000, idle));
  }

  unansweredSends(): Promise<number | undefined> {
    return this.closed ? Promise.resolve(undefined) : unansweredOf(this.handle);
  }

  end(): void {
    if (this.endDue || this.closed) return;
    this.endDue = true;
    if (this.batches.unsent > 0) return;
    if (this.request === undefined || this.isIdle) this.endStream();
    else this.request.oncomplete = onWritten;
  }

  /** Sends close_notify (RFC 8446 §6.1), then the end of the TCP stream. */
  private endStream(): void {
    if (this.closed) return;
    const request = this.shared.system.newShutdownRequest();
    request.handle = this.handle;
    request.oncomplete = onShutdown;
    // an error means that the peer has disconnected, which reading reports too
    if (this.handle.shutdown(request) !== 0) this.shutDown();
  }

  shutDown(): void {
    this.writeDone = true;
    if (this.readEnded) this.destroy();
  }

  protected afterEnd(): void {
    if (this.writeDone) this.destroy();
  }

  destroy(): void {
    this.batches.clear();
    this.socket.destroy();
  }

  release(): Socket {
    const { socket } = this;
    this.pause();
    this.released = true;
    this.sink = undefined;
    socket.allowHalfOpen = this.allowedHalfOpen;
    socket.off("error", this.failed);
    socket.off("close", this.tellClosed);
    socket.off("end", this.ended);
    if (!socket.destroyed) returnTlsHandle(socket, this.taken, this.shared.system, this.shared.readBuffer);
    for (const chunk of this.early ?? []) socket.push(chunk);
    if (this.readEnded) socket.push(null);
    return socket;
  }
}
