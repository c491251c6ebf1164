import type { WebSocketError } from "@tungstate/protocol";
import { type Protocol, protocolError } from "@tungstate/protocol";
import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import { describe } from "../../options/describe.ts";
import { endpointError } from "../../errors.ts";

/** Compresses a part; undefined when the connection is over. */
export type DeflateFragment = (part: Uint8Array, last: boolean) => Uint8Array | Promise<Uint8Array | undefined>;

/** The pace of a message in fragments. */
export interface Pace {
  /** A part was written. Returns a promise to wait for, if any. */
  wrote(): Promise<void> | undefined;
  /** Waits until all output was sent. */
  room(): Promise<void>;
  /** Ends the connection with an error. */
  fail(error: WebSocketError): void;
}

/**
 * Sends one message in parts. Each part is a fragment, and an empty one ends the message. Bytes of
 * a part must not change until they are written. If the source throws, the message cannot be
 * completed: the connection fails with 1011.
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
    const payload = deflated instanceof Promise ? await deflated : deflated;
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
    // without a connection there is nothing to fail
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
