// `tungstate serve` as a hub, used by the published client of its protocol.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import {
  Centrifuge,
  type ConnectingContext,
  type DisconnectedContext,
  type Options,
  type PublicationContext,
  type SubscribedContext,
  type Subscription,
  UnauthorizedError,
  type UnsubscribedContext,
} from "centrifuge";
import { WebSocket } from "ws";
import { Program, Server } from "../support/program.ts";

const SECRET = "a secret of at least thirty-two bytes, which is the least";
const KEY = "a key of sixteen characters or more";

/** A client with a short reconnect delay. */
function clientOf(server: Server, options: Partial<Options> = {}): Centrifuge {
  return new Centrifuge(server.ws("/connection/websocket"), {
    websocket: WebSocket,
    minReconnectDelay: 20,
    maxReconnectDelay: 100,
    timeout: 60_000,
    ...options,
  });
}

async function connected(client: Centrifuge): Promise<Centrifuge> {
  client.connect();
  await client.ready(60_000);
  return client;
}

async function subscribed(client: Centrifuge, channel: string, token?: string): Promise<Subscription> {
  const subscription = client.newSubscription(channel, token === undefined ? {} : { token });
  subscription.subscribe();
  await subscription.ready(60_000);
  return subscription;
}

/** Returns the next event; `listen` adds the listener. */
function next<Context>(listen: (listener: (context: Context) => void) => unknown): Promise<Context> {
  return new Promise((resolve) => void listen(resolve));
}

/** Runs a command to its end and returns its output. */
async function printed(...args: readonly string[]): Promise<string> {
  await using program = new Program(...args);
  assert.deepEqual(await program.run(), { code: 0, signal: null }, program.stderr);
  return program.stdout.trim();
}

describe("without any configuration", () => {
  let server: Server;
  const clients: Centrifuge[] = [];
  const client = (): Centrifuge => {
    const made = clientOf(server);
    clients.push(made);
    return made;
  };
  before(async () => (server = await Server.start()));
  after(async () => {
    for (const each of clients) each.disconnect();
    await server[Symbol.asyncDispose]();
  });

  test("any client may subscribe, publish, and read presence and history in channels of `public`", async () => {
    const [one, two] = [await connected(client()), await connected(client())];
    const listening = await subscribed(one, "public:lobby");
    const speaking = await subscribed(two, "public:lobby");
    const received = next<PublicationContext>((done) => listening.once("publication", done));
    await speaking.publish({ text: "hello" });
    const { data, offset } = await received;
    assert.deepEqual([data, offset], [{ text: "hello" }, 1]);
    assert.equal((await listening.presenceStats()).numClients, 2);
    assert.equal((await listening.history({ limit: 10 })).publications.length, 1);
  });

  test("a reconnecting client receives what it missed", async () => {
    const [away, other] = [await connected(client()), await connected(client())];
    const subscription = await subscribed(away, "public:recovery");
    const received: unknown[] = [];
    subscription.on("publication", ({ data }) => received.push(data as unknown));
    away.disconnect();
    for (const text of ["one", "two"]) await other.publish("public:recovery", text);
    const again = next<SubscribedContext>((done) => subscription.once("subscribed", done));
    away.connect();
    assert.equal((await again).recovered, true);
    assert.deepEqual(received, ["one", "two"]);
  });

  test("the state of a `public` channel can be loaded before the first subscription, as in the guide", async () => {
    const [reader, writer] = [await connected(client()), await connected(client())];
    for (const n of [1, 2]) await writer.publish("public:state", n);
    let shown: unknown[] = [];
    const subscription = reader.newSubscription("public:state", {
      getState: async () => {
        const page = await reader.history("public:state", { limit: 100, reverse: true });
        shown = page.publications.reverse().map(({ data }) => data as unknown);
        return { offset: page.offset, epoch: page.epoch };
      },
    });
    const received = next<PublicationContext>((done) => subscription.once("publication", done));
    subscription.subscribe();
    await subscription.ready(60_000);
    await writer.publish("public:state", 3);
    assert.deepEqual([shown, (await received).data], [[1, 2], 3]);
    assert.equal((await reader.presenceStats("public:state")).numClients, 1);
  });

  test("a client that offers Protobuf gets that subprotocol, and a disconnect with the reason", async () => {
    const socket = new WebSocket(server.ws("/connection/websocket"), "centrifuge-protobuf");
    await once(socket, "open");
    const closed = once(socket, "close");
    socket.send(Buffer.from([4, 0x08, 1, 0x22, 0])); // {id: 1, connect: {}}
    const [code, reason] = (await closed) as [number, Buffer];
    assert.deepEqual([socket.protocol, code], ["centrifuge-protobuf", 3506]);
    assert.match(reason.toString(), /speaks JSON in text messages, not Protobuf/);
  });

  test("other channels require a token; other namespaces do not exist", async () => {
    const here = await connected(client());
    for (const [channel, code] of [
      ["lobby", 103],
      ["private:lobby", 102],
      ["__proto__:lobby", 102],
    ] as const) {
      await assert.rejects(here.publish(channel, "in"), { code });
      const subscription = here.newSubscription(channel);
      const refused = next<UnsubscribedContext>((done) => subscription.once("unsubscribed", done));
      subscription.subscribe();
      assert.equal((await refused).code, code);
    }
  });

  test("the HTTP API is disabled", async () => {
    const response = await fetch(`${server.url}/api/info`, { method: "POST", body: "{}" });
    assert.equal(response.status, 404);
  });

  test("the hub's path answers 426 without an upgrade, and is included in /health and /metrics", async () => {
    const here = await connected(client());
    await subscribed(here, "public:scores");
    assert.equal((await fetch(`${server.url}/connection/websocket`)).status, 426);
    const health = (await (await fetch(`${server.url}/health`)).json()) as { connections: { hub: number } };
    assert.ok(health.connections.hub >= 1);
    assert.ok((await server.metric("tungstate_hub_sessions")) >= 1);
    assert.ok((await server.metric('tungstate_hub_commands_total{method="subscribe"}')) >= 1);
    assert.ok((await server.metric('tungstate_connections{path="/connection/websocket"}')) >= 1);
    const before = await server.metric("tungstate_hub_fan_out_seconds_count");
    await here.publish("public:scores", 1);
    assert.equal(await server.metric("tungstate_hub_fan_out_seconds_count"), before + 1);
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    for (const line of lines) assert.match(line, /^[a-z_]\w*(\{(\w+="[^"]*",?)+\})? \S+$/i);
    assert.equal(new Set(lines.map((line) => line.replace(/ \S+$/, ""))).size, lines.length);
  });

  test("pages of other origins are rejected", async () => {
    const socket = new WebSocket(server.ws("/connection/websocket"), { origin: "http://elsewhere.example" });
    const [error] = (await once(socket, "error")) as [Error];
    assert.match(error.message, /403/);
  });
});

describe("with a secret and an API key", () => {
  let server: Server;
  const clients: Centrifuge[] = [];
  const client = (options: Partial<Options>): Centrifuge => {
    const made = clientOf(server, options);
    clients.push(made);
    return made;
  };
  const call = (method: string, body: string | Uint8Array<ArrayBuffer>, key = KEY): Promise<Response> =>
    fetch(`${server.url}/api/${method}`, { method: "POST", headers: { "X-API-Key": key }, body });
  before(async () => {
    server = await Server.start("--token-secret", SECRET, "--api-key", KEY, "--namespace", "private");
  });
  after(async () => {
    for (const each of clients) each.disconnect();
    await server[Symbol.asyncDispose]();
  });

  test("`tungstate token` creates tokens that connect a user and subscribe to a channel", async () => {
    const token = await printed("token", "--user", "alice", "--ttl", "1h", "--token-secret", SECRET);
    const alice = await connected(client({ token }));
    for (const channel of ["lobby", "private:lobby"]) {
      const forChannel = await printed("token", "--user", "alice", "--channel", channel, "--token-secret", SECRET);
      const subscription = await subscribed(alice, channel, forChannel);
      await subscription.publish({ from: "alice" });
      const { clients: present } = await subscription.presence();
      assert.deepEqual(
        Object.values(present).map(({ user }) => user),
        ["alice"],
      );
    }
  });

  test("a token signed with another secret is rejected", async () => {
    const other = "another secret of at least thirty-two bytes, not the server's";
    const token = await printed("token", "--user", "mallory", "--token-secret", other);
    const mallory = client({ token });
    const ended = next<DisconnectedContext>((done) => mallory.once("disconnected", done));
    mallory.connect();
    assert.equal((await ended).code, 3500);
    const anonymous = client({ getToken: () => Promise.reject(new UnauthorizedError("no")) });
    const left = next<DisconnectedContext>((done) => anonymous.once("disconnected", done));
    anonymous.connect();
    await left;
  });

  test("the HTTP API publishes for callers with the key", async () => {
    const here = await connected(client({}));
    const subscription = await subscribed(here, "public:news");
    const received = next<PublicationContext>((done) => subscription.once("publication", done));
    const response = await call("publish", `{"channel":"public:news","data":{"n":12345678901234567890}}`);
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { result: { offset: number } }).result.offset, 1);
    await received;

    assert.equal(
      (await call("publish", `{"channel":"public:news","data":1}`, "not the key of this server")).status,
      401,
    );
    assert.equal((await call("publish", "{")).status, 400);
    assert.equal((await call("publish", Uint8Array.of(0x22, 0xff, 0x22))).status, 400);
    assert.equal((await call("nothing", "{}")).status, 404);
    assert.equal((await call("publish", " ".repeat(5 * 1024 * 1024))).status, 413);
    const asked = await fetch(`${server.url}/api/info`, { headers: { "X-API-Key": KEY } });
    assert.deepEqual([asked.status, asked.headers.get("allow")], [405, "POST"]);
    assert.equal((await subscription.history({ limit: 10 })).publications.length, 1);
  });

  test("a request for an upgrade to h2c, as sent by Java's HttpClient, is an ordinary request with a body", async () => {
    const body = `{"channel":"public:java","data":{}}`;
    const sent = request(`${server.url}/api/publish`, {
      method: "POST",
      agent: false,
      headers: {
        "X-API-Key": KEY,
        Connection: "Upgrade, HTTP2-Settings",
        Upgrade: "h2c",
        "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "Content-Length": body.length,
      },
    });
    const [response] = (await once(sent.end(body), "response")) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    assert.match(await text(response), /"offset":1/);
  });

  test("secrets and keys are not printed", () => {
    for (const text of [server.stdout, server.stderr]) {
      assert.ok(!text.includes(SECRET));
      assert.ok(!text.includes(KEY));
    }
  });
});

test("SIGTERM disconnects clients with a code that makes them reconnect, and exits with 0", async () => {
  await using server = await Server.start("--drain", "5");
  const clients = [clientOf(server), clientOf(server)];
  try {
    for (const client of clients) await connected(client);
    const events = clients.map((client) => next<ConnectingContext>((done) => client.once("connecting", done)));
    server.child.kill("SIGTERM");
    for (const { code, reason } of await Promise.all(events)) {
      assert.deepEqual([code, reason], [3001, "shutdown"]);
    }
    assert.deepEqual(await server.exited, { code: 0, signal: null });
  } finally {
    for (const client of clients) client.disconnect();
  }
});

test("all problems of the options are printed at once, without secrets", async () => {
  await using server = new Program(
    "serve",
    "--port",
    "0",
    "--token-secret",
    "short",
    "--api-key",
    "tiny",
    "--namespace",
    "a:b",
  );
  assert.deepEqual(await server.run(), { code: 1, signal: null });
  assert.equal(server.stdout, "");
  assert.deepEqual(server.stderr.trim().split("\n"), [
    "tungstate: --token-secret must have at least 32 bytes, got 5",
    "tungstate: --api-key must have at least 16 characters, got 4",
    'tungstate: --namespace must consist of letters, digits, _ and -, got "a:b"',
  ]);
});

describe("--config", () => {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-config-"));
  after(() => rmSync(folder, { recursive: true }));
  const written = (name: string, content: unknown): string => {
    const file = join(folder, name);
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    return file;
  };

  test("reads settings and namespaces; flags take precedence", async () => {
    const file = written("good.json", {
      port: 1, // the test's --port 0 takes precedence
      tokenSecret: SECRET,
      apiKey: [KEY],
      namespaces: { chat: { subscribe: "authenticated", publish: "subscribers" } },
    });
    await using server = await Server.start("--config", file);
    const token = await printed("token", "--user", "alice", "--token-secret", SECRET);
    const alice = await connected(clientOf(server, { token }));
    try {
      const subscription = await subscribed(alice, "chat:lobby");
      await subscription.publish("in");
      await assert.rejects(subscription.history({ limit: 1 }), { code: 108 });
      const response = await fetch(`${server.url}/api/info`, {
        method: "POST",
        headers: { "X-API-Key": KEY },
        body: "{}",
      });
      assert.equal(response.status, 200);
    } finally {
      alice.disconnect();
    }
  });

  test("all problems of the file are printed at once, without values", async () => {
    const file = written("bad.json", {
      port: "eighty",
      tokenSecret: 12345,
      colour: "red",
      origin: ["https://example.com/path"],
    });
    await using server = new Program("serve", "--port", "0", "--config", file, "--api-key", "tiny");
    assert.deepEqual(await server.run(), { code: 1, signal: null });
    assert.deepEqual(server.stderr.trim().split("\n"), [
      `tungstate: ${file}: port must be an integer from 0 to 65535`,
      `tungstate: ${file}: tokenSecret must be a string`,
      `tungstate: ${file}: unknown setting colour`,
      `tungstate: ${file}: origin must be a list of origins such as "https://example.com", or "any"`,
      "tungstate: --api-key must have at least 16 characters, got 4",
    ]);
  });

  for (const [name, namespace, problem] of [
    ["type", { presence: "yes" }, ": presence must be true or false"],
    ["history", { history: { size: 0, ttl: 1 } }, ".history: size must be an integer from 1 to 10000000"],
    ["half of a history", { history: { size: 5 } }, /history\.ttl must be a number above 0 \(ms\)/],
    ["combination", { recovery: true }, /recovery must be false without history/],
    ["unknown", { subscribe: "everyone" }, ": subscribe must be one of anyone, authenticated, nobody"],
  ] as const) {
    test(`an invalid namespace is rejected: ${name}`, async () => {
      const file = written("namespace.json", { namespaces: { chat: namespace } });
      await using server = new Program("serve", "--port", "0", "--config", file);
      assert.deepEqual(await server.run(), { code: 1, signal: null });
      if (typeof problem === "string") {
        assert.equal(server.stderr, `tungstate: ${file}: namespaces.chat${problem}\n`);
      } else assert.match(server.stderr, problem);
    });
  }

  test("a missing file, or one that is not JSON, is rejected", async () => {
    await using none = new Program("serve", "--port", "0", "--config", join(folder, "nowhere.json"));
    await none.run();
    assert.match(none.stderr, /nowhere\.json: no such file\n$/);
    await using wrong = new Program("serve", "--port", "0", "--config", written("wrong.json", `{"tokenSecret":"abc`));
    assert.deepEqual(await wrong.run(), { code: 1, signal: null });
    assert.match(wrong.stderr, /wrong\.json: expected JSON\n$/);
  });
});

test("`tungstate token` prints which arguments are missing", async () => {
  await using none = new Program("token", "--user", "alice");
  assert.deepEqual(await none.run(), { code: 1, signal: null });
  assert.match(none.stderr, /TUNGSTATE_TOKEN_SECRET/);
  await using wrong = new Program("token", "--user", "alice", "--ttl", "soon", "--token-secret", SECRET);
  assert.deepEqual(await wrong.run(), { code: 1, signal: null });
  assert.match(wrong.stderr, /'soon' is invalid\. Expected seconds/);
});
