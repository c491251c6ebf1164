import { type DeflateParams, MessageCodec, type ReceivedPayload, type WindowBits } from "@tungstate/protocol";
import fc from "fast-check";
import assert from "node:assert/strict";
import zlib from "node:zlib";
import { type DeflateResources, zlibEngine } from "../../src/deflate/engine.ts";
import { defaultRuntime } from "../../src/native/runtime.ts";
import { type CompressionOptions, compressionSettings } from "../../src/deflate/settings.ts";

/** A payload as delivered by a receiver, in one piece or in several. */
export function received(...pieces: readonly Uint8Array[]): ReceivedPayload {
  return {
    size: pieces.reduce((sum, piece) => sum + piece.length, 0),
    copyTo(target, at) {
      for (const piece of pieces) {
        target.set(piece, at);
        at += piece.length;
      }
      return at;
    },
    chunks: () => pieces,
  };
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (byte) => Number.parseInt(byte, 16));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export const NO_TAKEOVER: DeflateParams = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};

export const TAKEOVER: DeflateParams = {
  ...NO_TAKEOVER,
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
};

export function codec(
  params: DeflateParams = NO_TAKEOVER,
  role: "client" | "server" = "server",
  options: CompressionOptions = { threshold: 0 },
  resources: DeflateResources = defaultRuntime,
): MessageCodec {
  const settings = compressionSettings(options);
  assert.ok(settings !== undefined);
  return new MessageCodec(params, role, zlibEngine(resources, settings));
}

export function jobCounts({ deflateJobs: { running, waiting } }: DeflateResources): {
  readonly running: number;
  readonly waiting: number;
} {
  return { running, waiting };
}

/** Copies the result of a call, because borrowed memory does not last. */
export async function kept<T>(result: T | Promise<T>): Promise<T> {
  const value = result instanceof Promise ? await result : result;
  return value instanceof Uint8Array ? (new Uint8Array(value) as T & Uint8Array) : value;
}

/**
 * One live zlib stream for all messages of a direction, as in other endpoints; rejects references
 * outside its window.
 */
export class LivePeer {
  private readonly stream: zlib.DeflateRaw | zlib.InflateRaw;
  private pieces: Buffer[] = [];
  private failure: Error | undefined;

  constructor(kind: "deflate" | "inflate", windowBits: number) {
    // with output in small pieces an inflater uses its window instead of its output
    this.stream =
      kind === "deflate"
        ? zlib.createDeflateRaw({ windowBits: Math.max(9, windowBits) })
        : zlib.createInflateRaw({ windowBits, chunkSize: 64 });
    this.stream.on("data", (piece: Buffer) => this.pieces.push(piece));
    this.stream.on("error", (error) => (this.failure = error));
  }

  /** Deflates a message and removes its tail. */
  async deflate(message: Uint8Array): Promise<Uint8Array> {
    const deflated = message.length === 0 ? Uint8Array.of(0) : (await this.through(message)).subarray(0, -4);
    return deflated;
  }

  /** Inflates a message after appending its tail. */
  async inflate(payload: Uint8Array): Promise<Uint8Array> {
    return this.through(Buffer.concat([payload, Uint8Array.of(0x00, 0x00, 0xff, 0xff)]));
  }

  close(): void {
    this.stream.destroy();
  }

  private async through(bytes: Uint8Array): Promise<Uint8Array> {
    this.pieces = [];
    await new Promise<void>((resolve, reject) => {
      this.stream.once("error", reject);
      this.stream.write(bytes);
      this.stream.flush(zlib.constants.Z_SYNC_FLUSH, () => {
        this.stream.off("error", reject);
        resolve();
      });
    });
    if (this.failure !== undefined) throw this.failure;
    return Buffer.concat(this.pieces);
  }
}

const bits = fc.integer({ min: 8, max: 15 }) as fc.Arbitrary<WindowBits>;

export const anyParams: fc.Arbitrary<DeflateParams> = fc.record({
  serverNoContextTakeover: fc.boolean(),
  clientNoContextTakeover: fc.boolean(),
  serverMaxWindowBits: bits,
  clientMaxWindowBits: bits,
});

/** Messages that share words over short and long distances, and some incompressible ones. */
export const anyMessage: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc.array(fc.constantFrom("alpha", "beta", "gamma", "{", '"id":', "0", "ä"), { maxLength: 60 }),
    },
    { weight: 2, arbitrary: fc.array(fc.integer({ min: 0, max: 999 }).map(String), { maxLength: 900 }) },
  )
  .map((words) => bytesOf(words.join(" ")))
  .chain((text) =>
    fc.oneof(
      { weight: 5, arbitrary: fc.constant(text) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 3000, size: "max" }) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 40_000 }).map((size) => new Uint8Array(size).fill(65)) },
    ),
  );
