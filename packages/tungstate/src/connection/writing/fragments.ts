import type { WebSocketError } from "@tungstate/protocol";
import { type Protocol, protocolError } from "@tungstate/protocol";
import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import { describe } from "../../options/describe.ts";
import { endpointError } from "../../errors.ts";

/** Compresses a part; undefined when the connection is over. */
export type DeflateFragment = (part: Uint8Array, last: boolean) => Uint8Array | Promise<Uint8Array | undefined>;

/** How fast a message in fragments is sent. */
export interface Pace {
  /** A part was written; a promise: wait. */
  wrote(): Promise<void> | undefined;
  /** Waits until all that was written has left. */
  room(): Promise<void>;
  /** Ends the connection with an error. */
  fail(error: WebSocketError): void;
}

/**
 * Sends one message as its parts come. Each part is a fragment, and an empty one ends it. A part of
 * bytes must stay as it is until it is written. When the source throws, the message can't be ended
 * properly, since what was sent of it can't be taken back: the connection is failed with 1011.
 */
export async function sendInFragments(
  core: Protocol,
  parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  type: "text" | "binary",
  pace: Pace,
  deflate?: DeflateFragment,
): Promise<void> {
  core.beginMessage(type, deflate !== undefined);
  const send = async (part: Uint8Array, last: boolean): Promise<void> => {
    const deflated = deflate === undefined ? part : deflate(part, last);
    // what comes at once is lent, until the next message that any connection deflates
    const payload = deflated instanceof Promise ? await deflated : deflated === part ? part : new Uint8Array(deflated);
    if (payload === undefined) throw protocolError("NOT_OPEN");
    if (!core.hasRoom(payload)) await pace.room();
    core.sendFragment(payload, last);
    await pace.wrote();
  };
  try {
    let half = ""; // the first half of a character whose second half comes with the next part
    for await (const part of parts) {
      const text = half + (typeof part === "string" ? part : "");
      half = typeof part === "string" && endsInHighSurrogate(text) ? text.slice(-1) : "";
      if (text !== "") await send(encode(half === "" ? text : text.slice(0, -1)), false);
      if (typeof part !== "string") await send(checkBytes(part), false);
    }
    await send(encode(half), true);
  } catch (error) {
    // with the connection gone there is nothing to mend
    if (!core.writable) throw error;
    pace.fail(
      endpointError("HANDLER_FAILED", "the source of a message in fragments ended with an error", { cause: error }),
    );
    throw error;
  }
}

/** Throws INVALID_ARGUMENT for what is no source of parts, and no type of a message. */
export function checkStream(parts: unknown, type: unknown): void {
  if (type !== "text" && type !== "binary") {
    throw invalidOption("the type of a message", '"text" or "binary"', type, describe(type));
  }
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = Object(parts) as Record<symbol, unknown>;
  // bytes are an iterable of numbers
  if (!ArrayBuffer.isView(parts) && (typeof later === "function" || typeof now === "function")) return;
  const expected = "the parts of a message must be an iterable or async iterable of strings or Uint8Arrays";
  throw argumentError(TypeError, `${expected}, got ${describe(parts)}`);
}

function endsInHighSurrogate(text: string): boolean {
  return (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800;
}

function encode(text: string): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

function checkBytes(part: unknown): Uint8Array {
  if (part instanceof Uint8Array) return part;
  throw invalidOption("a part of a message", "a string or a Uint8Array", part, describe(part));
}
