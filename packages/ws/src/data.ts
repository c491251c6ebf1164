import { Buffer, isUtf8 } from "node:buffer";

/** Whether a value is a Blob or a File, of any implementation. */
export function isBlob(value: unknown): value is Blob {
  if (typeof value !== "object" || value === null) return false;
  const tag: unknown = Reflect.get(value, Symbol.toStringTag);
  if (tag !== "Blob" && tag !== "File") return false;
  return ["arrayBuffer", "stream"].every((name) => typeof Reflect.get(value, name) === "function");
}

/** Returns data as a Buffer, without a copy if possible. Throws a TypeError for other types. */
export function toBuffer(data: unknown): Buffer {
  if (Buffer.isBuffer(data)) return data;
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.from(data as string);
}

/** Whether `toBuffer` returns the caller's own memory. */
export function isCallersMemory(data: unknown): boolean {
  return data instanceof ArrayBuffer || ArrayBuffer.isView(data);
}

/** The number of bytes that will be sent. */
export function sizeOf(data: unknown): number {
  if (typeof data === "string") return Buffer.byteLength(data);
  return isBlob(data) ? data.size : toBuffer(data).length;
}

/** Returns an ArrayBuffer that contains only these bytes. */
export function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  if (byteLength === buffer.byteLength) return buffer as ArrayBuffer;
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
}

export { isUtf8 };
