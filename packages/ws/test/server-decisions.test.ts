// verifyClient and handleProtocols.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { TestContext } from "node:test";
import { onEach, test, type Options, type Socket } from "./support/implementations.ts";
import { closing, event, listen, terminateAfter } from "./support/pairs.ts";
import { exchange, refusal, request, wireClient } from "./support/wire.ts";

onEach("verifyClient", (ws) => {
  test("has origin, secure and req, with one parameter", async (t) => {
    const seen: { origin: unknown; secure: unknown; req: IncomingMessage }[] = [];
    const verifyClient = (info: (typeof seen)[number]): boolean => seen.push(info) > 0;
    const { port } = await listen(t, ws, { verifyClient });
    await wireClient(t, port, { Origin: "https://a.example" });
    await wireClient(t, port, { "Sec-WebSocket-Origin": "https://b.example", "Sec-WebSocket-Version": "8" });
    await wireClient(t, port);
    assert.deepEqual(
      seen.map(({ origin, secure }) => [origin, secure]),
      [
        ["https://a.example", false],
        ["https://b.example", false],
        [undefined, false],
      ],
    );
    assert.equal(seen[0]?.req.headers.origin, "https://a.example");
  });

  test("with an optional second parameter or a rest parameter, it is called with one argument", async (t) => {
    const counts: number[] = [];
    const optional = (info: unknown, callback: unknown = null): boolean => {
      counts.push(callback === null ? 1 : 2);
      return info !== undefined;
    };
    const rest = (...args: readonly unknown[]): boolean => {
      counts.push(args.length);
      return true;
    };
    for (const verifyClient of [optional, rest]) {
      const { port } = await listen(t, ws, { verifyClient });
      await wireClient(t, port);
    }
    assert.deepEqual(counts, [1, 1]);
  });

  test("false is 401", async (t) => {
    const { port } = await listen(t, ws, { verifyClient: () => false });
    assert.equal(await exchange(t, port, request()), refusal("401 Unauthorized", "Unauthorized"));
  });

  test("with two parameters, the callback decides, at once or later", async (t) => {
    for (const defer of [(run: () => void) => run(), setImmediate]) {
      const { port } = await listen(t, ws, {
        verifyClient: (_info: unknown, callback: (ok: boolean) => void) => defer(() => callback(true)),
      });
      await wireClient(t, port);
    }
  });

  for (const [args, expected] of [
    [[false], refusal("401 Unauthorized", "Unauthorized")],
    [[false, 404], refusal("404 Not Found", "Not Found")],
    [[false, 403, "no way"], refusal("403 Forbidden", "no way")],
    [
      [false, 503, "", { "Retry-After": 120 }],
      refusal("503 Service Unavailable", "Service Unavailable", "Retry-After: 120\r\n"),
    ],
  ] as const) {
    test(`the callback's arguments ${JSON.stringify(args)} are the response`, async (t) => {
      const { port } = await listen(t, ws, {
        verifyClient: (_info: unknown, callback: (...given: readonly unknown[]) => void) => callback(...args),
      });
      assert.equal(await exchange(t, port, request()), expected);
    });
  }

  test("a client that disconnects meanwhile has no connection", async (t) => {
    let decide: ((ok: boolean) => void) | undefined;
    const { server, url } = await listen(t, ws);
    const asked = new Promise<IncomingMessage>((resolve) => {
      server.options["verifyClient"] = (info: { req: IncomingMessage }, callback: (ok: boolean) => void) => {
        decide = callback;
        resolve(info.req);
      };
    });
    server.on("connection", () => assert.fail("connected"));
    const client = new ws.WebSocket(url);
    const done = closing(client);
    const incoming = await asked;
    const gone = once(incoming.socket, "end");
    incoming.socket.resume();
    client.terminate();
    await Promise.all([done, gone]);
    decide?.(true);
    assert.equal(server.clients?.size, 0);
  });
});

onEach("handleProtocols", (ws) => {
  const protocolOf = async (t: TestContext, options: Options, offered: string): Promise<string | undefined> => {
    const { port } = await listen(t, ws, options);
    const wire = await wireClient(t, port, { "Sec-WebSocket-Protocol": offered });
    return /\r\nSec-WebSocket-Protocol: (.*)/.exec(wire.head)?.[1];
  };

  test("without it, the first one of the client is selected", async (t) => {
    assert.equal(await protocolOf(t, {}, "a, b"), "a");
  });

  test("selects, and has a Set and the request", async (t) => {
    const handleProtocols = (protocols: Set<string>, incoming: IncomingMessage): string => {
      assert.ok(protocols instanceof Set);
      assert.deepEqual([...protocols], ["a", "b"]);
      assert.equal(incoming.url, "/");
      return "b";
    };
    assert.equal(await protocolOf(t, { handleProtocols }, "a, b"), "b");
  });

  for (const value of [false, "", undefined, null]) {
    test(`${JSON.stringify(value)} selects none`, async (t) => {
      assert.equal(await protocolOf(t, { handleProtocols: () => value }, "a"), undefined);
    });
  }

  test("is not called without an offer; protocol is that of the socket", async (t) => {
    const { port, server } = await listen(t, ws, { handleProtocols: () => assert.fail("called") });
    const connected = event(server, "connection");
    await wireClient(t, port);
    assert.equal(((await connected)[0] as Socket).protocol, "");
  });

  test("protocol is that of both sockets", async (t) => {
    const { server, url } = await listen(t, ws, { handleProtocols: () => "b" });
    const client = new ws.WebSocket(url, ["a", "b"]);
    terminateAfter(t, client);
    const [peer] = (await event(server, "connection")) as [Socket];
    await event(client, "open");
    assert.deepEqual([peer.protocol, client.protocol], ["b", "b"]);
  });
});
