import { HeaderFields } from "@tungstate/protocol";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import { packHeaders, unpackHeaders } from "../../src/connection/packed-headers.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { FRAMEWORKS } from "../frameworks/support/apps.ts";
import { selfSigned } from "../support/pairs.ts";
import { end } from "../support/server.ts";

const { key, cert } = selfSigned();

/** A route from a client to a server. */
interface Route {
  readonly name: string;
  readonly options?: ConnectOptions;
  /** Returns the URL. */
  start(t: TestContext, server: WebSocketServer): Promise<string>;
}

async function attached(t: TestContext, server: WebSocketServer, tls: boolean): Promise<string> {
  const http = tls ? createHttpsServer({ key, cert }) : createServer();
  server.attach(http);
  await once(http.listen(0, "127.0.0.1"), "listening");
  t.after(() => http.close());
  return `${tls ? "wss" : "ws"}://localhost:${(http.address() as AddressInfo).port}/`;
}

async function listening(server: WebSocketServer, tls: boolean): Promise<string> {
  const { port } = (await server.listen(tls ? { tls: { key, cert } } : {})) as AddressInfo;
  return `${tls ? "wss" : "ws"}://localhost:${port}/`;
}

const ROUTES: readonly Route[] = [
  { name: "a port of its own", start: (_t, server) => listening(server, false) },
  {
    name: "a port of its own with TLS",
    options: { tls: { ca: cert } },
    start: (_t, server) => listening(server, true),
  },
  { name: "node:http", start: (t, server) => attached(t, server, false) },
  { name: "node:https", options: { tls: { ca: cert } }, start: (t, server) => attached(t, server, true) },
];

for (const { name, start, options } of ROUTES) {
  describe(name, () => {
    test("both ends have the header fields of the other's handshake", async (t) => {
      const server = new WebSocketServer({
        authorize: () => ({ headers: [["X-Served-By", "one"], ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]] }), // prettier-ignore
      });
      t.after(() => end(server));
      const opened = new Promise<WebSocketConnection>((resolve) => server.on("connection", resolve));
      const url = await start(t, server);
      const client = await connect(url, {
        ...options,
        proxy: false,
        family: 4,
        headers: { "X-Trace": "é, 1", Cookie: "c=3" },
      });
      assert.deepEqual(
        ["x-served-by", "Set-Cookie", "upgrade", "x-none"].map((field) => client.headers.get(field)),
        ["one", "a=1, b=2", "websocket", undefined],
      );
      assert.deepEqual(client.headers.getAll("set-cookie"), ["a=1", "b=2"]);
      const connection = await opened;
      assert.deepEqual(
        ["x-trace", "COOKIE", "host", "sec-websocket-version"].map((field) => connection.headers.get(field)),
        ["é, 1", "c=3", new URL(url).host, "13"],
      );
      await client.close();
      assert.equal(client.headers.get("x-served-by"), "one");
      assert.equal(connection.headers.get("x-trace"), "é, 1");
    });
  });
}

for (const framework of FRAMEWORKS) {
  test(`${framework.name}: fields set for the response by a hook are in the client's headers`, async () => {
    const app = await framework.start();
    const client = await connect(`ws://127.0.0.1:${app.port}/greet`, { headers: { authorization: "alice" } });
    assert.equal(client.headers.get("x-hook"), "ran");
    client.terminate();
    await app.close();
  });
}

test("a reconnecting client has the fields of its current connection", async (t) => {
  const server = new WebSocketServer({ authorize: () => ({ headers: { "X-Served-By": "one" } }) });
  t.after(() => end(server));
  const client = reconnecting(await listening(server, false), { proxy: false, family: 4 });
  assert.equal(client.headers.size, 0);
  await client.ready();
  assert.equal(client.headers.get("x-served-by"), "one");
  await client.close();
  assert.equal(client.headers.size, 0);
});

test("packing preserves header fields", () => {
  const many: [string, string][] = [["A", "1"], ["b", ""], ["A", "2\t, x: y"], ["c", "\xff"]]; // prettier-ignore
  for (const fields of [[], [["a", ""]] as const, many]) {
    assert.deepEqual([...unpackHeaders(packHeaders(new HeaderFields(fields)))], fields);
  }
});
