// RFC 9110 §5.6.1: an empty list means the same as a header field that is absent, and empty
// elements of a list are ignored.

import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { frame, type Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { type Route, routes } from "../support/routes.ts";

const PROTOCOL = "Sec-WebSocket-Protocol";
const EXTENSIONS = "Sec-WebSocket-Extensions";

function echo(connection: WebSocketConnection): void {
  connection.on("message", (message) => void connection.write(message));
}

/**
 * Starts a server with the subprotocol `chat` and compression; returns a function that sends a
 * request with these header fields.
 */
async function asking(
  t: TestContext,
  route: Route,
): Promise<(headers: Readonly<Record<string, string>>) => Promise<Raw>> {
  const served = await route.start(t, { protocols: ["chat"], compression: true }, echo);
  return async (headers) => (await served.raw(t)).send(upgradeRequest("/", headers));
}

for (const route of routes) {
  describe(route.name, () => {
    for (const value of ["", " \t ", ",", " ,, ,"]) {
      test(`empty lists of subprotocols and extensions count as absent: ${JSON.stringify(value)}`, async (t) => {
        const ask = await asking(t, route);
        for (const headers of [
          { [PROTOCOL]: value },
          { [EXTENSIONS]: value },
          { [PROTOCOL]: `${value}\r\n${PROTOCOL}: ${value}`, [EXTENSIONS]: `${value}\r\n${EXTENSIONS}:${value}` },
        ]) {
          const raw = await ask(headers);
          const { status, headers: answered } = await raw.head();
          assert.deepEqual(
            [status, answered["sec-websocket-protocol"], answered["sec-websocket-extensions"]],
            [101, undefined, undefined],
          );
          raw.send(frame(TEXT, "hello"));
          assert.deepEqual(await raw.frames(1), [{ opcode: TEXT, payload: Buffer.from("hello") }]);
        }
      });
    }

    test("empty elements of Connection, Upgrade and the other lists are ignored", async (t) => {
      const raw = await (
        await asking(t, route)
      )({
        Connection: ", keep-alive,\r\nConnection: ,Upgrade,",
        Upgrade: "websocket,",
        [PROTOCOL]: `,\r\n${PROTOCOL}: ,chat,, other`,
        [EXTENSIONS]: `\r\n${EXTENSIONS}: ,x; y=1,, permessage-deflate,`,
      });
      const { status, headers } = await raw.head();
      assert.deepEqual([status, headers["sec-websocket-protocol"]], [101, "chat"]);
      assert.match(headers["sec-websocket-extensions"] ?? "", /^permessage-deflate/);
    });

    test("lists with a malformed element are rejected", async (t) => {
      const ask = await asking(t, route);
      for (const headers of [
        { [PROTOCOL]: ", a b" },
        { [PROTOCOL]: ",;" },
        { [EXTENSIONS]: ",;" },
        { [EXTENSIONS]: "=" },
      ]) {
        assert.equal((await (await ask(headers)).head()).status, 400, JSON.stringify(headers));
      }
    });
  });
}
