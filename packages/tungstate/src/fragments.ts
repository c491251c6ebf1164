import { primitives, type Protocol, protocolError } from "@tungstate/protocol";
import { describe } from "./options.ts";

/** Compresses a part; undefined when the connection is over. */
export type DeflateFragment = (part: Uint8Array, last: boolean) => Uint8Array | Promise<Uint8Array | undefined>;

/**
 * Sends one message as its parts come. Each part is a fragment; `wrote` is called behind each and may make it wait. When the source throws,
 * the message can't be ended properly, since what was sent of it can't be taken back: the connection is failed with 1011.
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
    // one part is held back, since the last one has to be marked as such
    let held: Uint8Array | undefined;
    for await (const part of parts) {
      if (held !== undefined) {
        await send(held, false);
        await wrote();
      }
      held = asBytes(part);
    }
    await send(held ?? new Uint8Array(0), true);
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

function asBytes(part: unknown): Uint8Array {
  if (part instanceof Uint8Array) return part;
  if (typeof part !== "string") {
    throw protocolError("INVALID_ARGUMENT", `a part of a message is a string or a Uint8Array, got ${describe(part)}`);
  }
  const bytes = primitives.allocate(primitives.utf8Length(part));
  primitives.writeUtf8(part, bytes, 0);
  return bytes;
}
