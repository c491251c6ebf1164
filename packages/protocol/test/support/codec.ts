import type { DeflateEngine, ReceivedPayload } from "../../src/deflate/engine.ts";
import { MessageCodec } from "../../src/deflate/message-codec.ts";
import type { Role } from "./frames.ts";

const TAIL = [0x00, 0x00, 0xff, 0xff];

function joined(payload: ReceivedPayload): Uint8Array {
  const bytes = new Uint8Array(payload.size);
  payload.copyTo(bytes, 0);
  return bytes;
}

function never(): never {
  throw new Error("every message is processed synchronously");
}

/** Compresses nothing: the payload of a compressed message is the message. */
export const IDENTITY: DeflateEngine = {
  threshold: 0,
  asyncThreshold: Infinity,
  binary: true,
  encode: (text) => new TextEncoder().encode(text),
  join: joined,
  deflate: (payload) => Uint8Array.of(...payload, ...TAIL),
  deflateAsync: never,
  store: (payload) => Uint8Array.of(...payload, ...TAIL),
  inflate: joined,
  inflateAsync: never,
  nextTick: (callback) => callback(),
};

const PARAMS = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
} as const;

/** Returns a codec whose messages are not compressed, but have the frames of compressed ones. */
export function identityCodec(role: Role): MessageCodec {
  return codecWith(role, IDENTITY);
}

/** Returns a codec without context takeover. */
export function codecWith(role: Role, engine: DeflateEngine): MessageCodec {
  return new MessageCodec(PARAMS, role, engine);
}
