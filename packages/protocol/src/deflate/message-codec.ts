import { utf8Length } from "../bytes/utf8.ts";
import { protocolError, type WebSocketError } from "../errors.ts";
import type { NegotiatedExtension } from "../handshake/extensions.ts";
import type { DeflateEngine, DeflateJob, ReceivedPayload } from "./engine.ts";
import { PERMESSAGE_DEFLATE } from "./negotiation.ts";
import { deflateDirections, type DeflateParams, type WindowBits } from "./params.ts";
import { Window } from "./window.ts";

/**
 * RFC 7692 §7.2.1: bytes that a sender removes from the end of a message, and a receiver puts back.
 */
const SYNC_TAIL_SIZE = 4;

type Deflated = Uint8Array | undefined;

const EMPTY = new Uint8Array(0);
/** RFC 7692 §7.2.3.6: an empty message, or an empty fragment at the end of one. */
const EMPTY_LAST = Uint8Array.of(0x00);

/**
 * Deflates and inflates the messages of one connection (RFC 7692 §7.2). Keeps no more than the
 * windows that were negotiated.
 *
 * Small messages are processed synchronously, large ones asynchronously. Bytes that are returned at
 * once are borrowed until the next call of any codec. Promises never reject. While one is pending,
 * another call in the same direction throws INVALID_STATE.
 */
export class MessageCodec {
  /** The window of messages that are compressed for many connections. */
  readonly deflateWindowBits: WindowBits;
  /** DEFLATE itself, as the runtime has it. */
  readonly engine: DeflateEngine;
  /** What this end's messages may refer to, and the peer's; undefined without context takeover. */
  readonly #sent: Window | undefined;
  readonly #received: Window | undefined;
  #deflating: DeflateJob<unknown> | undefined;
  #inflating: DeflateJob<unknown> | undefined;
  #closed = false;

  constructor(params: DeflateParams, role: "client" | "server", engine: DeflateEngine) {
    const { deflate, inflate } = deflateDirections(params, role);
    this.engine = engine;
    this.deflateWindowBits = deflate.windowBits;
    this.#sent = deflate.contextTakeover ? new Window(deflate.windowBits) : undefined;
    this.#received = inflate.contextTakeover ? new Window(inflate.windowBits) : undefined;
  }

  /**
   * Inflates one message of at most `limit` bytes. The error is MESSAGE_TOO_BIG, or INVALID_DEFLATE
   * for data that is not DEFLATE or is cut off.
   */
  inflate(
    payload: ReceivedPayload,
    limit: number,
  ): Uint8Array | WebSocketError | Promise<Uint8Array | WebSocketError | undefined> {
    checkIdle(this.#inflating);
    const { asyncThreshold } = this.engine;
    if (payload.size <= asyncThreshold) {
      const inflated = this.engine.inflate(payload, limit, asyncThreshold, this.#received);
      if (inflated instanceof Uint8Array) this.#received?.append(inflated);
      if (inflated !== undefined) return inflated;
    }
    if (this.#closed) return Promise.resolve(undefined);
    const job = this.engine.inflateAsync(payload.chunks(), limit, this.#received);
    this.#inflating = job;
    return job.result.then((inflated) => {
      this.#inflating = undefined;
      if (inflated instanceof Uint8Array) this.#received?.append(inflated);
      return inflated;
    });
  }

  /**
   * Deflates one message, text as its UTF-8. Undefined: send it uncompressed. A payload that is
   * deflated asynchronously must not be changed until then.
   */
  deflate(data: Uint8Array | string | ReceivedPayload): Deflated | Promise<Deflated> {
    const { threshold, asyncThreshold } = this.engine;
    let payload: Uint8Array;
    if (typeof data === "string") {
      if (data.length < threshold && utf8Length(data) < threshold) return undefined;
      payload = this.engine.encode(data);
      // what is processed asynchronously can't stay in the engine's memory
      if (payload.length > asyncThreshold) payload = new Uint8Array(payload);
    } else if (data instanceof Uint8Array) payload = data;
    else payload = data.size > asyncThreshold ? joined(data) : this.engine.join(data);
    if (payload.length < threshold || payload.length === 0) return undefined;
    return this.#deflateBytes(payload, SYNC_TAIL_SIZE);
  }

  /** Deflates the next fragment of a message whose first frame has RSV1. */
  deflateFragment(payload: Uint8Array, last: boolean): Uint8Array | Promise<Deflated> {
    if (payload.length === 0) return last ? EMPTY_LAST : EMPTY;
    const cut = last ? SYNC_TAIL_SIZE : 0;
    const deflated = this.#deflateBytes(payload, cut);
    if (!(deflated instanceof Promise)) return deflated ?? this.#storedFragment(payload, cut);
    return deflated.then((bytes) => bytes ?? (this.#closed ? undefined : this.#storedFragment(payload, cut)));
  }

  #storedFragment(payload: Uint8Array, cut: number): Uint8Array {
    this.#sent?.append(payload);
    const stored = this.engine.store(payload);
    return stored.subarray(0, stored.length - cut);
  }

  #deflateBytes(payload: Uint8Array, cut: number): Deflated | Promise<Deflated> {
    checkIdle(this.#deflating);
    if (payload.length <= this.engine.asyncThreshold) {
      const deflated = this.engine.deflate(payload, this.deflateWindowBits, this.#sent);
      if (deflated === undefined) return undefined;
      this.#sent?.append(payload);
      return cutTail(deflated, cut);
    }
    if (this.#closed) return Promise.resolve(undefined);
    const job = this.engine.deflateAsync(payload, this.deflateWindowBits, this.#sent);
    this.#deflating = job;
    return job.result.then((deflated) => {
      this.#deflating = undefined;
      if (deflated === undefined) return undefined;
      this.#sent?.append(payload);
      return cutTail(deflated, cut);
    });
  }

  /**
   * Call it when a message was sent that was compressed with an empty window for many connections:
   * the peer's window ends with `payload` (uncompressed) then.
   */
  sentWithoutContext(payload: Uint8Array): void {
    checkIdle(this.#deflating);
    this.#sent?.append(payload);
  }

  /**
   * Deflates the next message with an empty window. Call it when a deflated message is not sent.
   */
  resetDeflate(): void {
    this.#sent?.clear();
  }

  /** Drops what is under way and releases memory. */
  close(): void {
    this.#closed = true;
    this.#deflating?.cancel();
    this.#inflating?.cancel();
    this.#sent?.clear();
    this.#received?.clear();
  }
}

function cutTail(deflated: Uint8Array, cut: number): Uint8Array {
  return cut === 0 ? deflated : deflated.subarray(0, deflated.length - cut);
}

function joined(data: ReceivedPayload): Uint8Array {
  const pieces = data.chunks();
  if (pieces.length === 1) return pieces[0];
  const bytes = new Uint8Array(data.size);
  data.copyTo(bytes, 0);
  return bytes;
}

function checkIdle(job: DeflateJob<unknown> | undefined): void {
  if (job !== undefined) throw protocolError("INVALID_STATE", "the previous message is still being processed");
}

function withoutTail(deflated: Uint8Array | undefined): Deflated {
  return deflated === undefined ? undefined : cutTail(deflated, SYNC_TAIL_SIZE);
}

/** Compresses the payload of a prepared message without context: see `compressedForm`. */
export function deflateWithoutContext(
  engine: DeflateEngine,
  payload: Uint8Array,
  windowBits: WindowBits,
): Deflated | Promise<Deflated> {
  if (payload.length < engine.threshold || payload.length === 0) return undefined;
  if (payload.length <= engine.asyncThreshold) return withoutTail(engine.deflate(payload, windowBits, undefined));
  return engine.deflateAsync(payload, windowBits, undefined).result.then(withoutTail);
}

/** Makes the codec of a connection. */
export type CodecFactory = (
  extensions: readonly NegotiatedExtension[],
  role: "client" | "server",
) => MessageCodec | undefined;

/**
 * Returns a function that makes the codec for what a handshake has negotiated; it returns undefined
 * where that is no compression.
 */
export function codecFactory(engine: DeflateEngine): CodecFactory {
  return (extensions, role) => {
    const agreed = extensions.find((extension) => extension.name === PERMESSAGE_DEFLATE);
    return agreed === undefined ? undefined : new MessageCodec(agreed.negotiated as DeflateParams, role, engine);
  };
}
