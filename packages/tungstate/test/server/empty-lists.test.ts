// RFC 9110 §5.6.1: an empty list means the same as a header field that is absent, and empty elements of a list are ignored.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { frame, type Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { type EchoServer, frameworkRoutes, serverRoutes } from "../support/server-routes.ts";

const PROTOCOL = "Sec-WebSocket-Protocol";
const EXTENSIONS = "Sec-WebSocket-Extensions";
const EMPTY = ["", " \t ", ",", " ,, ,"];

const withOptions = serverRoutes({ protocols: ["chat"], compression: true });

for (const route of [...withOptions, ...frameworkRoutes]) {
  describe(route.name, () => {
    let echo: EchoServer;
    before(async () => (echo = await route.start()));
    after(() => echo.close());

    async function ask(headers: Readonly<Record<string, string>>): Promise<Raw> {
      return (await echo.raw()).send(upgradeRequest(echo.target, headers));
    }

    for (const value of EMPTY) {
      test(`empty lists of subprotocols and extensions count as absent: ${JSON.stringify(value)}`, async () => {
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

    test("empty elements of Connection, Upgrade and the other lists are ignored", async () => {
      const raw = await ask({
        Connection: ", keep-alive,\r\nConnection: ,Upgrade,",
        Upgrade: "websocket,",
        [PROTOCOL]: ", a,,b ,",
        [EXTENSIONS]: ",x; y=1,, z,",
      });
      assert.equal((await raw.head()).status, 101);
    });

    test("lists with an element that is malformed are refused", async () => {
      for (const headers of [
        { [PROTOCOL]: ", a b" },
        { [PROTOCOL]: ",;" },
        { [EXTENSIONS]: ",;" },
        { [EXTENSIONS]: "=" },
      ]) {
        assert.equal((await (await ask(headers)).head()).status, 400, JSON.stringify(headers));
      }
    });

    if (!withOptions.includes(route)) return;

    test("what is named beside empty elements is agreed on", async () => {
      const raw = await ask({
        [PROTOCOL]: `,\r\n${PROTOCOL}: ,chat,`,
        [EXTENSIONS]: `\r\n${EXTENSIONS}: , permessage-deflate`,
      });
      const { status, headers } = await raw.head();
      assert.deepEqual([status, headers["sec-websocket-protocol"]], [101, "chat"]);
      assert.match(headers["sec-websocket-extensions"] ?? "", /^permessage-deflate/);
    });
  });
}
