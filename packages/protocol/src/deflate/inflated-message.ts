import { checkUtf8Piece } from "../bytes/primitives.ts";
import { UTF8_START } from "../bytes/utf8.ts";
import { protocolError, type WebSocketError } from "../errors.ts";
import { Message } from "../messages/message.ts";
import type { Memory } from "../runtime/memory.ts";
import { LARGEST_SHARED } from "../runtime/slabs.ts";

/**
 * Returns the message whose payload was inflated, or INVALID_UTF8. RFC 7692 §6.2: what is inflated
 * is the message's "Application data", so that RFC 6455 §8.1 holds for it. `borrowed` bytes are
 * copied.
 */
export function inflatedMessage(
  memory: Memory,
  type: "text" | "binary",
  bytes: Uint8Array,
  borrowed: boolean,
  checkText = true,
): Message | WebSocketError {
  const size = bytes.length;
  if (checkText && type === "text" && checkUtf8Piece(bytes, 0, size, UTF8_START, memory.primitives) !== UTF8_START) {
    return protocolError("INVALID_UTF8", "in a compressed message");
  }
  // the platform may know the memory of bytes that are not borrowed
  if (!borrowed) return new Message(memory, type, bytes, 0, size).copy();
  if (size > LARGEST_SHARED) {
    const own = memory.primitives.allocate(size);
    own.set(bytes);
    return new Message(memory, type, own, 0, size);
  }
  const slabs = memory.inflatedSlabs;
  const at = slabs.take(size, 0);
  slabs.bytes.set(bytes, at);
  return new Message(memory, type, slabs.bytes, at, size);
}
