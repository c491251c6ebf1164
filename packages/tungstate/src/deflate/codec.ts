import {
  deflateDirections,
  type DeflateFresh,
  type DeflateParams,
  type MessageCodec,
  type NegotiatedExtension,
  PERMESSAGE_DEFLATE,
  protocolError,
  type ReceivedPayload,
  type WebSocketError,
  type WindowBits,
} from "@tungstate/protocol";
import { deflateLater, inflateLater, type Job } from "./asynchronous.ts";
import { copied, deflateNow, encodeText, inflateNow, storedBlocks, SYNC_TAIL_SIZE } from "./synchronous.ts";
import type { CompressionSettings } from "./settings.ts";
import { Window } from "./window.ts";

type Deflated = Uint8Array | undefined;

const EMPTY = new Uint8Array(0);
/** RFC 7692 §7.2.3.6: an empty message, or an empty fragment at the end of one. */
const EMPTY_LAST = Uint8Array.of(0x00);

/** permessage-deflate with node:zlib. Holds no zlib stream, and no memory but the windows that were agreed on. */
export class NodeMessageCodec implements MessageCodec {
  readonly deflateWindowBits: WindowBits;
  private readonly settings: CompressionSettings;
  /** What this end's messages may refer to, and the peer's; undefined without context takeover. */
  private readonly sent: Window | undefined;
  private readonly received: Window | undefined;
  private deflating: Job<unknown> | undefined;
  private inflating: Job<unknown> | undefined;
  private closed = false;

  constructor(params: DeflateParams, role: "client" | "server", settings: CompressionSettings) {
    const { deflate, inflate } = deflateDirections(params, role);
    this.settings = settings;
    this.deflateWindowBits = deflate.windowBits;
    this.sent = deflate.contextTakeover ? new Window(deflate.windowBits) : undefined;
    this.received = inflate.contextTakeover ? new Window(inflate.windowBits) : undefined;
  }

  inflate(
    payload: ReceivedPayload,
    limit: number,
  ): Uint8Array | WebSocketError | Promise<Uint8Array | WebSocketError | undefined> {
    checkIdle(this.inflating);
    const { asyncThreshold } = this.settings;
    if (payload.size <= asyncThreshold) {
      const inflated = inflateNow(payload, limit, asyncThreshold, this.received);
      if (inflated !== undefined) return inflated;
    }
    if (this.closed) return Promise.resolve(undefined);
    const job = inflateLater(payload.chunks(), limit, this.received);
    this.inflating = job;
    return job.result.then((inflated) => {
      this.inflating = undefined;
      if (inflated instanceof Uint8Array) this.received?.append(inflated);
      return inflated;
    });
  }

  deflate(data: Uint8Array | string | ReceivedPayload): Deflated | Promise<Deflated> {
    const { threshold, asyncThreshold } = this.settings;
    let payload: Uint8Array;
    if (typeof data === "string") {
      if (data.length < threshold && Buffer.byteLength(data) < threshold) return undefined;
      payload = data.length > asyncThreshold ? Buffer.from(data) : encodeText(data);
      // what is worked on later can't stay in the buffer that all share
      if (payload.length > asyncThreshold) payload = new Uint8Array(payload);
    } else if (data instanceof Uint8Array) payload = data;
    else payload = data.size > asyncThreshold ? joined(data) : copied(data);
    if (payload.length < threshold || payload.length === 0) return undefined;
    return this.deflateBytes(payload, SYNC_TAIL_SIZE);
  }

  deflateFragment(payload: Uint8Array, last: boolean): Uint8Array | Promise<Deflated> {
    if (payload.length === 0) return last ? EMPTY_LAST : EMPTY;
    const cut = last ? SYNC_TAIL_SIZE : 0;
    const deflated = this.deflateBytes(payload, cut);
    if (!(deflated instanceof Promise)) return deflated ?? this.storedFragment(payload, cut);
    return deflated.then((bytes) => bytes ?? (this.closed ? undefined : this.storedFragment(payload, cut)));
  }

  private storedFragment(payload: Uint8Array, cut: number): Uint8Array {
    this.sent?.append(payload);
    const stored = storedBlocks(payload);
    return stored.subarray(0, stored.length - cut);
  }

  private deflateBytes(payload: Uint8Array, cut: number): Deflated | Promise<Deflated> {
    checkIdle(this.deflating);
    if (payload.length <= this.settings.asyncThreshold) {
      const deflated = deflateNow(payload, this.deflateWindowBits, this.settings, this.sent);
      if (deflated === undefined) return undefined;
      this.sent?.append(payload);
      return cutTail(deflated, cut);
    }
    if (this.closed) return Promise.resolve(undefined);
    const job = deflateLater(payload, this.deflateWindowBits, this.settings, this.sent);
    this.deflating = job;
    return job.result.then((deflated) => {
      this.deflating = undefined;
      if (deflated === undefined) return undefined;
      this.sent?.append(payload);
      return cutTail(deflated, cut);
    });
  }

  sentFresh(payload: Uint8Array): void {
    checkIdle(this.deflating);
    this.sent?.append(payload);
  }

  resetDeflate(): void {
    this.sent?.clear();
  }

  close(): void {
    this.closed = true;
    this.deflating?.cancel();
    this.inflating?.cancel();
    this.sent?.clear();
    this.received?.clear();
  }
}

function cutTail(deflated: Uint8Array, cut: number): Uint8Array {
  return cut === 0 ? deflated : deflated.subarray(0, deflated.length - cut);
}

function joined(data: ReceivedPayload): Uint8Array {
  const pieces = data.chunks();
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
}

function checkIdle(job: Job<unknown> | undefined): void {
  if (job !== undefined) throw protocolError("INVALID_STATE", "the message before is still being worked on");
}

function fresh(deflated: Uint8Array | undefined): Deflated {
  return deflated === undefined ? undefined : cutTail(deflated, SYNC_TAIL_SIZE);
}

/** Compresses prepared messages for connections with these settings: see `compressedForm`. */
export function deflateFresh(settings: CompressionSettings): DeflateFresh {
  return (payload, windowBits) => {
    if (payload.length < settings.threshold || payload.length === 0) return undefined;
    if (payload.length <= settings.asyncThreshold) return fresh(deflateNow(payload, windowBits, settings, undefined));
    return deflateLater(payload, windowBits, settings, undefined).result.then(fresh);
  };
}

/** The codec for what a handshake has agreed on; undefined where that is no compression. */
export function codecOf(
  extensions: readonly NegotiatedExtension[],
  role: "client" | "server",
  settings: CompressionSettings | undefined,
): MessageCodec | undefined {
  const agreed = extensions.find((extension) => extension.name === PERMESSAGE_DEFLATE);
  if (agreed === undefined || settings === undefined) return undefined;
  return new NodeMessageCodec(agreed.negotiated as DeflateParams, role, settings);
}
