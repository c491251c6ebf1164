import { isSendableCloseCode, type Message, type MessageCodec } from "@tungstate/protocol";
import type { WebSocketError } from "@tungstate/protocol";
import {
  acquireReceiver,
  type InflateEvents,
  InflateQueue,
  type Receiver as FrameParser,
  type ReceiverEvents,
  type ReceiverOptions,
  releaseReceiver,
  viewMessage,
} from "@tungstate/protocol/internal";
import { type BinaryType, EMPTY_BUFFER, NO_STATUS } from "../constants.ts";
import { isUtf8, toArrayBuffer } from "../data.ts";
import { invalidCloseCode, invalidReason, receiveError } from "../errors.ts";
import { memory } from "../runtime.ts";

/** Notifications of a reader, in the order of the bytes. */
export interface MessageSink {
  onMessage(data: unknown, isBinary: boolean): void;
  onPing(payload: Buffer): void;
  onPong(payload: Buffer): void;
  /** A Close was received. */
  onConclude(code: number, reason: Buffer): void;
  /** A violation was received. It is the last notification. */
  onReadError(error: Error): void;
  /** Whether to read from the stream. False while messages wait for decompression or an event. */
  onReading(on: boolean): void;
}

/** Options for reading. A limit of 0 means no limit. */
export interface ReadOptions {
  readonly isServer: boolean;
  readonly allowSynchronousEvents: boolean;
  readonly maxPayload: number;
  readonly maxFragments: number;
  readonly maxBufferedChunks: number;
  readonly skipUTF8Validation: boolean;
}

type GivenOptions = { readonly [Name in keyof ReadOptions]?: ReadOptions[Name] | undefined };

/** The options of the last connection. The next one usually has the same. */
let lastOptions: ReadOptions | undefined;

/** Returns the options with their types. Connections with the same options share them. */
export function readOptions(given: GivenOptions): ReadOptions {
  const options: ReadOptions = {
    isServer: given.isServer === true,
    allowSynchronousEvents: given.allowSynchronousEvents === true,
    maxPayload: (given.maxPayload ?? 0) | 0,
    maxFragments: (given.maxFragments ?? 0) | 0,
    maxBufferedChunks: (given.maxBufferedChunks ?? 0) | 0,
    skipUTF8Validation: given.skipUTF8Validation === true,
  };
  if (lastOptions === undefined || !isSame(options, lastOptions)) lastOptions = options;
  return lastOptions;
}

function isSame(a: ReadOptions, b: ReadOptions): boolean {
  return (
    a.isServer === b.isServer &&
    a.allowSynchronousEvents === b.allowSynchronousEvents &&
    a.maxPayload === b.maxPayload &&
    a.maxFragments === b.maxFragments &&
    a.maxBufferedChunks === b.maxBufferedChunks &&
    a.skipUTF8Validation === b.skipUTF8Validation
  );
}

function limit(value: number): number {
  return value > 0 ? value : Number.MAX_SAFE_INTEGER;
}

/** Receiver options by connection options. */
const kept = new WeakMap<ReadOptions, Map<number, ReceiverOptions>>();

/** Returns the options of the core's receiver. Connections with the same options share them. */
function parserOptions(options: ReadOptions, compression: boolean, keepFragmentSizes: boolean): ReceiverOptions {
  const kind = (compression ? 1 : 0) | (keepFragmentSizes ? 2 : 0);
  let byKind = kept.get(options);
  if (byKind === undefined) kept.set(options, (byKind = new Map()));
  const known = byKind.get(kind);
  if (known !== undefined) return known;
  const maxSize = limit(options.maxPayload);
  const made: ReceiverOptions = {
    role: options.isServer ? "server" : "client",
    maxFrameSize: maxSize,
    maxMessageSize: maxSize,
    acceptUnmaskedFrames: false,
    compression,
    skipUtf8Check: options.skipUTF8Validation,
    acceptLongLengths: true,
    maxFragments: limit(options.maxFragments),
    maxFrameChunks: limit(options.maxBufferedChunks),
    keepFragmentSizes,
  };
  byKind.set(kind, made);
  return made;
}

const FROM_PARSER: ReceiverEvents<MessageReader> = {
  message: (to, message) => to.receive(message, false),
  compressedMessage: (to, message) => to.receive(message, true),
  ping: (to, payload) => to.inOrder(() => to.sink.onPing(bufferOf(payload, 0, payload.length)), true),
  pong: (to, payload) => to.inOrder(() => to.sink.onPong(bufferOf(payload, 0, payload.length)), true),
  close: (to, payload) => to.receiveClose(payload),
};

const FROM_INFLATE: InflateEvents<MessageReader> = {
  message: (to, message) => to.deliver(message),
  failed: (to, error) => to.fail(receiveError(error, to.header)),
  reading: (to, on) => to.setInflating(!on),
  hasRoom: () => true,
  overflows: () => false,
};

function bufferOf(source: Uint8Array, start: number, size: number): Buffer {
  return size === 0 ? EMPTY_BUFFER : Buffer.from(source.buffer, source.byteOffset + start, size);
}

const NO_HEADER = { firstByte: 0, secondByte: 0, declaredLength: 0 };

/** Parses received bytes into messages and control frames, up to the first violation. */
export class MessageReader {
  binaryType: BinaryType = "nodebuffer";
  readonly sink: MessageSink;
  header = NO_HEADER;
  private options: ReadOptions;
  private parserOptions: ReceiverOptions;
  private parser: FrameParser | undefined;
  private readonly inflate: InflateQueue | undefined;
  private inflating = false;
  /** Whether a Close or a violation was received. Later bytes are ignored. */
  private concluded = false;
  private failed = false;
  /**
   * Events that wait: with `allowSynchronousEvents: false`, or for a message that is decompressed.
   */
  private waiting: (() => void)[] | undefined;
  private turnDue = false;
  private whenDone: (() => void) | undefined;

  constructor(options: ReadOptions, codec: MessageCodec | undefined, sink: MessageSink) {
    this.options = options;
    this.sink = sink;
    this.parserOptions = parserOptions(options, codec !== undefined, false);
    if (codec === undefined) this.inflate = undefined;
    else {
      const most = limit(options.maxPayload);
      this.inflate = new InflateQueue(memory, codec, most, FROM_INFLATE, this, !options.skipUTF8Validation);
    }
  }

  get maxPayload(): number {
    return this.options.maxPayload;
  }

  set maxPayload(value: number) {
    this.change({ ...this.options, maxPayload: value });
    if (this.inflate !== undefined) this.inflate.maxMessageSize = limit(value);
  }

  get isServer(): boolean {
    return this.options.isServer;
  }

  set isServer(value: boolean) {
    this.change({ ...this.options, isServer: value });
  }

  private change(options: ReadOptions): void {
    this.options = options;
    this.useOptions();
  }

  private useOptions(): void {
    const fragments = this.binaryType === "fragments";
    this.parserOptions = parserOptions(this.options, this.inflate !== undefined, fragments);
    this.parser?.serve(this.parserOptions, FROM_PARSER, this);
  }

  setBinaryType(type: BinaryType): void {
    this.binaryType = type;
    if (type === "fragments" || this.parserOptions.keepFragmentSizes === true) this.useOptions();
  }

  /** Whether a Close or a violation was reported. */
  get isConcluded(): boolean {
    return this.concluded;
  }

  /** Whether a violation was reported. */
  get hasFailed(): boolean {
    return this.failed;
  }

  /** Processes `chunk[start..end)`. The bytes are borrowed for the call. */
  read(chunk: Uint8Array, start: number, end: number): void {
    if (this.concluded) return;
    const parser = (this.parser ??= acquireReceiver(memory, this.parserOptions, FROM_PARSER, this));
    const error = parser.receive(chunk, start, end);
    if (error !== undefined) this.violation(error, parser);
    else if (parser.atRest) {
      this.parser = undefined;
      releaseReceiver(parser);
    }
    if (this.inflate?.isUnsettled === true) this.inflate.endTick();
  }

  private violation(error: WebSocketError, parser: FrameParser): void {
    const report = receiveError(error, parser);
    this.parser = undefined;
    this.concluded = true;
    this.inOrder(() => this.fail(report), false);
  }

  fail(error: Error): void {
    this.concluded = this.failed = true;
    this.parser?.stop();
    this.parser = undefined;
    this.waiting = undefined;
    this.sink.onReadError(error);
    this.checkDone();
  }

  // ---- messages

  receive(message: Message, compressed: boolean): void {
    if (this.inflate !== undefined && (compressed || this.inflating)) this.inflate.receive(message, compressed);
    else this.deliver(message);
  }

  deliver(message: Message): void {
    const isBinary = message.type === "binary";
    const data = isBinary ? this.binary(message) : viewMessage(message, bufferOf);
    if (this.options.allowSynchronousEvents && this.waiting === undefined) this.sink.onMessage(data, isBinary);
    else this.wait(() => this.sink.onMessage(data, isBinary));
  }

  private binary(message: Message): unknown {
    switch (this.binaryType) {
      case "nodebuffer":
        return viewMessage(message, bufferOf);
      case "arraybuffer":
        return toArrayBuffer(viewMessage(message, bufferOf));
      case "blob":
        return new Blob([viewMessage(message, bufferOf)]);
      case "fragments":
        return this.fragments(viewMessage(message, bufferOf));
    }
  }

  private fragments(whole: Buffer): Buffer[] {
    if (whole.length === 0) return [];
    const sizes = this.parser?.fragmentSizes ?? [whole.length];
    const cut: Buffer[] = [];
    let at = 0;
    for (const size of sizes) {
      // a decompressed message is one piece, even if it had several frames
      if (at + size > whole.length) return [whole];
      if (size > 0) cut.push(whole.subarray(at, at + size));
      at += size;
    }
    return at === whole.length ? cut : [whole];
  }

  // ---- control frames

  receiveClose(payload: Uint8Array): void {
    this.concluded = true;
    this.parser?.stop();
    const bytes = bufferOf(payload, 0, payload.length);
    this.inOrder(() => this.conclude(bytes), false);
  }

  private conclude(payload: Buffer): void {
    if (payload.length === 1) {
      return this.fail(
        receiveError({ code: "INVALID_CLOSE_PAYLOAD" } as WebSocketError, { ...NO_HEADER, secondByte: 1 }),
      );
    }
    const code = payload.length === 0 ? NO_STATUS : payload.readUInt16BE(0);
    if (payload.length > 0 && !isSendableCloseCode(code)) return this.fail(invalidCloseCode(code));
    const reason = payload.length <= 2 ? EMPTY_BUFFER : payload.subarray(2);
    if (!this.options.skipUTF8Validation && !isUtf8(reason)) return this.fail(invalidReason());
    this.sink.onConclude(code, reason);
    this.checkDone();
  }

  /** Calls a function after all earlier messages; immediately if none waits. */
  inOrder(action: () => void, isEvent: boolean): void {
    const deferred = isEvent && !this.options.allowSynchronousEvents;
    if (this.waiting === undefined && !this.inflating && !deferred) action();
    else if (this.inflating && this.inflate !== undefined) {
      this.behindInflate ??= [];
      this.behindInflate.push(() => this.inOrder(action, isEvent));
    } else this.wait(action);
  }

  private behindInflate: (() => void)[] | undefined;

  setInflating(on: boolean): void {
    this.inflating = on;
    if (!on && this.behindInflate !== undefined) {
      const actions = this.behindInflate;
      this.behindInflate = undefined;
      for (const action of actions) action();
    }
    this.sink.onReading(!this.isBusy);
    if (!on) this.checkDone();
  }

  get isBusy(): boolean {
    return this.inflating || this.waiting !== undefined;
  }

  /** Queues an event. One is emitted in each event-loop tick. */
  private wait(action: () => void): void {
    if (this.waiting === undefined) {
      this.waiting = [];
      this.sink.onReading(false);
    }
    this.waiting.push(action);
    this.nextTurn();
  }

  private nextTurn(): void {
    if (this.turnDue) return;
    this.turnDue = true;
    setImmediate(() => {
      this.turnDue = false;
      const action = this.waiting?.shift();
      try {
        action?.();
      } finally {
        if (this.waiting !== undefined && this.waiting.length > 0) this.nextTurn();
        else {
          this.waiting = undefined;
          this.sink.onReading(!this.isBusy);
          this.checkDone();
        }
      }
    });
  }

  /** Calls back when everything received was reported. */
  end(callback: () => void): void {
    this.whenDone = callback;
    this.checkDone();
  }

  private checkDone(): void {
    if (this.whenDone === undefined || (this.isBusy && !this.failed)) return;
    const done = this.whenDone;
    this.whenDone = undefined;
    this.inflate?.close();
    done();
  }
}
