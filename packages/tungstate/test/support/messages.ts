import { Message } from "@tungstate/protocol";
import { memoryOf } from "@tungstate/protocol/internal";
import { defaultRuntime } from "../../src/native/runtime.ts";

/** A message as received: its payload is `source[start..start + size)`. */
export function newMessage(type: "text" | "binary", source: Uint8Array, start: number, size: number): Message {
  return new Message(memoryOf(defaultRuntime), type, source, start, size);
}
