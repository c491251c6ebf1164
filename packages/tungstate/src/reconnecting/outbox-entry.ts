import { type Data, Message } from "@tungstate/protocol";
import type { MessageData, WriteOptions } from "../connection/types.ts";
import { asData, sizeOf } from "../connection/writing/message-data.ts";
import { COST_OF_A_MESSAGE, type OutboxEntry } from "./core/outbox.ts";

/**
 * Returns a message in a form that can be kept, with its cost. Bytes are copied, because they
 * belong to the caller. Throws INVALID_ARGUMENT.
 */
export function outboxEntry(data: MessageData, options: WriteOptions | undefined): OutboxEntry<MessageData> {
  const kept = keep(data);
  return { data: kept, options, cost: sizeOf(kept) + COST_OF_A_MESSAGE };
}

function keep(given: unknown): Data {
  const data = asData(given);
  // not `slice`, which is a view on a Buffer
  if (data instanceof Uint8Array) return new Uint8Array(data);
  if (data instanceof Message) {
    data.copy(); // it may wait for long, and must not keep its chunk alive
    return data.share(); // the caller may write it with transfer
  }
  return data;
}
