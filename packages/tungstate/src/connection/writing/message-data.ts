import { type Data, Message, PreparedMessage } from "@tungstate/protocol";
import { invalidOption } from "@tungstate/protocol/internal";
import { describe } from "../../options/describe.ts";

/**
 * What the caller gave, as the protocol takes it. Throws INVALID_ARGUMENT for anything that is no
 * message.
 */
export function asData(data: unknown): Data {
  if (typeof data === "string" || data instanceof Uint8Array) return data;
  if (data instanceof Message || data instanceof PreparedMessage) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw invalidOption(
    "a message",
    "a string, an ArrayBuffer or a view of one, a Message or a PreparedMessage",
    data,
    describe(data),
  );
}

/** Bytes, RFC 6455 §5.2; empty messages count too, so that their number is limited. */
const LEAST_HEADER = 2;

/** Bytes that a message takes at least when it is encoded. */
export function waitingSize(data: Data): number {
  return LEAST_HEADER + sizeOf(data);
}

/** Bytes of a message. */
export function sizeOf(data: Data): number {
  if (typeof data === "string") return Buffer.byteLength(data);
  if (data instanceof Uint8Array) return data.length;
  return data instanceof Message ? data.size : data.frame.length;
}
