import { PreparedMessage as ProtocolMessage, type PreparedMessageOptions } from "@tungstate/protocol";
import { defaultRuntime } from "../native/runtime.ts";

/** A message that is encoded once for many connections. */
export class PreparedMessage extends ProtocolMessage {
  /**
   * Copies and encodes `data`. Throws INVALID_ARGUMENT for data that is neither text nor bytes, and
   * for text given as bytes that are not UTF-8.
   */
  constructor(data: string | Uint8Array, options: Omit<PreparedMessageOptions, "runtime"> = {}) {
    super(data, { runtime: defaultRuntime, ...options });
  }
}
