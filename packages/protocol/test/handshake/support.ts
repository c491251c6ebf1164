import assert from "node:assert/strict";
import type { WebSocketError } from "../../src/errors.ts";
import { portableSha1 } from "../../src/handshake/sha1.ts";

/** Returns the bytes of text, one for each character. */
export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function text(source: Uint8Array): string {
  return Array.from(source, (byte) => String.fromCharCode(byte)).join("");
}

/** Returns a head of these lines. */
export function head(...lines: readonly string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

export const sha1 = portableSha1;

/** The nonce of RFC 6455 §1.3, "the sample nonce". */
export function sampleNonce(target: Uint8Array): void {
  target.set(bytes("the sample nonce"));
}

export const SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ==";
export const SAMPLE_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/**
 * Returns the lines of a valid request; given ones replace those of the same name, or are added.
 */
export function requestLines(changes: Readonly<Record<string, string | undefined>> = {}): string[] {
  const fields = new Map<string, string | undefined>([
    ["Host", "server.example.com"],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", SAMPLE_KEY],
    ["Sec-WebSocket-Version", "13"],
    ...Object.entries(changes),
  ]);
  const lines = [...fields].filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}`);
  return ["GET /chat HTTP/1.1", ...lines];
}

/** Any state machine of the handshake. */
export interface Machine<Progress> {
  receive(source: Uint8Array): Progress;
}

/**
 * Feeds the chunks until a result other than "more". Each chunk is overwritten afterwards, to
 * detect a machine that keeps borrowed bytes. Also returns the number of remaining chunks.
 */
export function feed<Progress extends { readonly state: string }>(
  machine: Machine<Progress>,
  chunks: readonly Uint8Array[],
): { progress: Progress; left: readonly Uint8Array[] } {
  assert.ok(chunks.length > 0);
  for (let at = 0; ; at++) {
    const borrowed = chunks[at].slice();
    const progress = machine.receive(borrowed);
    borrowed.fill(0xee);
    if (progress.state !== "more" || at === chunks.length - 1) return { progress, left: chunks.slice(at + 1) };
  }
}

/** The text as one chunk, in two chunks at every offset, and byte by byte. */
export function* splits(source: string): Generator<readonly Uint8Array[]> {
  const all = bytes(source);
  yield [all];
  for (let at = 1; at < all.length; at++) yield [all.slice(0, at), all.slice(at)];
  yield Array.from(all, (byte) => Uint8Array.of(byte));
}

/** Splits bytes at these places, taken modulo their length. */
export function cut(source: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const sorted = [0, ...places.map((place) => place % (source.length + 1)), source.length].sort((a, b) => a - b);
  return sorted.slice(1).map((end, at) => source.slice(sorted[at], end));
}

/** For assert.throws: checks the error's code and message. */
export function refusedWith(code: string, message = /./): (error: unknown) => boolean {
  return (error) => {
    const { code: got, message: said } = error as WebSocketError;
    assert.equal(got, code, said);
    assert.match(said, message);
    return true;
  };
}

/** Texts with a character that must never enter a head. */
export const INJECTIONS: readonly string[] = [
  "a\r\nX-Evil: 1",
  "a\rb",
  "a\nb",
  "a\0b",
  "\r\n",
  "a\x7f",
  "a\x1b[2J",
  "\u010d\u010a",
];
