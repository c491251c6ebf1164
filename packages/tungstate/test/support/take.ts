import type { Message } from "@tungstate/protocol";
import assert from "node:assert/strict";
import type { WebSocketConnection } from "../../src/connection/types.ts";

/** Reads that many messages. Fails if the connection ends before. */
export async function take(client: WebSocketConnection, count: number): Promise<Message[]> {
  const iterator = client[Symbol.asyncIterator]();
  const messages: Message[] = [];
  while (messages.length < count) {
    const { value, done } = await iterator.next();
    assert.ok(done !== true, `${messages.length} of ${count} messages came`);
    messages.push(value);
  }
  return messages;
}
