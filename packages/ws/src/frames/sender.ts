import process from "node:process";
import { Buffer } from "node:buffer";
import { isSendableCloseCode, MAX_CLOSE_REASON_BYTES, MAX_CONTROL_PAYLOAD, OPCODE } from "@tungstate/protocol";
import { FIN, headerSize, RSV1, writeHeader } from "@tungstate/protocol/internal";
import { type Callback, EMPTY_BUFFER, ignore } from "../constants.ts";
import { isBlob, isCallersMemory, sizeOf, toBuffer } from "../data.ts";
import type { PerMessageDeflate } from "../deflate/permessage-deflate.ts";
import { type GenerateMask, memory, runtime } from "../runtime.ts";

/** Options of `Sender.frame`. */
export interface FrameOptions {
  readonly opcode: number;
  readonly fin?: boolean;
  readonly rsv1?: boolean | undefined;
  readonly mask?: boolean | undefined;
  /** Whether `data` must not be changed. */
  readonly readOnly?: boolean;
  readonly generateMask?: GenerateMask | undefined;
  readonly maskBuffer?: Buffer | undefined;
}

/** Options of `Sender.send`. */
export interface SenderOptions {
  readonly binary?: boolean;
  readonly compress?: boolean;
  readonly fin?: boolean;
  readonly mask?: boolean;
}

interface Writable {
  readonly destroyed?: boolean;
  write(chunk: Uint8Array, callback?: Callback): unknown;
  cork?(): void;
  uncork?(): void;
}

interface Task {
  readonly size: number;
  readonly callback: Callback | undefined;
  run(): void;
}

/**
 * Returns the payload of a Close frame. Throws a TypeError or a RangeError for invalid arguments.
 */
export function closePayload(code: number | undefined, reason: string | Uint8Array | undefined): Buffer {
  if (code === undefined) return EMPTY_BUFFER;
  if (typeof code !== "number" || !isSendableCloseCode(code)) {
    throw new TypeError("First argument must be a valid error code number");
  }
  const size = reason === undefined || reason.length === 0 ? 0 : Buffer.byteLength(reason);
  if (size > MAX_CLOSE_REASON_BYTES) throw new RangeError("The message must not be greater than 123 bytes");
  const payload = Buffer.allocUnsafe(2 + size);
  payload.writeUInt16BE(code, 0);
  if (size === 0 || reason === undefined) return payload;
  if (typeof reason === "string") payload.write(reason, 2);
  else if (reason instanceof Uint8Array) payload.set(reason, 2);
  else throw new TypeError("Second argument must be a string or a Uint8Array");
  return payload;
}

/** Throws a RangeError for data that is too long for a control frame. */
export function checkControl(data: unknown): void {
  if (sizeOf(data) > MAX_CONTROL_PAYLOAD) throw new RangeError("The data size must not be greater than 125 bytes");
}

/**
 * Encodes frames and writes them to a stream. It exists because ws exports it; connections do not
 * use it.
 */
export class Sender {
  onerror: (error: Error) => void = ignore;
  /** Bytes that wait to be compressed or to be read from a Blob. */
  _bufferedBytes = 0;
  _firstFragment = true;
  _compress = false;
  readonly _socket: Writable;
  readonly _extensions: Record<string, PerMessageDeflate>;
  private readonly generateMask: GenerateMask | undefined;
  private queue: Task[] = [];
  private busy = false;

  constructor(socket: Writable, extensions?: Record<string, PerMessageDeflate>, generateMask?: GenerateMask) {
    this._socket = socket;
    this._extensions = extensions ?? {};
    this.generateMask = generateMask;
  }

  /** Returns a frame as one Buffer or two. */
  static frame(data: string | Uint8Array, options: FrameOptions): Buffer[] {
    const bytes = typeof data === "string" ? Buffer.from(data) : toBuffer(data);
    const first = options.opcode | (options.fin === true ? FIN : 0) | (options.rsv1 === true ? RSV1 : 0);
    const masked = options.mask === true;
    const key = masked ? maskingKey(options) : undefined;
    const size = headerSize(bytes.length, masked);
    if (!masked || key === 0 || options.readOnly !== true) {
      const header = Buffer.allocUnsafe(size);
      writeHeader(header, 0, first, bytes.length, key);
      if (bytes.length === 0) return [header];
      return [header, key === undefined || key === 0 ? bytes : maskBytes(bytes, key)];
    }
    const frame = Buffer.allocUnsafeSlow(size + bytes.length);
    writeHeader(frame, 0, first, bytes.length, key);
    memory.copyMasked(
      bytes,
      0,
      bytes.length,
      key ?? 0,
      frame,
      new Int32Array(frame.buffer, 0, frame.length >> 2),
      size,
    );
    return [frame];
  }

  /** Sends a Close frame. */
  close(code: number | undefined, data: string | Buffer | undefined, mask?: boolean, callback?: Callback): void {
    this.control(OPCODE.CLOSE, closePayload(code, data), mask, callback);
  }

  /** Sends a ping. */
  ping(data: unknown, mask?: boolean, callback?: Callback): void {
    checkControl(data);
    this.control(OPCODE.PING, data, mask, callback);
  }

  /** Sends a pong. */
  pong(data: unknown, mask?: boolean, callback?: Callback): void {
    checkControl(data);
    this.control(OPCODE.PONG, data, mask, callback);
  }

  private control(opcode: number, data: unknown, mask: boolean | undefined, callback: Callback | undefined): void {
    this.dispatch(data, false, { opcode, fin: true, mask }, callback);
  }

  /** Sends a message or a fragment. */
  send(data: unknown, options: SenderOptions, callback?: Callback): void {
    const deflate = this._extensions["permessage-deflate"];
    const isFirst = this._firstFragment;
    if (isFirst) {
      this._compress = options.compress === true;
      if (this._compress && deflate?.resetsOwn === true) {
        this._compress = sizeOf(data) >= deflate.threshold;
      }
    }
    this._firstFragment = options.fin === true;
    const opcode = isFirst ? (options.binary === true ? OPCODE.BINARY : OPCODE.TEXT) : OPCODE.CONTINUATION;
    const frame = { opcode, fin: options.fin === true, mask: options.mask, rsv1: isFirst && this._compress };
    this.dispatch(data, this._compress, frame, callback);
  }

  private dispatch(data: unknown, compress: boolean, options: FrameOptions, callback: Callback | undefined): void {
    const size = sizeOf(data);
    const given = typeof data === "string" || isBlob(data) ? data : toBuffer(data);
    const run = (): void => {
      if (isBlob(given)) this.readBlob(given, compress, options, callback);
      else if (compress) this.deflate(given, size, options, callback);
      else this.sendFrame(this.encode(given, options, isCallersMemory(data)), callback);
    };
    if (!this.busy) return run();
    this._bufferedBytes += size;
    this.queue.push({ size, callback, run });
  }

  private encode(data: string | Uint8Array, options: FrameOptions, readOnly: boolean): Buffer[] {
    return Sender.frame(data, { ...options, readOnly, generateMask: this.generateMask });
  }

  private deflate(data: string | Buffer, size: number, options: FrameOptions, callback: Callback | undefined): void {
    this.busy = true;
    this._bufferedBytes += size;
    this._extensions["permessage-deflate"]?.compress(Buffer.from(data), options.fin === true, (error, deflated) => {
      if (this._socket.destroyed === true || error !== null || deflated === undefined) {
        return this.lose(new Error("The socket was closed while data was being compressed"), callback);
      }
      this._bufferedBytes -= size;
      this.busy = false;
      this.sendFrame(this.encode(deflated, options, false), callback);
      this.dequeue();
    });
  }

  private readBlob(blob: Blob, compress: boolean, options: FrameOptions, callback: Callback | undefined): void {
    this.busy = true;
    this._bufferedBytes += blob.size;
    blob.arrayBuffer().then(
      (bytes) => {
        if (this._socket.destroyed === true) {
          const error = new Error("The socket was closed while the blob was being read");
          process.nextTick(() => this.lose(error, callback));
          return;
        }
        this._bufferedBytes -= blob.size;
        this.busy = false;
        const data = Buffer.from(bytes);
        if (compress) this.deflate(data, data.length, options, callback);
        else this.sendFrame(this.encode(data, options, false), callback);
        this.dequeue();
      },
      (error: unknown) => {
        process.nextTick(() => {
          const failure = error instanceof Error ? error : new Error(String(error));
          this.lose(failure, callback);
          this.onerror(failure);
        });
      },
    );
  }

  private dequeue(): void {
    while (!this.busy) {
      const task = this.queue.shift();
      if (task === undefined) return;
      this._bufferedBytes -= task.size;
      task.run();
    }
  }

  private lose(error: Error, callback: Callback | undefined): void {
    callback?.(error);
    for (const task of this.queue) task.callback?.(error);
  }

  /** Writes the parts of a frame. */
  sendFrame(list: readonly Uint8Array[], callback?: Callback): void {
    const { _socket: socket } = this;
    if (list.length > 1) socket.cork?.();
    for (let index = 0; index < list.length; index++) {
      if (index === list.length - 1) socket.write(list[index], callback);
      else socket.write(list[index]);
    }
    if (list.length > 1) socket.uncork?.();
  }
}

const ownMask = Buffer.alloc(4);

function maskingKey({ generateMask, maskBuffer = ownMask }: FrameOptions): number {
  if (generateMask === undefined) return runtime.maskingKeys.take();
  generateMask(maskBuffer);
  return maskBuffer.readInt32LE(0);
}

function maskBytes(bytes: Buffer, key: number): Buffer {
  const masked = Buffer.allocUnsafeSlow(bytes.length);
  memory.copyMasked(bytes, 0, bytes.length, key, masked, new Int32Array(masked.buffer, 0, masked.length >> 2), 0);
  return masked;
}
