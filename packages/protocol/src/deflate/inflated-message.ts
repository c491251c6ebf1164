import { protocolError, type WebSocketError } from "../errors.ts";
import { LARGEST_SHARED, Message } from "../messages/message.ts";
import { checkUtf8Piece, primitives } from "../bytes/primitives.ts";
import { UTF8_START } from "../bytes/utf8.ts";

const SLAB_SIZE = 8192; // bytes

/** Small inflated payloads of all connections lie one behind the other, as those of the receiver do. */
let slab: Uint8Array = new Uint8Array(0);
let slabNext = 0;

/**
 * The message whose payload was inflated, or INVALID_UTF8 (RFC 7692 §6.2: what is inflated is the message's "Application data",
 * so RFC 6455 §8.1 holds for it). `borrowed` bytes are copied.
 */
export function inflatedMessage(
  type: "text" | "binary",
  bytes: Uint8Array,
  borrowed: boolean,
): Message | WebSocketError {
  const size = bytes.length;
  if (type === "text" && checkUtf8Piece(bytes, 0, size, UTF8_START) !== UTF8_START) {
    return protocolError("INVALID_UTF8", "in a compressed message");
  }
  if (!borrowed) {
    const message = new Message(type, bytes, 0, size);
    message.detach(); // whoever inflated it may know its memory
    return message;
  }
  if (size > LARGEST_SHARED) {
    const own = primitives.allocate(size);
    own.set(bytes);
    return new Message(type, own, 0, size);
  }
  if (slabNext + size > slab.length) {
    slab = primitives.allocate(SLAB_SIZE);
    slabNext = 0;
  }
  const at = slabNext;
  slab.set(bytes, at);
  slabNext += size;
  return new Message(type, slab, at, size);
}
