import { argumentError, utf8Length } from "@tungstate/protocol/internal";
import { Message, type MessageData } from "./message.ts";

/** A message as the platform's WebSocket takes it, with its size in bytes. */
export interface Payload {
  readonly data: string | ArrayBuffer | ArrayBufferView;
  readonly size: number;
}

/** Throws INVALID_ARGUMENT. */
export function payloadOf(given: MessageData): Payload {
  const data = given instanceof Message ? given.data : given;
  if (typeof data === "string") return { data, size: utf8Length(data) };
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return { data, size: data.byteLength };
  throw argumentError(TypeError, "a message must be a string, an ArrayBuffer or a view of one, or a Message");
}

/** Returns a payload that can be kept: bytes are copied, because they belong to the caller. */
export function keep(payload: Payload): Payload {
  const { data, size } = payload;
  if (typeof data === "string") return payload;
  const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, size);
  return { data: new Uint8Array(bytes), size };
}
