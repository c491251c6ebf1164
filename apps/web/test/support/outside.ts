import assert from "node:assert/strict";
import type { Served } from "./server.ts";

const KEY = "a key of sixteen characters or more";

/** Flags that enable `publish`. */
export const API_FLAGS = ["--api-key", KEY] as const;

/** Publishes over the HTTP API, once for each element of `data`. */
export async function publish({ url }: Served, channel: string, data: readonly unknown[]): Promise<void> {
  const response = await fetch(`${url}/api/batch`, {
    method: "POST",
    headers: { "x-api-key": KEY },
    body: JSON.stringify({ commands: data.map((each) => ({ publish: { channel, data: each } })) }),
  });
  const { replies } = (await response.json()) as { replies: object[] };
  assert.equal(replies.filter((reply) => "publish" in reply).length, data.length);
}

/** Returns a message in the format of the page. */
export function line(id: number): object {
  return { id: `message-${id}`, text: `line ${id}`, at: Date.now() };
}

export function lines(from: number, to: number): object[] {
  return Array.from({ length: to - from }, (_, index) => line(from + index));
}
