import { encodeLatin1 } from "../bytes/latin1.ts";
import { codes, consistsOf } from "./header-fields.ts";
import { invalidOption } from "../arguments.ts";
import { portableSha1 } from "./sha1.ts";

/** SHA-1 of bytes: 20 bytes. */
export type Sha1 = (bytes: Uint8Array) => Uint8Array;
/** SHA-1 of ASCII text, in base64. */
export type Sha1Base64 = (text: string) => string;
/** Fills the target with bytes from a cryptographically strong source. */
export type Random = (target: Uint8Array) => void;

const KEY_LENGTH = 24; // characters of base64
const KEY_BYTES = 16; // RFC 6455 §4.1: "a nonce consisting of a randomly selected 16-byte value"
const SHA1_BYTES = 20;
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 §1.3

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"; // RFC 4648 §4
const DIGITS: Uint8Array = codes(ALPHABET);

/** Base64 with padding (RFC 4648 §4). */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const more = bytes.length - at;
    // bytes after the end are undefined, and count as 0
    const group = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63);
    text += more > 1 ? ALPHABET.charAt((group >> 6) & 63) : "=";
    text += more > 2 ? ALPHABET.charAt(group & 63) : "=";
  }
  return text;
}

/** A new Sec-WebSocket-Key. */
export function makeKey(random: Random): string {
  const nonce = new Uint8Array(KEY_BYTES);
  random(nonce);
  return encodeBase64(nonce);
}

/**
 * RFC 6455 §4.2.1: "a base64-encoded [...] value that, when decoded, is 16 bytes in length". Unused
 * bits before the padding may be set, which RFC 4648 §3.5 allows: the sample key
 * "AQIDBAUGBwgJCgsMDQ4PEC==" of RFC 6455 §4.1 has such bits.
 */
export function isKey(text: string): boolean {
  return text.length === KEY_LENGTH && text.endsWith("==") && consistsOf(DIGITS, text, 0, KEY_LENGTH - 2);
}

/**
 * The Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2): the key as it was sent, not decoded, and
 * the GUID, hashed. `sha1` defaults to a portable function; `sha1Base64` is used instead of it.
 */
export function acceptValue(key: string, sha1: Sha1 = portableSha1, sha1Base64?: Sha1Base64): string {
  if (sha1Base64 !== undefined) return sha1Base64(key + GUID);
  const hash = sha1(encodeLatin1(key + GUID));
  if (hash.length !== SHA1_BYTES) throw invalidOption("sha1", `${SHA1_BYTES} bytes`, `${hash.length} bytes`);
  return encodeBase64(hash);
}
