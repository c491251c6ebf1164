import { formsOf, PreparedMessage } from "../messages/prepared.ts";
import { MIN_WINDOW_BITS, type WindowBits } from "./params.ts";

/** Compresses a payload with an empty window. Returns what `MessageCodec.deflate` returns. */
export type DeflateWithoutContext = (
  payload: Uint8Array,
  windowBits: WindowBits,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

type Form = PreparedMessage | Promise<PreparedMessage>;

/**
 * Returns a prepared message in the form for connections with this window size. It is compressed
 * once, at the first call, and is the same object for all of them. It is `message` itself if
 * compression does not make it smaller. Connections with context takeover call
 * `MessageCodec.sentWithoutContext` after sending it.
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
