import type { DeflateEngine } from "@tungstate/protocol";
import { deflateLater, inflateLater } from "./asynchronous.ts";
import type { CompressionSettings } from "./settings.ts";
import { copied, deflateNow, encodeText, inflateNow, storedBlocks } from "./synchronous.ts";

/** Returns DEFLATE by node:zlib with these settings, for the codecs of the protocol. */
export function zlibEngine(settings: CompressionSettings): DeflateEngine {
  return {
    threshold: settings.threshold,
    asyncThreshold: settings.asyncThreshold,
    binary: settings.binary,
    encode: encodeText,
    join: copied,
    deflate: (payload, windowBits, window) => deflateNow(payload, windowBits, settings, window),
    deflateAsync: (payload, windowBits, window) => deflateLater(payload, windowBits, settings, window),
    store: storedBlocks,
    inflate: inflateNow,
    inflateAsync: inflateLater,
    nextTick: (callback) => {
      setImmediate(callback);
    },
  };
}
