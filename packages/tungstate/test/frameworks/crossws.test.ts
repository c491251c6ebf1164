import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import nodeAdapter from "crossws/adapters/node";
import { HandshakeRejectedError } from "../../src/client/client.ts";
import { connect } from "../../src/client/connect.ts";
import { crossws, type CrosswsAdapter, type CrosswsOptions } from "../../src/frameworks/crossws.ts";
import { isNode } from "../../src/native/platform.ts";
import { type AdapterUnderTest, crosswsSuite } from "./support/crossws-suite.ts";

async function listening(t: TestContext, http: Server): Promise<number> {
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return (http.address() as AddressInfo).port;
}

function ours(t: TestContext, options: CrosswsOptions): CrosswsAdapter {
  const adapter = crossws(options);
  adapter.server.on("error", () => undefined); // the hooks of the tests fail on purpose
  t.after(async () => {
    adapter.closeAll(1001, "", true);
    await adapter.close();
  });
  return adapter;
}

crosswsSuite({
  name: "on a port of its own",
  async start(t, options) {
    const adapter = ours(t, options);
    const { port } = (await adapter.listen({ port: 0, host: "127.0.0.1" })) as AddressInfo;
    return { adapter, port };
  },
});

crosswsSuite({
  name: "attached to node:http",
  async start(t, options) {
    const adapter = ours(t, options);
    const http = createServer();
    adapter.attach(http);
    return { adapter, port: await listening(t, http) };
  },
});

crosswsSuite({
  name: "with handleUpgrade()",
  async start(t, options) {
    const adapter = ours(t, options);
    const http = createServer();
    http.on("upgrade", (request, socket, head: Buffer) => void adapter.handleUpgrade(request, socket, head));
    return { adapter, port: await listening(t, http) };
  },
});

// the tests themselves are right only if the documented adapter passes them
const ownAdapter: AdapterUnderTest = {
  name: "crossws's own node adapter",
  lacks: {
    "a binary message can be read in every form": "arrayBuffer() has the bytes of the whole read",
    "peer.websocket has a URL, a protocol and a state, and sends and closes":
      "websocket.protocol has all subprotocols that the client offered",
  },
  async start(t, options) {
    const adapter = nodeAdapter(options);
    const http = createServer();
    http.on("upgrade", (request, socket, head: Buffer) => void adapter.handleUpgrade(request, socket, head));
    const port = await listening(t, http);
    t.after(async () => {
      adapter.closeAll(1001, "", true);
      await adapter.close();
    });
    return { adapter, port };
  },
};
// it throws on Bun and Deno
if (isNode) crosswsSuite(ownAdapter);

const rejectedWith =
  (status: number) =>
  (error: unknown): boolean =>
    error instanceof HandshakeRejectedError && error.response.status === status;

test("pages of other origins are refused, unless serverOptions.origin admits them", async (t) => {
  for (const [serverOptions, status] of [
    [{}, 403],
    [{ origin: "any" }, 101],
  ] as const) {
    let upgrades = 0;
    const adapter = ours(t, { serverOptions, hooks: { upgrade: () => void upgrades++ } });
    const { port } = (await adapter.listen({ port: 0, host: "127.0.0.1" })) as AddressInfo;
    const headers = { origin: "https://evil.example" };
    const opened = connect(`ws://127.0.0.1:${port}/`, { proxy: false, headers });
    if (status === 101) await (await opened).close();
    else await assert.rejects(opened, rejectedWith(status));
    assert.equal(upgrades, status === 101 ? 1 : 0);
  }
});

test("a hook that fails ends its connection with 1011, and the server reports the error", async (t) => {
  const failed = new Error("it failed");
  const fail = (): never => {
    throw failed;
  };
  for (const hooks of [{ open: fail }, { message: fail }, { message: async () => await Promise.reject(failed) }]) {
    const errors: unknown[] = [];
    const adapter = ours(t, { hooks });
    adapter.server.on("error", (error) => errors.push(error));
    const { port } = (await adapter.listen({ port: 0, host: "127.0.0.1" })) as AddressInfo;
    const client = await connect(`ws://127.0.0.1:${port}/`, { proxy: false });
    client.write("x");
    assert.equal((await client.closed).code, 1011);
    assert.deepEqual(errors, [failed]);
  }
});

test("handleUpgrade() takes the Request of a framework, whose hook may take the socket", async (t) => {
  const seen: unknown[] = [];
  const adapter = ours(t, {
    hooks: {
      upgrade(request) {
        seen.push(request.context?.["from"]);
        const { runtime } = request as { runtime?: { node?: { upgrade: { socket: NodeJS.WritableStream } } } };
        if (!request.url.endsWith("/handled")) return undefined;
        runtime?.node?.upgrade.socket.end("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n");
        return { handled: true };
      },
      message: (peer) => void peer.send(JSON.stringify([peer.request.url, peer.context["from"]])),
    },
  });
  const http = createServer();
  http.on("upgrade", (message, socket, head: Buffer) => {
    const request = Object.assign(new Request(`https://front.example${message.url}`), {
      context: { from: "the framework" },
      runtime: { node: { req: message, upgrade: { socket, head } } },
    });
    void adapter.handleUpgrade(message, socket, head, request);
  });
  const port = await listening(t, http);
  const url = `ws://127.0.0.1:${port}`;
  await assert.rejects(connect(`${url}/handled`, { proxy: false }), rejectedWith(418));
  const client = await connect(`${url}/own`, { proxy: false });
  client.write("x");
  for await (const message of client) {
    assert.deepEqual(message.json(), ["https://front.example/own", "the framework"]);
    break;
  }
  await client.close();
  assert.deepEqual(seen, ["the framework", "the framework"]);
});

test("wrong options throw INVALID_ARGUMENT", () => {
  const wrong: readonly object[] = [
    { hook: {} },
    { idleTimeout: -1 },
    { idleTimeout: "30" },
    { idleTimeout: Infinity },
    { serverOptions: { authorize: () => true } },
    { serverOptions: { protocols: ["one"] } },
    { serverOptions: { heartbeet: false } },
    { hooks: 1 },
    { hooks: null },
    ...["upgrade", "open", "message", "ping", "pong", "drain", "close", "error"].map((name) => ({
      hooks: { [name]: 1 },
    })),
    ...["resolve", "getNamespace", "handleProtocols", "onError"].map((name) => ({ [name]: "on" })),
  ];
  for (const options of wrong) {
    assert.throws(() => crossws(options), { code: "INVALID_ARGUMENT" }, JSON.stringify(options));
  }
});
