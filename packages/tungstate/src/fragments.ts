import { primitives, type Protocol, protocolError } from "@tungstate/protocol";
import { describe } from "./options.ts";

/** Compresses a part; undefined when the connection is over. */
export type DeflateFragment = (part: Uint8Array, last: boolean) => Uint8Array | Promise<Uint8Array | undefined>;

/**
 * Sends one message as its parts come. Each part is a fragment, and an empty one ends it; `wrote` is called behind each and may make it wait. A
 * part of bytes must stay as it is until it is written. When the source throws, the message can't be ended properly, since what was sent of it can't be taken back: the connection is failed with 1011.
 */
export async function sendInFragments(
  core: Protocol,
  parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  type: "text" | "binary",
  wrote: () => Promise<void> | undefined,
  deflate?: DeflateFragment,
): Promise<void> {
  core.beginMessage(type, deflate !== undefined);
  const send = async (part: Uint8Array, last: boolean): Promise<void> => {
    const payload = deflate === undefined ? part : await deflate(part, last);
    if (payload !== undefined) core.sendFragment(payload, last);
  };
  try {
    let half = ""; // the first half of a character whose second half comes with the next part
    for await (const part of parts) {
      let bytes: Uint8Array;
      if (typeof part === "string") {
        const text = half + part;
        half = endsInHighSurrogate(text) ? text.slice(-1) : "";
        bytes = encode(half === "" ? text : text.slice(0, -1));
      } else bytes = checkBytes(part);
      await send(bytes, false);
      await wrote();
    }
    await send(encode(half), true);
  } catch (error) {
    // with the connection gone there is nothing to mend
    if (!core.writable) throw error;
    core.fail(
      protocolError("HANDLER_FAILED", "the source of a message in fragments ended with an error", { cause: error }),
    );
    throw error;
  }
  await wrote();
}

function endsInHighSurrogate(text: string): boolean {
  return (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800;
}

function encode(text: string): Uint8Array {
  const bytes = primitives.allocate(primitives.utf8Length(text));
  primitives.writeUtf8(text, bytes, 0);
  return bytes;
}

function checkBytes(part: unknown): Uint8Array {
  if (part instanceof Uint8Array) return part;
  throw protocolError("INVALID_ARGUMENT", `a part of a message is a string or a Uint8Array, got ${describe(part)}`);
}
