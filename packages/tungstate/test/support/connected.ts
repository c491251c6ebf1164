import { accept } from "../../src/server/accept.ts";
import type { AcceptOptions } from "../../src/server/accept.ts";
import { client, type ClientOptions } from "../../src/client/client.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import type { Kind } from "./pairs.ts";

export interface Connected {
  readonly client: WebSocketConnection;
  readonly server: WebSocketConnection;
}

/**
 * Runs `test` with a client and a server that are connected over a stream of the given kind, and
 * cleans up after it.
 */
export async function withConnected(
  kind: Kind,
  options: { readonly client?: ClientOptions; readonly server?: AcceptOptions },
  test: (ends: Connected) => Promise<void>,
): Promise<void> {
  const pair = await kind.make();
  const [clientEnd, serverEnd] = await Promise.all([
    client("ws://localhost/", pair.client, options.client),
    accept(pair.server, options.server),
  ]);
  try {
    await test({ client: clientEnd, server: serverEnd });
  } finally {
    clientEnd.terminate();
    serverEnd.terminate();
    await Promise.all([clientEnd.closed, serverEnd.closed]);
    await pair.cleanup();
  }
}

/** Resolves with the next `count` messages. */
export async function take(connection: WebSocketConnection, count: number): Promise<(string | Uint8Array)[]> {
  const all: (string | Uint8Array)[] = [];
  for await (const message of connection) {
    all.push(message.data);
    if (all.length === count) break;
  }
  return all;
}
