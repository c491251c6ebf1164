// Sends bytes to an implementation and returns how the connection ends.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Implementation, Options, Socket } from "./implementations.ts";
import { closing, event, listen, terminateAfter, type Closed } from "./pairs.ts";
import { accepting, closePayload, OPCODE, wireClient, wireServer, type Frame } from "./wire.ts";

export const DEFLATE = { "Sec-WebSocket-Extensions": "permessage-deflate" };

export interface Outcome extends Closed {
  /** Frames that the peer got until the end of the stream. */
  readonly replies: readonly Frame[];
}

/** Sends bytes to a server and returns how the connection ends. */
export async function toServer(
  t: TestContext,
  ws: Implementation,
  bytes: Uint8Array,
  options: Options = {},
  fields: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const { port, server } = await listen(t, ws, options);
  const closed = new Promise<Closed>((resolve) =>
    server.on("connection", (socket: Socket) => resolve(closing(socket))),
  );
  const wire = await wireClient(t, port, fields);
  wire.write(bytes);
  const replies = await wire.untilEnd();
  wire.socket.end();
  return { ...(await closed), replies };
}

/** Sends bytes to a client and returns how the connection ends. */
export async function toClient(
  t: TestContext,
  ws: Implementation,
  bytes: Uint8Array,
  options: Options = {},
): Promise<Outcome> {
  const { url, next } = await wireServer(t, accepting());
  const client = new ws.WebSocket(url, options);
  terminateAfter(t, client);
  const closed = closing(client);
  const wire = await next();
  await event(client, "open");
  wire.write(bytes);
  const reply = await wire.next();
  wire.socket.end();
  return { ...(await closed), replies: [reply] };
}

export function assertRefused(outcome: Outcome, name: string, code: string, text: string, closeCode: number): void {
  assert.deepEqual(
    outcome.errors.map((error) => [error.name, error.code, error.message]),
    [[name, code, text]],
  );
  assert.deepEqual([outcome.code, outcome.reason], [1006, ""]);
  const [reply] = outcome.replies;
  assert.deepEqual([reply?.opcode, reply?.payload], [OPCODE.close, closePayload(closeCode)]);
}
