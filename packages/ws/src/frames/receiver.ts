import { Writable } from "node:stream";
import type { BinaryType, Callback } from "../constants.ts";
import { codecOf } from "../deflate/engines.ts";
import type { PerMessageDeflate } from "../deflate/permessage-deflate.ts";
import { MessageReader, type MessageSink, readOptions } from "./message-reader.ts";

/** Options of a `Receiver`, as ws has them. */
export interface ReceiverOptions {
  readonly allowSynchronousEvents?: boolean;
  readonly binaryType?: BinaryType;
  readonly extensions?: Record<string, PerMessageDeflate>;
  readonly isServer?: boolean;
  readonly maxBufferedChunks?: number;
  readonly maxFragments?: number;
  readonly maxPayload?: number;
  readonly skipUTF8Validation?: boolean;
}

/**
 * A stream that parses written bytes as frames. Emits `message`, `ping`, `pong` and `conclude`.
 * Connections use the parser without this stream.
 */
export class Receiver extends Writable implements MessageSink {
  private readonly reader: MessageReader;
  /** Called when the last written chunk has been processed. */
  private pending: Callback | undefined;
  private readError: Error | undefined;
  private held = false;

  constructor(options: ReceiverOptions = {}) {
    super();
    const deflate = options.extensions?.["permessage-deflate"];
    this.reader = new MessageReader(
      readOptions({ ...options, allowSynchronousEvents: options.allowSynchronousEvents ?? true }),
      deflate === undefined ? undefined : codecOf(deflate),
      this,
    );
    if (options.binaryType !== undefined) this.reader.setBinaryType(options.binaryType);
  }

  get _maxPayload(): number {
    return this.reader.maxPayload;
  }

  set _maxPayload(value: number) {
    this.reader.maxPayload = value;
  }

  get _binaryType(): BinaryType {
    return this.reader.binaryType;
  }

  set _binaryType(type: BinaryType) {
    this.reader.setBinaryType(type);
  }

  override _write(chunk: Buffer, _encoding: string, callback: Callback): void {
    this.pending = callback;
    this.reader.read(chunk, 0, chunk.length);
    this.settle();
  }

  private settle(): void {
    const { pending, readError } = this;
    if (pending === undefined || (this.held && readError === undefined)) return;
    this.pending = undefined;
    pending(readError);
  }

  onMessage(data: unknown, isBinary: boolean): void {
    this.emit("message", data, isBinary);
  }

  onPing(payload: Buffer): void {
    this.emit("ping", payload);
  }

  onPong(payload: Buffer): void {
    this.emit("pong", payload);
  }

  onConclude(code: number, reason: Buffer): void {
    this.emit("conclude", code, reason);
    this.end();
  }

  onReadError(error: Error): void {
    this.readError = error;
    this.settle();
  }

  onReading(on: boolean): void {
    this.held = !on;
    if (on) this.settle();
  }
}
