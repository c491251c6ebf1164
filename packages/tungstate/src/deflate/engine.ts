import type { DeflateEngine } from "@tungstate/protocol";
import type { ZlibPool } from "../native/zlib-pool.ts";
import type { JobQueue } from "../schedule/job-queue.ts";
import { deflateLater, inflateLater } from "./asynchronous.ts";
import type { CompressionSettings } from "./settings.ts";
import { copied, deflateNow, encodeText, inflateNow, storedBlocks } from "./synchronous.ts";

/** What compressed connections share. */
export interface DeflateResources {
  readonly zlib: ZlibPool;
  /** Messages that are compressed and decompressed in the thread pool. */
  readonly deflateJobs: JobQueue;
}

/** Returns DEFLATE by node:zlib with these settings, for the codecs of the protocol. */
export function zlibEngine({ zlib, deflateJobs }: DeflateResources, settings: CompressionSettings): DeflateEngine {
  return {
    threshold: settings.threshold,
    asyncThreshold: settings.asyncThreshold,
    binary: settings.binary,
    encode: (text) => encodeText(zlib, text),
    join: (payload) => copied(zlib, payload),
    deflate: (payload, windowBits, window) => deflateNow(zlib, payload, windowBits, settings, window),
    deflateAsync: (payload, windowBits, window) => deflateLater(deflateJobs, payload, windowBits, settings, window),
    store: storedBlocks,
    inflate: (payload, limit, most, window) => inflateNow(zlib, payload, limit, most, window),
    inflateAsync: (chunks, limit, window) => inflateLater(deflateJobs, chunks, limit, window),
    nextTick: (callback) => {
      setImmediate(callback);
    },
  };
}
