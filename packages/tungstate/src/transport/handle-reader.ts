import { getSystemErrorName } from "node:util";
import type { HandleResources } from "../native/runtime.ts";
import { readInto, type StreamHandle } from "../native/system.ts";
import type { TransportSink } from "./transport.ts";

const EOF = -4095; // libuv's UV_EOF

/** Bytes that a handle may read in one tick. Then it yields to other connections. */
const MAX_READ_PER_TICK = 1024 * 1024;

/** Reads from a handle of Node.js into the buffer that all handles share. */
export abstract class HandleReader {
  readonly handle: StreamHandle;
  protected readonly shared: HandleResources;
  protected sink: TransportSink | undefined;
  /** Chunks to be delivered: read by the socket before, or received after `pause`. */
  protected early: readonly Uint8Array[] | undefined;
  private deliveryDue = false;
  private started = false;
  /** Whether the sink wants bytes, whether the handle is being read, and whether it yields. */
  protected wanted = false;
  private reading = false;
  private yielding = false;
  /** Number of reads in a row that returned `fullRead` bytes. */
  private fullReads = 0;
  private readonly fullRead: number;
  protected readEnded = false;
  protected cause: Error | undefined;

  /**
   * `early`: bytes that were read before. `fullRead`: the most bytes that one read of this handle
   * returns.
   */
  constructor(
    handle: StreamHandle,
    shared: HandleResources,
    early: readonly Uint8Array[] | undefined,
    fullRead: number,
  ) {
    this.handle = handle;
    this.shared = shared;
    this.early = early !== undefined && early.length > 0 ? early : undefined;
    this.fullRead = fullRead;
    handle.transport = this;
  }

  abstract readonly closed: boolean;
  abstract destroy(): void;
  /** Called after all bytes and the end have been delivered. */
  protected abstract afterEnd(): void;
  /** Called when a write is complete. `detail`: OpenSSL's description of an error. */
  abstract written(status: number, detail?: string): void;
  /** Called when our half has ended. */
  abstract shutDown(): void;

  protected read(sink: TransportSink): void {
    this.sink = sink;
    if (!this.started) {
      this.started = true;
      this.handle.onread = onRead;
      readInto(this.handle, this.shared.readBuffer);
    }
    if (this.readEnded && this.early === undefined) process.nextTick(() => this.sink?.onEnd());
    else this.resume();
  }

  pause(): void {
    this.wanted = false;
    this.update();
  }

  resume(): void {
    if (this.wanted) return;
    this.wanted = true;
    if (this.early !== undefined) this.deliverSoon();
    this.update();
  }

  private deliverSoon(): void {
    if (this.deliveryDue) return;
    this.deliveryDue = true;
    process.nextTick(() => this.deliverEarly());
  }

  private deliverEarly(): void {
    this.deliveryDue = false;
    while (this.wanted && this.early !== undefined && !this.closed) {
      const [chunk, ...rest] = this.early;
      this.early = rest.length > 0 ? rest : undefined;
      if (chunk !== undefined) this.sink?.onBytes(chunk, 0, chunk.length);
    }
    if (this.early === undefined && this.readEnded) this.deliverEnd();
    else this.update();
  }

  /** Starts or stops reading, as the state requires. */
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

  /** Called by the handle after a read: there are bytes in the read buffer, or an error. */
  onRead(): void {
    const size = this.shared.system.readResult();
    if (size > 0) {
      if (!this.reading) {
        // a TLS handle delivers all decrypted bytes, even after readStop()
        if (this.closed) return;
        this.early = [...(this.early ?? []), new Uint8Array(this.shared.readBuffer.subarray(0, size))];
        if (this.wanted) this.deliverSoon();
        return;
      }
      if (size < this.fullRead) this.fullReads = 0;
      else if ((++this.fullReads + 1) * this.fullRead > MAX_READ_PER_TICK) this.yieldTick();
      this.sink?.onBytes(this.shared.readBuffer, 0, size);
    } else if (size === EOF) this.receiveEnd();
    else if (size < 0) this.fail(size, "read");
  }

  /** The peer has ended its half. */
  protected receiveEnd(): void {
    if (this.readEnded) return;
    this.readEnded = true;
    this.update();
    if (this.early === undefined) this.deliverEnd();
  }

  private deliverEnd(): void {
    this.sink?.onEnd();
    this.afterEnd();
  }

  private yieldTick(): void {
    this.fullReads = 0;
    this.yielding = true;
    this.update();
    setImmediate(() => {
      this.yielding = false;
      if (this.wanted && this.early !== undefined) this.deliverSoon();
      this.update();
    });
  }

  /** Ends the transport because of a negative errno. */
  protected fail(status: number, call: string, detail?: string): void {
    if (this.closed) return; // ECANCELED
    const code = getSystemErrorName(status);
    const message = detail === undefined ? `${call} ${code}` : `${call} ${code} ${detail}`;
    this.cause ??= Object.assign(new Error(message), { code, errno: status, syscall: call });
    this.destroy();
  }
}

/** Called by a handle, which is `this`. */
function onRead(this: StreamHandle): void {
  (this.transport as HandleReader).onRead();
}
