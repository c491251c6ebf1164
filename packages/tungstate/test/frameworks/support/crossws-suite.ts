// What crossws documents about adapters, as tests: npm package crossws, docs/1.guide.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { AdapterInstance, AdapterOptions, Hooks, Message, Peer } from "crossws";
import { HandshakeRejectedError } from "../../../src/client/client.ts";
import { connect, type ConnectOptions } from "../../../src/client/connect.ts";
import type { WebSocketConnection } from "../../../src/connection/types.ts";
import { Raw, upgradeRequest } from "../../support/raw.ts";
import { take } from "../../support/take.ts";
import { until } from "../../support/until.ts";

/** An adapter on a port. */
export interface Started {
  readonly port: number;
  readonly adapter: AdapterInstance;
}

/** One adapter on one route. */
export interface AdapterUnderTest {
  readonly name: string;
  /** Starts it; it ends with the test. */
  start(t: TestContext, options: AdapterOptions): Promise<Started>;
  /** Documented behaviour that it does not have, by the name of a test, with the reason. */
  readonly lacks?: Readonly<Record<string, string>>;
}

/** What the hooks of one adapter were called with. */
class Calls {
  readonly peers: Peer[] = [];
  readonly messages: Message[] = [];
  readonly closes: { readonly peer: Peer; readonly code?: number; readonly reason?: string }[] = [];
  readonly errors: Error[] = [];

  hooks(more: Partial<Hooks> = {}): Partial<Hooks> {
    return {
      open: (peer) => void this.peers.push(peer),
      message: (_peer, message) => void this.messages.push(message),
      close: (peer, details) => void this.closes.push({ peer, ...details }),
      error: (_peer, error) => void this.errors.push(error),
      ...more,
    };
  }
}

/** The tests for one adapter. */
export function crosswsSuite({ name, start, lacks = {} }: AdapterUnderTest): void {
  const it = (title: string, run: (t: TestContext) => Promise<void>): void => {
    const reason = lacks[title];
    test(`${name}: ${title}`, reason === undefined ? {} : { skip: reason }, run);
  };

  async function dial(t: TestContext, { port }: Started, path = "/", options: ConnectOptions = {}) {
    const client = await connect(`ws://127.0.0.1:${port}${path}`, { proxy: false, ...options });
    t.after(() => client.terminate());
    return client;
  }

  async function withPeer(t: TestContext, options: AdapterOptions = {}, path = "/", more: ConnectOptions = {}) {
    const calls = new Calls();
    const started = await start(t, { ...options, hooks: calls.hooks(options.hooks) });
    const client = await dial(t, started, path, more);
    await until(() => calls.peers.length === 1);
    return { calls, started, client, peer: calls.peers[0] };
  }

  async function rejection(started: Started, path = "/", options: ConnectOptions = {}) {
    const error: unknown = await connect(`ws://127.0.0.1:${started.port}${path}`, { proxy: false, ...options }).then(
      (client) => client.terminate(),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof HandshakeRejectedError, String(error));
    const { status, headers, body } = error.response;
    return { status, headers, body: Buffer.from(body).toString() };
  }

  it("hooks are called for open, messages and close, with the same peer", async (t) => {
    const { calls, client, peer } = await withPeer(t);
    client.write("text");
    client.write(new Uint8Array([1, 2]));
    await until(() => calls.messages.length === 2);
    assert.equal(calls.messages[0]?.peer, peer);
    await client.close(4001, "bye");
    await until(() => calls.closes.length === 1);
    const { code, reason, peer: closed } = calls.closes[0] ?? assert.fail();
    assert.deepEqual([code, reason], [4001, "bye"]);
    assert.equal(closed, peer);
    assert.deepEqual(calls.errors, []);
  });

  it("a text message can be read in every form", async (t) => {
    const { calls, client } = await withPeer(t);
    client.write('{"é":[1]}');
    await until(() => calls.messages.length === 1);
    const message = calls.messages[0] ?? assert.fail();
    const bytes = new TextEncoder().encode('{"é":[1]}');
    assert.equal(message.text(), '{"é":[1]}');
    assert.equal(String(message), '{"é":[1]}');
    assert.equal(`${message as unknown as string}`, '{"é":[1]}');
    assert.deepEqual(message.json(), { é: [1] });
    assert.deepEqual(new Uint8Array(message.uint8Array()), bytes);
    assert.deepEqual(new Uint8Array(message.arrayBuffer()), bytes);
    assert.deepEqual(new Uint8Array(await message.blob().arrayBuffer()), bytes);
    assert.equal(message.rawData, '{"é":[1]}');
    assert.match(message.id, UUID);
    assert.equal(message.id, message.id);
  });

  it("a binary message can be read in every form", async (t) => {
    const { calls, client } = await withPeer(t);
    const bytes = new TextEncoder().encode("[1]");
    client.write(bytes);
    await until(() => calls.messages.length === 1);
    const message = calls.messages[0] ?? assert.fail();
    assert.equal(message.text(), "[1]");
    assert.deepEqual(message.json(), [1]);
    assert.deepEqual(new Uint8Array(message.uint8Array()), bytes);
    assert.deepEqual(new Uint8Array(message.arrayBuffer()), bytes);
    assert.deepEqual(new Uint8Array(await message.blob().arrayBuffer()), bytes);
    assert.ok(message.rawData instanceof Uint8Array);
  });

  it("an empty message is a message", async (t) => {
    const { calls, client } = await withPeer(t);
    client.write("");
    client.write(new Uint8Array());
    await until(() => calls.messages.length === 2);
    assert.deepEqual(
      calls.messages.map((message) => [message.text(), message.uint8Array().length]),
      [
        ["", 0],
        ["", 0],
      ],
    );
  });

  it("send() takes text, bytes and JSON", async (t) => {
    const { client, peer } = await withPeer(t);
    const values = ["text", "", new Uint8Array([1, 2, 3]), new ArrayBuffer(2), { a: [1] }, 5, true];
    for (const value of values) peer.send(value);
    const received = await take(client, values.length);
    assert.deepEqual(
      received.map(({ type, text, bytes }) => (type === "text" ? text : [...bytes])),
      ["text", "", [1, 2, 3], [0, 0], '{"a":[1]}', "5", "true"],
    );
  });

  it("a peer has an id, a request, an address and a namespace", async (t) => {
    const { peer, started } = await withPeer(t, {}, "/room?x=1", { headers: { "x-test": "yes" } });
    assert.match(peer.id, UUID);
    assert.equal(String(peer), peer.id);
    assert.equal(peer.id, peer.id);
    assert.equal(new URL(peer.request.url).pathname, "/room");
    assert.equal(new URL(peer.request.url).search, "?x=1");
    assert.equal(new URL(peer.request.url).host, `127.0.0.1:${started.port}`);
    assert.equal(peer.request.headers.get("x-test"), "yes");
    assert.equal(peer.remoteAddress, "127.0.0.1");
    assert.equal(peer.namespace, "/room");
    assert.deepEqual([...peer.peers], [peer]);
    assert.equal(peer.bufferedAmount, 0);
  });

  it("peer.websocket has a URL, a protocol and a state, and sends and closes", async (t) => {
    const { peer, started, client } = await withPeer(t, { handleProtocols: () => "two" }, "/path", {
      protocols: ["one", "two"],
    });
    const { websocket } = peer;
    assert.equal(websocket.url, `ws://127.0.0.1:${started.port}/path`);
    assert.equal(websocket.protocol, "two");
    assert.equal(websocket.readyState, 1);
    websocket.send?.("text");
    assert.equal((await take(client, 1))[0]?.text, "text");
    websocket.close?.(4002, "x");
    assert.equal((await client.closed).code, 4002);
  });

  it("upgrade: header fields are added to the response", async (t) => {
    const { client } = await withPeer(t, {
      hooks: { upgrade: () => ({ headers: { "x-one": "1", "set-cookie": "a=b" } }) },
    });
    assert.equal(client.headers.get("x-one"), "1");
    assert.equal(client.headers.get("set-cookie"), "a=b");
  });

  for (const how of ["returned", "thrown", "thrown as the response of an error"] as const) {
    it(`upgrade: a Response that is ${how} refuses the request`, async (t) => {
      const calls = new Calls();
      const upgrade: Hooks["upgrade"] = () => {
        const response = new Response("no token\n", { status: 401, headers: { "www-authenticate": "Basic" } });
        if (how === "returned") return response;
        const error = how === "thrown" ? (response as unknown as Error) : Object.assign(new Error("no"), { response });
        throw error;
      };
      const started = await start(t, { hooks: calls.hooks({ upgrade }) });
      const { status, headers, body } = await rejection(started);
      assert.deepEqual([status, headers.get("www-authenticate"), body], [401, "Basic", "no token\n"]);
      assert.deepEqual(calls.peers, []);
    });
  }

  it("upgrade: another error refuses the request with 500", async (t) => {
    const upgrade: Hooks["upgrade"] = () => {
      throw new Error("the database is down");
    };
    const started = await start(t, { hooks: { upgrade } });
    const { status, body } = await rejection(started);
    assert.equal(status, 500);
    assert.doesNotMatch(body, /database/);
  });

  it("upgrade: the hook may be asynchronous, and its context is that of the peer", async (t) => {
    const { peer } = await withPeer(t, {
      hooks: {
        async upgrade() {
          await Promise.resolve();
          return { context: { user: "ada" } };
        },
      },
    });
    assert.equal(peer.context["user"], "ada");
  });

  it("upgrade: a namespace of the hook precedes that of getNamespace, and that precedes the path", async (t) => {
    const calls = new Calls();
    const started = await start(t, {
      hooks: calls.hooks({
        upgrade: (request) => (new URL(request.url).pathname === "/hook" ? { namespace: "of the hook" } : undefined),
      }),
      getNamespace: (request) => `of ${new URL(request.url).pathname}`,
    });
    for (const path of ["/hook", "/other"]) await dial(t, started, path);
    await until(() => calls.peers.length === 2);
    assert.deepEqual(calls.peers.map(({ namespace }) => namespace).sort(), ["of /other", "of the hook"]);
  });

  it("subprotocols: none by default, the one of handleProtocols, or that of the hook", async (t) => {
    const offer = { protocols: ["one", "two"] };
    assert.equal((await withPeer(t, {}, "/", offer)).client.protocol, "");
    const seen: string[][] = [];
    const handleProtocols = async (offered: Set<string>): Promise<string> => {
      seen.push([...offered]);
      return await Promise.resolve("two");
    };
    assert.equal((await withPeer(t, { handleProtocols }, "/", offer)).client.protocol, "two");
    assert.deepEqual(seen, [["one", "two"]]);
    const upgrade: Hooks["upgrade"] = () => ({ protocol: "one" });
    assert.equal((await withPeer(t, { handleProtocols, hooks: { upgrade } }, "/", offer)).client.protocol, "one");
    assert.equal((await withPeer(t, { handleProtocols: () => false }, "/", offer)).client.protocol, "");
    assert.equal((await withPeer(t, { handleProtocols })).client.protocol, "");
    assert.equal(seen.length, 1);
  });

  it("resolve: the hooks of a request are called besides those of the adapter, and resolved once", async (t) => {
    const log: string[] = [];
    let resolved = 0;
    const { client } = await withPeer(
      t,
      {
        hooks: { message: () => void log.push("adapter") },
        async resolve(request) {
          resolved++;
          const { pathname } = new URL(request.url);
          await Promise.resolve();
          return { message: () => void log.push(pathname), upgrade: () => ({ headers: { "x-path": pathname } }) };
        },
      },
      "/resolved",
    );
    assert.equal(client.headers.get("x-path"), "/resolved");
    client.write("x");
    await until(() => log.length === 2);
    assert.deepEqual(log, ["adapter", "/resolved"]);
    assert.equal(resolved, 1);
  });

  it("peer.publish() reaches the other subscribers of its namespace, and adapter.publish() all", async (t) => {
    const calls = new Calls();
    const started = await start(t, { hooks: calls.hooks({ message: (peer, message) => onCommand(peer, message) }) });
    function onCommand(peer: Peer, message: Message): void {
      const [command, topic = "", data = ""] = message.text().split(" ");
      if (command === "subscribe") peer.subscribe(topic);
      else if (command === "unsubscribe") peer.unsubscribe(topic);
      else peer.publish(topic, data);
      peer.send("done");
    }
    const clients: WebSocketConnection[] = [];
    for (const path of ["/a", "/a", "/a", "/b"]) clients.push(await dial(t, started, path));
    const tell = async (client: number, command: string): Promise<void> => {
      clients[client]?.write(command);
      assert.equal((await take(clients[client], 1))[0]?.text, "done");
    };
    for (const client of [0, 1, 3]) await tell(client, "subscribe news");
    await until(() => calls.peers.length === 4);
    assert.deepEqual(
      calls.peers.map(({ topics }) => [...topics]),
      [["news"], ["news"], [], ["news"]],
    );
    await tell(0, "publish news first");
    started.adapter.publish("news", { to: "all" });
    started.adapter.publish("news", new Uint8Array([7]), { namespace: "/b" });
    started.adapter.publish("other", "nobody");
    await tell(1, "publish news last").catch(() => undefined); // the answer is behind the publications
    const texts = async (client: number, count: number): Promise<unknown[]> =>
      (await take(clients[client], count)).map(({ type, text, bytes }) => (type === "text" ? text : [...bytes]));
    assert.deepEqual(await texts(0, 2), ['{"to":"all"}', "last"]);
    assert.deepEqual(await texts(3, 2), ['{"to":"all"}', [7]]);
    calls.peers[2]?.send("only this");
    assert.deepEqual(await texts(2, 1), ["only this"]);
  });

  it("peers of the adapter are listed by namespace, until they have ended", async (t) => {
    const calls = new Calls();
    const started = await start(t, { hooks: calls.hooks() });
    const clients = [await dial(t, started, "/a"), await dial(t, started, "/a"), await dial(t, started, "/b")];
    await until(() => calls.peers.length === 3);
    const sizes = (): Record<string, number> =>
      Object.fromEntries(
        [...started.adapter.peers].map(([name, { size }]) => [name, size] as const).filter(([, size]) => size > 0),
      );
    assert.deepEqual(sizes(), { "/a": 2, "/b": 1 });
    await clients[0]?.close();
    clients[2]?.terminate();
    await until(() => calls.closes.length === 2);
    assert.deepEqual(sizes(), { "/a": 1 });
  });

  it("peer.close() sends a code and a reason; peer.terminate() ends without a Close", async (t) => {
    const { client, peer, calls } = await withPeer(t);
    peer.close(4003, "enough");
    const { code, reason } = await client.closed;
    assert.deepEqual([code, reason], [4003, "enough"]);
    await until(() => calls.closes.length === 1);
    const other = await withPeer(t);
    other.peer.terminate();
    assert.equal((await other.client.closed).code, 1006);
    await until(() => other.calls.closes.length === 1);
    assert.equal(other.calls.closes[0]?.code, 1006);
  });

  it("error: a protocol error of the client is reported, and close follows", async (t) => {
    const { client, calls } = await withPeer(t);
    client.write("x".repeat(10));
    const port = Number(new URL(calls.peers[0]?.request.url ?? "").port);
    const raw = Raw.to(t, { port }).send(upgradeRequest("/", { Host: `127.0.0.1:${port}` }));
    await until(() => calls.peers.length === 2);
    raw.send(Buffer.from("838000000000", "hex")); // an unknown opcode
    await until(() => calls.closes.length === 1);
    assert.equal(calls.errors.length, 1);
    assert.ok(calls.errors[0] instanceof Error);
  });

  it("ping() sends a ping, and the hooks ping and pong are called", async (t) => {
    const log: string[] = [];
    const { client, peer } = await withPeer(t, {
      hooks: {
        ping: (_peer, data) => void log.push(`ping ${Buffer.from(data).toString()}`),
        pong: (_peer, data) => void log.push(`pong ${Buffer.from(data).toString()}`),
      },
    });
    const seen: string[] = [];
    client.on("ping", (payload) => void seen.push(Buffer.from(payload).toString()));
    client.on("message", () => undefined);
    peer.ping("from here");
    await until(() => log.length === 1);
    await client.ping("from there");
    assert.deepEqual(seen, ["from here"]);
    assert.deepEqual(log, ["pong from here", "ping from there"]);
  });

  it("waitForDrain() waits until the client has read", async (t) => {
    const { client, peer } = await withPeer(t);
    await peer.waitForDrain();
    const total = 32 * 1024 * 1024;
    for (let sent = 0; sent < total; sent += 1024 * 1024) peer.send(new Uint8Array(1024 * 1024));
    const wait = peer.waitForDrain({ threshold: 64 * 1024, pollInterval: 5 });
    const aborted = peer.waitForDrain({ signal: AbortSignal.abort(new Error("given up")) });
    await assert.rejects(aborted, /given up/);
    let received = 0;
    for await (const { size } of client) if ((received += size) === total) break;
    await wait;
    assert.ok(peer.bufferedAmount <= 64 * 1024);
    for (let sent = 0; sent < total; sent += 1024 * 1024) peer.send(new Uint8Array(1024 * 1024));
    const last = peer.waitForDrain({ pollInterval: 5 });
    client.terminate();
    await last; // a connection that has ended has nothing to wait for
  });

  it("close() of the adapter closes all connections with a code", async (t) => {
    const calls = new Calls();
    const started = await start(t, { hooks: calls.hooks() });
    const clients = [await dial(t, started), await dial(t, started, "/b")];
    await until(() => calls.peers.length === 2);
    await started.adapter.close(1012, "restarting");
    for (const client of clients) {
      const { code, reason } = await client.closed;
      assert.deepEqual([code, reason], [1012, "restarting"]);
    }
  });

  it("sync: publications reach the subscribers of other instances", async (t) => {
    const open = (calls: Calls, peer: Peer): void => {
      calls.peers.push(peer);
      peer.subscribe("news");
    };
    const drivers = new Set<(message: never) => void>();
    const errors: string[] = [];
    let closed = 0;
    let fails = false;
    const options = (calls: Calls): AdapterOptions => ({
      hooks: calls.hooks({ open: (peer) => open(calls, peer) }),
      sync: () => {
        let own: ((message: never) => void) | undefined;
        return {
          subscribe: (deliver) => void drivers.add((own = deliver as (message: never) => void)),
          publish(message) {
            if (fails) throw new Error("the backplane is down");
            for (const deliver of drivers) if (deliver !== own) deliver(message as never);
          },
          close: () => void closed++,
        };
      },
      onError: (error, { stage }) => void errors.push(`${stage} ${(error as Error).message}`),
    });
    const calls = [new Calls(), new Calls()] as const;
    const instances = [await start(t, options(calls[0])), await start(t, options(calls[1]))] as const;
    const clients = [
      await dial(t, instances[0], "/a"),
      await dial(t, instances[1], "/a"),
      await dial(t, instances[1], "/b"),
    ];
    await until(() => calls[0].peers.length === 1 && calls[1].peers.length === 2);
    calls[0].peers[0]?.publish("news", "of a peer");
    instances[0].adapter.publish("news", new Uint8Array([9]));
    fails = true;
    instances[0].adapter.publish("news", "local");
    fails = false;
    const texts = async (client: number, count: number): Promise<string[]> =>
      (await take(clients[client], count)).map(({ type, text, bytes }) =>
        type === "text" ? text : `bytes ${bytes.join()}`,
      );
    assert.deepEqual(await texts(0, 2), ["bytes 9", "local"]);
    assert.deepEqual(await texts(1, 2), ["of a peer", "bytes 9"]);
    assert.deepEqual(await texts(2, 1), ["bytes 9"]);
    assert.deepEqual(errors, ["publish the backplane is down"]);
    await instances[0].adapter.close();
    assert.equal(closed, 1);
  });

  it("idleTimeout: a client that does not answer is dropped", async (t) => {
    const calls = new Calls();
    const { port } = await start(t, { hooks: calls.hooks(), idleTimeout: 0.1 });
    Raw.to(t, { port }).send(upgradeRequest("/", { Host: `127.0.0.1:${port}` }));
    await until(() => calls.closes.length === 1);
    assert.equal(calls.closes[0]?.code, 1006);
  });
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
