import { argumentError } from "@tungstate/protocol/internal";
import { describe } from "../../options/describe.ts";

/**
 * Returns what is sent for a value: text and bytes as they are, `""` for nothing, numbers as text,
 * and other objects as JSON. Throws INVALID_ARGUMENT for anything else.
 */
export function payloadOf(value: unknown): string | Uint8Array {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (typeof value === "object" && !(value instanceof Blob)) return JSON.stringify(value);
  throw argumentError(TypeError, `a message must be text, bytes or a JSON value, got ${describe(value)}`);
}
