import { invalidArgument, latin1Bytes } from "./text.ts";

/** SHA-1 of bytes: 20 bytes. */
export type Sha1 = (bytes: Uint8Array) => Uint8Array;
/** Fills the target with bytes from a cryptographically strong source. */
export type Random = (target: Uint8Array) => void;

const KEY_BYTES = 16; // RFC 6455 §4.1: "a nonce consisting of a randomly selected 16-byte value"
const SHA1_BYTES = 20;
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 §1.3

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"; // RFC 4648 §4
const NO_DIGIT = 64;
const DIGITS: Uint8Array = digits();

function digits(): Uint8Array {
  const table = new Uint8Array(256).fill(NO_DIGIT);
  for (let digit = 0; digit < ALPHABET.length; digit++) table[ALPHABET.charCodeAt(digit)] = digit;
  return table;
}

/** Base64 with padding (RFC 4648 §4). */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const more = bytes.length - at;
    const group = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2]; // what is behind the end is undefined, and its bits 0
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63);
    text += more > 1 ? ALPHABET.charAt((group >> 6) & 63) : "=";
    text += more > 2 ? ALPHABET.charAt(group & 63) : "=";
  }
  return text;
}

/**
 * Decodes base64 with padding; undefined if a character, the length or the padding is wrong. Bits that the padding leaves
 * over may be set, which RFC 4648 §3.5 allows: the sample key "AQIDBAUGBwgJCgsMDQ4PEC==" of RFC 6455 §4.1 has such bits.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const end = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let held = 0; // how many of them are still to be written
  let to = 0;
  for (let at = 0; at < end; at++) {
    const digit = DIGITS[text.charCodeAt(at)] ?? NO_DIGIT;
    if (digit === NO_DIGIT) return undefined;
    bits = ((bits << 6) | digit) & 0xfff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[to++] = bits >> held;
    }
  }
  return bytes;
}

/** A new Sec-WebSocket-Key. */
export function makeKey(random: Random): string {
  const nonce = new Uint8Array(KEY_BYTES);
  random(nonce);
  return encodeBase64(nonce);
}

/** RFC 6455 §4.2.1: "a base64-encoded [...] value that, when decoded, is 16 bytes in length". */
export function isKey(text: string): boolean {
  return decodeBase64(text)?.length === KEY_BYTES;
}

/** The Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2): the key as it was sent, not decoded, and the GUID, hashed. */
export function acceptValue(key: string, sha1: Sha1): string {
  const hash = sha1(latin1Bytes(key + GUID));
  if (hash.length !== SHA1_BYTES) throw invalidArgument("sha1", `${SHA1_BYTES} bytes`, `${hash.length} bytes`);
  return encodeBase64(hash);
}
