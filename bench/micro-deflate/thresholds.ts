// Compressed sizes by message size, with an empty window and with a window of 4 KiB: the size above
// which compression pays off. node --import tsx bench/micro-deflate/thresholds.ts
import zlib from "node:zlib";
import { chats, payloads } from "./payloads.ts";
import { table } from "./timing.ts";

const SIZES = [32, 64, 96, 128, 256, 512];
const LEVEL = 2;
const WINDOW_BITS = 12;
const TAIL = 4; // bytes; RFC 7692 §7.2.1 removes the end of a flush

function deflated(message: Buffer, window: Buffer): number {
  const options = { level: LEVEL, finishFlush: zlib.constants.Z_SYNC_FLUSH };
  if (window.length === 0) return zlib.deflateRawSync(message, options).length - TAIL;
  return zlib.deflateRawSync(message, { ...options, windowBits: WINDOW_BITS, dictionary: window }).length - TAIL;
}

/** In percent. Messages that would not become smaller are sent uncompressed. */
function left(messages: readonly Buffer[], takeover: boolean): string {
  let [before, after] = [0, 0];
  let window = Buffer.alloc(0);
  for (const message of messages) {
    before += message.length;
    after += Math.min(message.length, deflated(message, window));
    if (takeover) window = Buffer.concat([window, message]).subarray(-(2 ** WINDOW_BITS));
  }
  return ((100 * after) / before).toFixed(0);
}

const rows = SIZES.map((size) => {
  const [json, chat] = [payloads(size, 500), chats(size, 500)];
  return [String(size), left(json, false), left(json, true), left(chat, false), left(chat, true)];
});
console.log(table(["bytes", "JSON", "with takeover", "chat", "with takeover"], rows));
