import type { Primitives } from "@tungstate/protocol";
import { isUtf8 } from "node:buffer";
import { hash, randomFillSync } from "node:crypto";
import { newAllocator } from "./allocator.ts";
import type { Simd } from "./simd.ts";

const LOOP_PAYS = 24; // characters or bytes up to which a loop is faster than a native call

/** Returns the native functions of Node.js, and the unmasking function of `simd` if given. */
export function nativePrimitives(simd: Simd | undefined): Partial<Primitives> {
  return { ...NATIVE, allocate: newAllocator(), ...(simd === undefined ? {} : { copyMasked: simd.copyMasked }) };
}

const NATIVE = {
  isUtf8,
  decodeUtf8: (bytes, start, end) => {
    if (end - start <= LOOP_PAYS) {
      let text = "";
      let at = start;
      while (at < end && bytes[at] < 0x80) text += String.fromCharCode(bytes[at++]);
      if (at === end) return text;
    }
    return asBuffer(bytes).toString("utf8", start, end);
  },
  decodeLatin1: (bytes, start, end) => asBuffer(bytes).toString("latin1", start, end),
  utf8Length: (text) => Buffer.byteLength(text),
  writeUtf8: (text, target, at) => {
    if (text.length <= LOOP_PAYS) {
      let to = at;
      let from = 0;
      for (let unit; from < text.length && (unit = text.charCodeAt(from)) < 0x80; from++) target[to++] = unit;
      if (from === text.length) return to;
    }
    return at + asBuffer(target).write(text, at);
  },
} satisfies Partial<Primitives>;

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Fills `target` with random bytes of node:crypto. */
export function randomFill(target: Uint8Array): void {
  randomFillSync(target);
}

/** Returns the SHA-1 hash of ASCII text in base64. */
export function sha1Base64(text: string): string {
  return hash("sha1", text, "base64");
}

/** Returns the SHA-1 hash of `bytes`. */
export function sha1(bytes: Uint8Array): Uint8Array {
  return hash("sha1", bytes, "buffer");
}
