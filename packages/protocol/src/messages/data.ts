import type { Message } from "./message.ts";
import type { PreparedMessage } from "./prepared.ts";

/**
 * What can be sent as one message: text, bytes, a received message, or one that was prepared for
 * many connections.
 */
export type Data = string | Uint8Array | Message | PreparedMessage;
