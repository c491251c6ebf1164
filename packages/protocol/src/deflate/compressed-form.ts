import { formsOf, PreparedMessage } from "../messages/prepared.ts";
import { MIN_WINDOW_BITS, type WindowBits } from "./params.ts";

/** Deflates a payload with an empty window, in the terms of `MessageCodec.deflate`. */
export type DeflateWithoutContext = (
  payload: Uint8Array,
  windowBits: WindowBits,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

type Form = PreparedMessage | Promise<PreparedMessage>;

/**
 * A prepared message as it goes to all connections whose window is `windowBits`: compressed once,
 * when it is first asked for, and then the same object for all. It is `message` itself where
 * compression does not pay. A connection that takes over contexts has to tell its codec:
 * `MessageCodec.sentWithoutContext`.
 */
export function compressedForm(message: PreparedMessage, windowBits: WindowBits, deflate: DeflateWithoutContext): Form {
  const byWindow = formsOf(message);
  const index = windowBits - MIN_WINDOW_BITS;
  const known = byWindow[index];
  if (known !== undefined) return known;
  const deflated = deflate(message.payload, windowBits);
  if (!(deflated instanceof Promise)) return (byWindow[index] = formOf(message, deflated));
  return (byWindow[index] = deflated.then((bytes) => (byWindow[index] = formOf(message, bytes))));
}

function formOf(message: PreparedMessage, deflated: Uint8Array | undefined): PreparedMessage {
  if (deflated === undefined) return message;
  return new PreparedMessage(deflated, { type: message.type, compressed: true });
}
