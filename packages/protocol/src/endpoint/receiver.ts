import { Assembly } from "../messages/assembly.ts";
import type { WebSocketError } from "../errors.ts";
import { FIN, OPCODE, RSV1 } from "../frames/frame.ts";
import { HeaderParser, type ReceiverOptions } from "./header-parser.ts";
import { isAscii, rotateKey } from "../bytes/mask.ts";
import { Message } from "../messages/message.ts";
import { checkUtf8Piece } from "../bytes/primitives.ts";
import type { Memory } from "../runtime/memory.ts";
import { LARGEST_SHARED } from "../runtime/slabs.ts";
import { UTF8_INVALID, UTF8_START } from "../bytes/utf8.ts";

/** What a receiver calls, in the order of the bytes. `to` is the connection that it reads for. */
export interface ReceiverEvents<To> {
  message(to: To, message: Message): void;
  /**
   * A message whose first frame has RSV1: its payload is still compressed, and its text not
   * validated.
   */
  compressedMessage(to: To, message: Message): void;
  ping(to: To, payload: Uint8Array): void;
  pong(to: To, payload: Uint8Array): void;
  /** The payload of a Close frame, unchecked. */
  close(to: To, payload: Uint8Array): void;
}

const EMPTY = new Uint8Array(0);

const LARGEST_SMALL = 256; // bytes

/**
 * Returns a receiver. Release it as soon as it is `atRest`: between messages a connection has no
 * state to keep, so that mostly one receiver serves all connections in turn.
 */
export function acquireReceiver<To>(
  memory: Memory,
  options: ReceiverOptions,
  events: ReceiverEvents<To>,
  to: To,
): Receiver {
  const idle = memory.idleParser;
  if (!(idle instanceof Receiver)) return new Receiver(memory, options, events, to);
  memory.idleParser = undefined;
  idle.serve(options, events, to);
  return idle;
}

/** Lets other connections use a receiver that is at rest. */
export function releaseReceiver(receiver: Receiver): void {
  // it must not keep the connection in memory
  receiver.serve(receiver.options, NO_EVENTS, undefined);
  receiver.memory.idleParser = receiver;
}

const NO_EVENTS: ReceiverEvents<undefined> = {
  message: ignore,
  compressedMessage: ignore,
  ping: ignore,
  pong: ignore,
  close: ignore,
};

function ignore(): void {
  // a receiver that was released gets no bytes
}

/**
 * Turns frames into messages in one pass over each chunk. It neither keeps nor changes bytes of a
 * chunk. After the first violation, `receive` returns the error and processes nothing more.
 */
export class Receiver extends HeaderParser {
  private stopped = false;
  /** Whether a call of `receive` is in progress. */
  private busy = false;
  private events: ReceiverEvents<never>;
  private to: never;
  /** Chunks that contained a part of the current frame. Counted only if the options limit them. */
  private chunks = 0;
  private frames = 0;
  /** Offset at which the last call of `receive` ended. */
  position = 0;
  /** UTF-8 state of the message in progress. */
  private utf8 = UTF8_START;
  /** The payload of a control frame that continues in the next chunk. */
  private control: Uint8Array | undefined;
  private sizes: number[] | undefined;

  constructor(memory: Memory, options: ReceiverOptions, events: ReceiverEvents<never>, to: unknown) {
    super(memory, options);
    this.events = events;
    this.to = to as never;
  }

  /** Reads for another connection from now on. */
  serve<To>(options: ReceiverOptions, events: ReceiverEvents<To>, to: To): void {
    this.options = options;
    this.events = events;
    this.to = to as never;
  }

  /** Whether it has no state to keep, and no call is in progress. */
  get atRest(): boolean {
    return !this.inPayload && this.partialSize === 0 && this.assembly === undefined && !this.busy && !this.stopped;
  }

  /** Bytes kept of an incomplete message. */
  get pendingSize(): number {
    return this.assembly?.size ?? 0;
  }

  /** Whether a message has begun and is incomplete. */
  get midMessage(): boolean {
    return this.assembly !== undefined || (this.inPayload && (this.first & 0x08) === 0);
  }

  /**
   * Stops processing. May be called within a call of the sink: nothing after the current frame is
   * processed, and what was kept is dropped.
   */
  stop(): void {
    this.stopped = true;
    this.inPayload = false;
    this.assembly = undefined;
  }

  /**
   * Processes the frames of `chunk[at..end)` that begin before `until`. `position` is where it has
   * stopped.
   */
  receive(chunk: Uint8Array, at: number, end: number, until = end): WebSocketError | undefined {
    const within = this.busy; // a listener may pass in more bytes
    this.busy = true;
    const isCounted = this.options.maxFrameChunks !== undefined;
    at = isCounted ? this.takeCounted(chunk, at, end, until) : this.take(chunk, at, end, until);
    this.busy = within;
    this.position = at;
    if (at >= 0) return undefined;
    this.stop();
    return this.failure;
  }

  /** As `take`, with a limit of chunks for each frame. */
  private takeCounted(chunk: Uint8Array, at: number, end: number, until: number): number {
    const most = this.options.maxFrameChunks ?? Infinity;
    if (this.chunks >= most && !this.stopped) return this.fail("TOO_MANY_CHUNKS", `limit ${most}`);
    const { frames } = this;
    at = this.take(chunk, at, end, until);
    if (this.frames !== frames) this.chunks = 0;
    if (this.inPayload || this.partialSize > 0) this.chunks++;
    return at;
  }

  /**
   * The payload sizes of the frames of the message that is being delivered; undefined for a message
   * that was received in one piece.
   */
  get fragmentSizes(): readonly number[] | undefined {
    return this.sizes;
  }

  /** Returns the offset at which it has stopped, -1 for a violation. */
  private take(chunk: Uint8Array, at: number, end: number, until: number): number {
    while (at >= 0 && !this.stopped) {
      if (!this.inPayload) {
        if (at >= until) break;
        at = this.partialSize === 0 ? this.readHeader(chunk, at, end) : this.resumeHeader(chunk, at, end);
        // the rest of the header is in the next chunk, or the header is invalid
        if (!this.inPayload) break;
      }
      if (at >= end && this.remaining > 0) break; // the rest of the payload is in the next chunk
      at = (this.first & 0x08) !== 0 ? this.readControl(chunk, at, end) : this.readData(chunk, at, end);
    }
    return at;
  }

  private readData(chunk: Uint8Array, at: number, end: number): number {
    const available = end - at;
    if (this.assembly === undefined) {
      if (available >= this.length && (this.first & FIN) !== 0) return this.readWholeMessage(chunk, at);
      this.assembly = new Assembly(
        this.memory,
        (this.first & 0x0f) === OPCODE.TEXT ? "text" : "binary",
        (this.first & RSV1) !== 0,
      );
      this.utf8 = UTF8_START;
    }
    const assembly = this.assembly;
    const stop = at + Math.min(available, this.remaining);
    const last = (this.first & FIN) !== 0;
    const checked = assembly.type === "text" && !assembly.compressed && this.options.skipUtf8Check !== true;
    while (at < stop) {
      const key = rotateKey(this.key, this.length - this.remaining);
      const seen = assembly.append(chunk, at, stop, key, this.remaining - (stop - at), last);
      if (checked && (this.utf8 !== UTF8_START || !isAscii(seen))) {
        this.utf8 = checkUtf8Piece(assembly.piece, assembly.from, assembly.to, this.utf8, this.memory.primitives);
        // §8.1: text that is not UTF-8 fails the connection, here at the first invalid byte
        if (this.utf8 === UTF8_INVALID) return this.fail("INVALID_UTF8");
      }
      const kept = assembly.to - assembly.from;
      at += kept;
      this.remaining -= kept;
    }
    if (this.remaining > 0) return at;
    this.inPayload = false;
    this.frames = (this.frames + 1) | 0;
    assembly.frames++;
    if (this.options.keepFragmentSizes === true) (assembly.sizes ??= []).push(this.length);
    if (!last) return at;
    if (checked && this.utf8 !== UTF8_START) return this.fail("INVALID_UTF8", "the text ends inside a character");
    this.assembly = undefined;
    this.sizes = assembly.sizes;
    const pieces = assembly.finish();
    const only = pieces.length === 1 ? pieces[0] : undefined;
    this.deliver(
      only === undefined && pieces.length > 0
        ? new Message(this.memory, assembly.type, EMPTY, 0, assembly.size, pieces, true)
        : new Message(this.memory, assembly.type, only ?? EMPTY, 0, assembly.size, undefined, true),
      assembly.compressed,
    );
    this.sizes = undefined;
    return at;
  }

  /** The most frequent case: a message of one frame that is completely in the chunk. */
  private readWholeMessage(chunk: Uint8Array, at: number): number {
    const { length, memory } = this;
    const isText = (this.first & 0x0f) === OPCODE.TEXT;
    const compressed = (this.first & RSV1) !== 0;
    let target: Uint8Array;
    let words: Int32Array;
    let to: number;
    const shared = length <= LARGEST_SHARED;
    if (shared) {
      const slabs = length <= LARGEST_SMALL ? memory.smallSlabs : memory.largeSlabs;
      to = slabs.take(length, memory.views.offsetOf(chunk) + at);
      target = slabs.bytes;
      words = slabs.words;
    } else {
      to = (memory.views.offsetOf(chunk) + at) & 3;
      target = memory.pieces.acquire(to + length, 2 * length);
      for (let i = 0; i < to; i++) target[i] = 0; // these bytes are visible in `bytes.buffer`
      words = new Int32Array(target.buffer, 0, target.length >> 2);
    }
    const seen = memory.copyMasked(chunk, at, length, this.key, target, words, to);
    if (isText && !compressed && !isAscii(seen) && this.options.skipUtf8Check !== true) {
      const state = checkUtf8Piece(target, to, to + length, UTF8_START, memory.primitives);
      if (state === UTF8_INVALID) return this.fail("INVALID_UTF8");
      if (state !== UTF8_START) return this.fail("INVALID_UTF8", "the text ends inside a character");
    }
    this.inPayload = false;
    this.frames = (this.frames + 1) | 0;
    this.deliver(new Message(memory, isText ? "text" : "binary", target, to, length, undefined, !shared), compressed);
    return at + length;
  }

  private deliver(message: Message, compressed: boolean): void {
    if (compressed) this.events.compressedMessage(this.to, message);
    else this.events.message(this.to, message);
  }

  private readControl(chunk: Uint8Array, at: number, end: number): number {
    const payload = (this.control ??= this.length === 0 ? EMPTY : new Uint8Array(this.length));
    const done = this.length - this.remaining;
    const taken = Math.min(end - at, this.remaining);
    for (let i = 0; i < taken; i++) payload[done + i] = chunk[at + i] ^ rotateKey(this.key, done + i);
    this.remaining -= taken;
    if (this.remaining > 0) return at + taken;
    this.inPayload = false;
    this.frames = (this.frames + 1) | 0;
    this.control = undefined;
    const opcode = this.first & 0x0f;
    if (opcode === OPCODE.PING) this.events.ping(this.to, payload);
    else if (opcode === OPCODE.PONG) this.events.pong(this.to, payload);
    else this.events.close(this.to, payload);
    return at + taken;
  }
}
