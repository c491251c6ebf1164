import { isArrayBuffer, isSharedArrayBuffer } from "node:util/types";
import { toUsvString } from "./web-idl.ts";

/** A message to send: `(BufferSource or Blob or USVString)`. */
export type Sendable = string | Uint8Array | Blob;

const EMPTY = new Uint8Array(0);

/**
 * Returns the string of a value, or the bytes of a BufferSource without a copy. Web IDL §3.2.24: a
 * union. Throws a TypeError for shared memory, as browsers do.
 */
export function toBytesOrString(data: unknown): string | Uint8Array {
  if (typeof data === "string") return toUsvString(data);
  if (isArrayBuffer(data)) return data.byteLength === 0 ? EMPTY : new Uint8Array(data);
  if (isSharedArrayBuffer(data)) throw sharedMemory();
  if (!ArrayBuffer.isView(data)) return toUsvString(data);
  const { buffer } = data;
  if (isSharedArrayBuffer(buffer)) throw sharedMemory();
  // a detached buffer has no bytes, and its DataView throws when it is asked for them
  if (buffer.byteLength === 0 || data.byteLength === 0) return EMPTY;
  return new Uint8Array(buffer, data.byteOffset, data.byteLength);
}

function sharedMemory(): TypeError {
  return new TypeError("shared memory cannot be sent: copy it");
}

/** As `toBytesOrString`, with Blobs. */
export function toSendable(data: unknown): Sendable {
  return isBlob(data) ? data : toBytesOrString(data);
}

export function isBlob(data: unknown): data is Blob {
  return data instanceof Blob;
}

export function byteLength(data: Sendable): number {
  if (typeof data === "string") return Buffer.byteLength(data);
  return isBlob(data) ? data.size : data.byteLength;
}

/** Returns bytes that the caller cannot change any more. */
export function copyOf<T extends string | Uint8Array>(data: T): T | Uint8Array {
  return typeof data === "string" ? data : new Uint8Array(data);
}

/** Returns a buffer of exactly these bytes, without a copy where it has no others. */
export function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  const isWhole = byteOffset === 0 && byteLength === buffer.byteLength;
  if (isWhole && buffer instanceof ArrayBuffer) return buffer;
  return new Uint8Array(bytes).buffer;
}
