import assert from "node:assert/strict";
import { test } from "node:test";
import { createHttpApi, type HttpApi } from "../../src/api/http-api.ts";
import { type HubUnderTest, withHub } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const key = "an API key of some length";

interface Answer {
  readonly status: number;
  readonly body: {
    readonly result?: Record<string, unknown>;
    readonly error?: { readonly code: number; readonly message?: string };
    readonly replies?: unknown[];
  };
}

type Call = (method: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>;

function withApi(run: (call: Call, under: HubUnderTest, api: HttpApi) => Promise<void>): Promise<void> {
  return withHub({ authenticate: ({ data }) => ({ user: String(data) }) }, async (under) => {
    const api = createHttpApi(under.hub, { keys: ["the key before this one", key] });
    const call: Call = async (method, body, headers = {}) => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const response = await api(method, text, { "x-api-key": key, ...headers });
      assert.equal(response.headers["content-type"], "application/json");
      return { status: response.status, body: JSON.parse(response.body) as Answer["body"] };
    };
    await run(call, under, api);
  });
}

test("a request without a valid key is rejected", () =>
  withApi(async (_call, { hub }, api) => {
    const body = '{"channel":"public:x","data":1}';
    const status = async (headers: Record<string, string | string[]>): Promise<number> =>
      (await api("publish", body, headers)).status;
    assert.equal(await status({}), 401);
    assert.equal(await status({ "x-api-key": "" }), 401);
    assert.equal(await status({ "x-api-key": `${key} ` }), 401);
    assert.equal(await status({ "x-api-key": [key] }), 401);
    assert.equal(await status({ authorization: `Bearer ${key}` }), 401);
    assert.equal((await api("no such method", body, {})).status, 401);
    // the same without a body, for callers that have not read one yet
    assert.deepEqual(api.unauthorized({}), await api("publish", body, {}));
    assert.equal(api.unauthorized({ "x-api-key": `${key} ` })?.status, 401);
    assert.equal(api.unauthorized({ "x-api-key": key }), undefined);
    assert.equal(hub.metrics.published, 0);
    assert.equal(await status({ "x-api-key": key }), 200);
    assert.equal(await status({ authorization: `apikey ${key}` }), 200);
    assert.equal(await status({ "x-api-key": "the key before this one" }), 200);
    assert.throws(() => createHttpApi(hub, { keys: [] }), /at least one key/);
    assert.throws(() => createHttpApi(hub, { keys: ["short"] }), /at least 16 characters, got 5/);
  }));

test("a malformed request gets 400, and has no effect", () =>
  withApi(async (call, { hub }) => {
    const channel = "public:x";
    const table: readonly [string, unknown][] = [
      ["publish", ""],
      ["publish", "{"],
      ["publish", "[]"],
      ["publish", "1"],
      ["publish", "null"],
      ["publish", {}],
      ["publish", { channel }],
      ["publish", { data: 1 }],
      ["publish", { channel: 1, data: 1 }],
      ["publish", { channel: "", data: 1 }],
      ["publish", { channel: "x".repeat(300), data: 1 }],
      ["publish", { channel, data: 1, tags: { a: 1 } }],
      ["publish", { channel, data: 1, tags: [] }],
      ["publish", { channel, data: 1, skip_history: "yes" }],
      ["publish", { channel, data: 1, idempotency_key: 1 }],
      ["publish", { channel, data: 1, delta: 1 }],
      ["publish", `{"channel":"public:x","data":${"[".repeat(300)}${"]".repeat(300)}}`],
      ["broadcast", { channels: [], data: 1 }],
      ["broadcast", { channels: channel, data: 1 }],
      ["broadcast", { channels: [1], data: 1 }],
      ["subscribe", { channel }],
      ["subscribe", { user: "u" }],
      ["subscribe", { user: 1, channel }],
      ["subscribe", { user: "u", channel, recover_since: 1 }],
      ["unsubscribe", { channel }],
      ["disconnect", {}],
      ["disconnect", { user: "u", whitelist: "x" }],
      ["disconnect", { user: "u", disconnect: 1 }],
      ["disconnect", { user: "u", disconnect: { code: 1, reason: "" } }],
      ["disconnect", { user: "u", disconnect: { code: 4000, reason: "x".repeat(200) } }],
      ["refresh", {}],
      ["refresh", { user: "u", expire_at: -1 }],
      ["refresh", { user: "u", expired: true, expire_at: 4_000_000_000 }],
      ["presence", {}],
      ["presence_stats", { channel: [] }],
      ["history", { channel, limit: "1" }],
      ["history", { channel, since: { offset: -1 } }],
      ["history_remove", {}],
      ["batch", {}],
      ["batch", { commands: {} }],
      ["batch", { commands: [1] }],
      ["batch", { commands: [{}] }],
      ["batch", { commands: [{ publish: { channel, data: 1 } }, { publish: { channel } }] }],
      ["batch", { commands: [{ publish: { channel, data: 1 }, info: {} }] }],
    ];
    for (const [method, body] of table) {
      if (method === "batch" && JSON.stringify(body) === "{}") continue; // no commands
      const { status, body: answer } = await call(method, body);
      assert.deepEqual([status, answer.error?.code], [400, 107], `${method} ${JSON.stringify(body).slice(0, 80)}`);
    }
    for (const method of ["", "nope", "__proto__", "constructor", "publish/"]) {
      assert.deepEqual((await call(method, {})).status, 404, method);
    }
    assert.equal(hub.metrics.published, 0);
  }));

test("publish: replies with position and fan-out; errors of the channel are replies", () =>
  withApi(async (call, { hub }) => {
    const a = await new TestClient(hub).connect({ data: "alice" });
    await a.subscribe("public:x");
    await a.subscribe("x");
    a.take();
    const first = await call("publish", {
      channel: "public:x",
      data: { n: 1 },
      tags: { a: "b" },
      idempotency_key: "k",
    });
    assert.equal(first.status, 200);
    const { epoch } = first.body.result ?? {};
    assert.deepEqual(first.body, {
      result: { offset: 1, epoch, delivered: 1, queued: 0, dropped: 0, disconnected: 0 },
    });
    const again = await call("publish", { channel: "public:x", data: { n: 2 }, idempotency_key: "k" });
    assert.deepEqual([again.body.result?.["offset"], again.body.result?.["delivered"]], [1, 0]);
    await call("publish", { channel: "public:x", data: null, skip_history: true });
    await call("publish", '{\n  "channel": "x",\n  "data": {\n "big": 12345678901234567890 }\n}');
    assert.deepEqual(pubsOf(a.take()), [
      { data: { n: 1 }, offset: 1, tags: { a: "b" } },
      { data: null },
      { data: { big: 12345678901234567000 } },
    ]);
    assert.ok(a.frames.at(-1)?.includes('"big": 12345678901234567890'));
    assert.deepEqual(await call("publish", { channel: "nope:x", data: 1 }), {
      status: 200,
      body: { error: { code: 102, message: "unknown channel" } },
    });
    assert.deepEqual(
      await call("publish", { channel: "nope:x", data: 1 }, { "x-centrifugo-error-mode": "transport" }),
      { status: 404, body: { code: 102, message: "unknown channel" } },
    );
    assert.equal((await call("publish", { channel: "x", data: 1, b64data: "eA==" })).body.error?.code, 108);
    assert.equal((await call("publish", { channel: "x", data: 1, version: 5 })).body.error?.code, 108);
  }));

test("broadcast: each channel has its own reply", () =>
  withApi(async (call) => {
    const { body } = await call("broadcast", { channels: ["x", "nope:x", "quiet:x"], data: 1 });
    const responses = body.result?.["responses"] as { result?: { offset?: number }; error?: { code: number } }[];
    assert.deepEqual(
      responses.map(({ result, error }) => [result?.offset, error?.code]),
      [
        [undefined, undefined],
        [undefined, 102],
        [1, undefined],
      ],
    );
  }));

test("history, presence and info", () =>
  withApi(async (call, { hub }) => {
    const a = await new TestClient(hub).connect({ data: "alice" });
    await a.subscribe("public:x");
    for (let n = 1; n <= 3; n++) await hub.publish("public:x", n);
    const page = (await call("history", { channel: "public:x", limit: 2, reverse: true })).body.result;
    assert.deepEqual(
      [page?.["offset"], page?.["publications"]],
      [
        3,
        [
          { data: 3, offset: 3 },
          { data: 2, offset: 2 },
        ],
      ],
    );
    assert.deepEqual((await call("history", { channel: "public:x" })).body.result?.["publications"], []);
    assert.equal(
      (await call("history", { channel: "public:x", since: { offset: 1, epoch: "old" } })).body.error?.code,
      112,
    );
    assert.equal(
      (
        await call(
          "history",
          { channel: "public:x", since: { offset: 1, epoch: "old" } },
          { "x-centrifugo-error-mode": "transport" },
        )
      ).status,
      416,
    );
    assert.deepEqual((await call("history_remove", { channel: "public:x" })).body, { result: {} });
    assert.deepEqual((await call("history", { channel: "public:x", limit: 9 })).body.result?.["publications"], []);
    const { client } = a.session;
    assert.deepEqual((await call("presence", { channel: "public:x" })).body, {
      result: { presence: { [client]: { user: "alice", client } } },
    });
    assert.deepEqual((await call("presence_stats", { channel: "public:x" })).body, {
      result: { num_clients: 1, num_users: 1 },
    });
    for (const method of ["presence", "presence_stats", "history", "history_remove"]) {
      assert.equal((await call(method, { channel: "x" })).body.error?.code, 108, method);
    }
    const nodes = (await call("info", {})).body.result?.["nodes"] as object[];
    assert.deepEqual(
      { ...nodes[0], uid: "", uptime: 0 },
      { uid: "", name: "hub", version: "", num_clients: 1, num_users: 1, num_channels: 1, num_subs: 1, uptime: 0 },
    );
  }));

test("users are subscribed, unsubscribed, refreshed and disconnected", () =>
  withApi(async (call, { hub, clock }) => {
    const a = await new TestClient(hub).connect({ data: "alice" });
    const b = await new TestClient(hub).connect({ data: "alice" });
    await call("subscribe", {
      user: "alice",
      channel: "public:x",
      client: a.session.client,
      info: { role: 1 },
      data: { hi: 1 },
    });
    await settle();
    assert.deepEqual([a.session.channels, b.session.channels], [["public:x"], []]);
    await call("unsubscribe", { user: "alice", channel: "public:x" });
    assert.deepEqual(a.session.channels, []);
    await call("refresh", {
      user: "alice",
      client: b.session.client,
      expire_at: Math.floor(clock.unix() / 1000) + 100,
    });
    await call("refresh", { user: "alice", client: a.session.client, expired: true });
    assert.deepEqual([a.closedWith?.code, b.closedWith], [3005, undefined]);
    await call("disconnect", { user: "alice", whitelist: [b.session.client] });
    assert.equal(b.closedWith, undefined);
    await call("disconnect", { user: "alice", disconnect: { code: 4500, reason: "banned" } });
    assert.deepEqual(b.closedWith, { code: 4500, reason: "banned" });
    assert.equal((await call("subscribe", { user: "alice", channel: "x", session: "s" })).body.error?.code, 108);
    assert.equal((await call("subscribe", { user: "alice", channel: "x", override: {} })).body.error?.code, 108);
  }));

test("a batch: sequential or parallel, each with its reply", () =>
  withApi(async (call, { hub }) => {
    const a = await new TestClient(hub).connect({ data: "alice" });
    await a.subscribe("x");
    const commands = [
      { publish: { channel: "x", data: { n: "1,}]" } } },
      { publish: { channel: "nope:x", data: 2 } },
      { presence_stats: { channel: "public:x" } },
      { publish: { channel: "x", data: [3] } },
    ];
    for (const parallel of [false, true]) {
      const { status, body } = await call("batch", JSON.stringify({ commands, parallel }, undefined, 2));
      assert.equal(status, 200);
      const replies = body.replies as Record<string, unknown>[];
      assert.deepEqual(
        replies.map((reply) => Object.keys(reply)[0]),
        ["publish", "error", "presence_stats", "publish"],
      );
      assert.deepEqual(
        pubsOf(a.take()).map(({ data }) => data),
        [{ n: "1,}]" }, [3]],
      );
    }
    assert.deepEqual((await call("batch", { commands: [] })).body, { replies: [] });
  }));

test("each field is obeyed, or rejected by name", () =>
  withApi(async (call, { hub, clock }) => {
    const a = await new TestClient(hub).connect({ data: "alice" });
    const user = "alice";
    const channel = "public:x";
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const calls: readonly (readonly [method: string, fields: object])[] = [
      ["publish", { channel, data: 1 }],
      ["broadcast", { channels: [channel], data: 1 }],
      ["subscribe", { user, channel }],
      ["unsubscribe", { user, channel: "public:y" }],
      ["disconnect", { user: "nobody" }],
      ["refresh", { user }],
      ["presence", { channel }],
      ["presence_stats", { channel }],
      ["history", { channel }],
      ["history_remove", { channel }],
      ["info", {}],
      ["batch", { commands: [] }],
    ];
    for (const [method, fields] of calls) {
      const { status, body } = await call(method, { ...fields, misspelled: 1 });
      assert.deepEqual([status, body.error?.code], [400, 107], method);
      assert.match(String(body.error?.message), /no field "misspelled"/, method);
      // as sent by some libraries for absent fields
      assert.equal((await call(method, { ...fields, misspelled: null })).status, 200, method);
    }
    for (const [method, fields, wrong] of [
      ["disconnect", { user: "nobody", disconnect: { code: 4000, reason: "", reconnect: true } }, "reconnect"],
      ["history", { channel, since: { offset: 0, epoch: "", generation: 1 } }, "generation"],
    ] as const) {
      assert.match(String((await call(method, fields)).body.error?.message), new RegExp(`no field "${wrong}"`));
    }
    a.take();
    await call("publish", { channel, b64data: base64('{"n":\n"ü"}'), data: null });
    await call("publish", { channel, b64data: "", data: null });
    await settle();
    assert.deepEqual(
      pubsOf(a.take()).map(({ data }) => data),
      [{ n: "ü" }, null],
    );
    for (const b64data of [
      base64("no JSON"),
      "//79",
      "?",
      "e30!",
      "e3 0=",
      "e30==",
      "e30=e30=",
      "MQ=",
      "=",
      "e",
      "_/79",
    ]) {
      assert.equal((await call("publish", { channel, b64data })).body.error?.code, 108, b64data);
    }
    assert.equal((await call("publish", { channel, data: 1, delta: true })).body.error?.code, 108);
    assert.equal((await call("publish", { channel: "delta:x", data: 1, delta: true })).body.error, undefined);

    await call("refresh", { user, info: { name: "B" } });
    await settle();
    assert.deepEqual((await hub.presence(channel))[0]?.connInfo, { name: "B" });
    const expire_at = Math.floor(clock.unix() / 1000) + 10;
    const b64 = { b64info: base64("5"), b64data: base64("6") };
    await call("subscribe", { user, channel: "public:z", expire_at, ...b64 });
    await settle();
    assert.equal((await hub.presence("public:z"))[0]?.chanInfo, 5);
    assert.equal(a.take().find(({ push }) => push?.subscribe !== undefined)?.push?.subscribe?.data, 6);
    const past = await call("subscribe", { user, channel: "public:y", expire_at: expire_at - 20 });
    assert.equal(past.body.error?.code, 107);
    const code = (): number | undefined => a.closedWith?.code;
    await clock.advance(34_000);
    assert.equal(code(), undefined);
    await clock.advance(2_000);
    assert.equal(code(), 3006, "it has expired, and the time for a refresh is over");
  }));

test("subscribe for subscribed clients changes their info and expiry", () =>
  withApi(async (call, { hub, clock }) => {
    const byServer = await new TestClient(hub).connect({ data: "alice" });
    const byClient = await new TestClient(hub).connect({ data: "alice" });
    const [user, channel] = ["alice", "public:x"];
    const now = Math.floor(clock.unix() / 1000);
    await byClient.subscribe(channel);
    await call("subscribe", { user, channel, client: byServer.session.client, expire_at: now + 10, info: 1 });
    await call("subscribe", { user, channel, expire_at: now + 100, info: 2 });
    await call("subscribe", { user, channel });
    await settle();
    assert.deepEqual(
      (await hub.presence(channel)).map(({ chanInfo }) => chanInfo),
      [2, 2],
    );
    byClient.take();
    await clock.advance(124_000);
    assert.deepEqual([byServer.session.channels, byClient.session.channels], [[channel], [channel]]);
    await clock.advance(2_000);
    assert.equal(byServer.closedWith?.code, 3006);
    assert.equal(byClient.take().find(({ push }) => push?.unsubscribe !== undefined)?.push?.unsubscribe?.code, 2501);
  }));
