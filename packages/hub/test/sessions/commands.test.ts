import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandError, Disconnect } from "../../src/codes.ts";
import { withHub } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

test("a publication reaches all subscribers, including the publisher, and is acknowledged", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    const b = await new TestClient(hub).connect();
    await a.subscribe("public:x");
    await b.subscribe("public:x");
    a.take();
    b.take();
    a.send({ id: 9, publish: { channel: "public:x", data: { n: 1 } } });
    await settle();
    const pub = { data: { n: 1 }, offset: 1, info: { user: "", client: a.session.client } };
    assert.deepEqual(b.take(), [{ push: { channel: "public:x", pub } }]);
    assert.deepEqual(a.take(), [{ push: { channel: "public:x", pub } }, { id: 9, publish: {} }]);
  }));

test("data is delivered as it was written", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("x");
    const data = '{ "n":12345678901234567890,"f":1.0, "s":"\\u00e4" }';
    a.send(`{"id":9,"publish":{"channel":"x","data":${data}}}`);
    await settle();
    assert.ok(a.frames.join("\n").includes(`"data":${data}`));
  }));

test("replies of one tick are sent in one frame; a push follows earlier messages", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("x");
    const before = a.frames.length;
    a.send(
      { id: 10, ping: {} },
      { id: 11, ping: {} },
      { id: 12, publish: { channel: "x", data: 1 } },
      { id: 13, ping: {} },
    );
    await settle();
    const frames = a.frames.slice(before);
    assert.deepEqual(
      frames.map((frame) => frame.split("\n").length),
      [2, 1, 2],
    );
    assert.deepEqual(
      a
        .take()
        .slice(-5)
        .map(({ id, push }) => id ?? push?.channel),
      [10, 11, "x", 13, 12],
    );
  }));

test("connect and later commands may share a frame", () =>
  withHub({ authenticate: async () => (await settle(), { user: "alice" }) }, async ({ hub }) => {
    const a = new TestClient(hub);
    a.send(
      { id: 1, connect: {} },
      { id: 2, subscribe: { channel: "members:x" } },
      { id: 3, publish: { channel: "members:x", data: 1 } },
    );
    assert.equal(a.isPaused, true, "nothing more is read until it is known who this is");
    for (let i = 0; i < 4; i++) await settle();
    const lines = a.take();
    assert.deepEqual(
      lines.filter(({ id }) => id !== undefined).map(({ id, error }) => [id, error]),
      [
        [1, undefined],
        [2, undefined],
        [3, undefined],
      ],
    );
    assert.equal(pubsOf(lines).length, 1);
    assert.equal(a.isPaused, false);
  }));

test("a rejected connect rejects the commands after it, and another connect may follow", () =>
  withHub(
    { anonymous: false, authenticate: ({ data }) => (data === "open sesame" ? { user: "alice" } : undefined) },
    async ({ hub }) => {
      const a = new TestClient(hub);
      a.send({ id: 1, connect: {} }, { id: 2, subscribe: { channel: "x" } }, { id: 3, rpc: {} });
      await settle();
      assert.deepEqual(
        a.take().map(({ id, error }) => [id, error?.code]),
        [
          [1, 101],
          [2, 101],
          [3, 101],
        ],
      );
      assert.equal(a.closedWith, undefined);
      assert.equal(hub.metrics.sessions, 0);
      await a.connect({ data: "open sesame" });
      assert.equal(hub.metrics.sessions, 1);
      assert.equal(a.session.user, "alice");
    },
  ));

test("a command before connect ends the connection; a second connect is rejected", () =>
  withHub({}, async ({ hub }) => {
    const a = new TestClient(hub);
    a.send({ id: 1, subscribe: { channel: "x" } });
    assert.equal(a.closedWith?.code, 3501);
    const b = new TestClient(hub);
    b.send({ id: 1, connect: {} }, { id: 2, connect: {} });
    await settle();
    assert.deepEqual(
      b.take().map(({ id, error }) => [id, error?.code]),
      [
        [1, undefined],
        [2, 107],
      ],
    );
    assert.equal(await b.refused({ connect: {} }), 107);
    assert.equal(hub.metrics.sessions, 1);
  }));

test("permissions to subscribe, publish, and read presence and history", () =>
  withHub({ authenticate: ({ data }) => ({ user: String(data) }) }, async ({ hub }) => {
    const nobody = await new TestClient(hub).connect({ data: "" });
    const alice = await new TestClient(hub).connect({ data: "alice" });
    assert.equal(await nobody.refused({ subscribe: { channel: "members:x" } }), 103);
    assert.equal(await alice.refused({ publish: { channel: "members:x", data: 1 } }), 103);
    assert.equal(await alice.refused({ presence: { channel: "members:x" } }), 103);
    assert.equal(await alice.refused({ history: { channel: "members:x" } }), 103);
    await alice.subscribe("members:x");
    await alice.succeed({ publish: { channel: "members:x", data: 1 } });
    assert.deepEqual(
      Object.keys((await alice.succeed({ presence: { channel: "members:x" } })).presence?.presence ?? {}),
      [alice.session.client],
    );
    assert.deepEqual((await alice.succeed({ presence_stats: { channel: "members:x" } })).presence_stats, {
      num_clients: 1,
      num_users: 1,
    });
    assert.equal(
      (await alice.succeed({ history: { channel: "members:x", limit: 5 } })).history?.publications.length,
      1,
    );
    assert.equal(await alice.refused({ subscribe: { channel: "private:x" } }), 103);
    assert.equal(await alice.refused({ publish: { channel: "private:x", data: 1 } }), 103);
    for (const method of ["subscribe", "presence", "presence_stats", "history"]) {
      assert.equal(await alice.refused({ [method]: { channel: "no such namespace:x" } }), 102, method);
    }
    assert.equal(await alice.refused({ publish: { channel: "nope:x", data: 1 } }), 102);
    assert.equal(await alice.refused({ presence: { channel: "x" } }), 108);
    assert.equal(await alice.refused({ history: { channel: "x" } }), 108);
  }));

test("functions decide: with true and false, an error, or the end of the connection", () =>
  withHub(
    {
      namespaces: {
        fn: {
          subscribe: ({ channel, data, session }) => {
            if (channel === "fn:no") return false;
            if (channel === "fn:own") throw new CommandError(499, "not on a Sunday");
            if (channel === "fn:end") throw new Disconnect(4999, "go away");
            if (channel === "fn:broken") throw new Error("secret");
            return Promise.resolve({ info: { data }, data: { user: session.user } });
          },
          publish: ({ data }) => data !== "spam",
          presence: true,
          readPresence: () => Promise.resolve(true),
        },
      },
    },
    async ({ hub, errors }) => {
      const a = await new TestClient(hub).connect();
      assert.equal(await a.refused({ subscribe: { channel: "fn:no" } }), 103);
      assert.deepEqual((await a.ask({ subscribe: { channel: "fn:own" } })).error, {
        code: 499,
        message: "not on a Sunday",
      });
      assert.deepEqual((await a.ask({ subscribe: { channel: "fn:broken" } })).error, {
        code: 100,
        message: "internal server error",
        temporary: true,
      });
      assert.deepEqual(errors.map(String), ["Error: secret"]);
      assert.deepEqual(await a.subscribe("fn:x", { data: 7 }), { data: { user: "" } });
      const { presence } = await a.succeed({ presence: { channel: "fn:x" } });
      assert.deepEqual(presence?.presence, {
        [a.session.client]: { user: "", client: a.session.client, chan_info: { data: 7 } },
      });
      assert.equal(await a.refused({ publish: { channel: "fn:x", data: "spam" } }), 103);
      await a.succeed({ publish: { channel: "fn:x", data: "news" } });
      a.send({ id: 50, subscribe: { channel: "fn:end" } });
      await settle();
      assert.deepEqual(a.closedWith, { code: 4999, reason: "go away" });
    },
  ));

test("commands about one channel take effect in order, however long functions take", () => {
  const slow = async (): Promise<boolean> => {
    await settle();
    return true;
  };
  return withHub(
    { namespaces: { s: { subscribe: slow, publish: slow, history: { size: 10, ttl: 1000 } } } },
    async ({ hub }) => {
      const a = await new TestClient(hub).connect();
      const channel = "s:x";
      a.send(
        { id: 10, subscribe: { channel } },
        { id: 11, publish: { channel, data: 1 } },
        { id: 12, publish: { channel, data: 2 } },
        { id: 13, history: { channel, limit: 9 } },
        { id: 14, unsubscribe: { channel } },
        { id: 15, publish: { channel, data: 3 } },
        { id: 16, subscribe: { channel } },
        { id: 17, subscribe: { channel } },
        { id: 18, ping: {} },
      );
      for (let i = 0; i < 12; i++) await settle();
      const lines = a.take();
      const answers = new Map(lines.filter(({ id }) => id !== undefined).map((line) => [line.id, line]));
      assert.equal(lines[0]?.id, 18, "others do not wait");
      assert.deepEqual(
        [10, 11, 12, 13, 14, 15, 16].map((id) => answers.get(id)?.error),
        Array(7).fill(undefined),
      );
      assert.equal(answers.get(17)?.error?.code, 105);
      assert.deepEqual(
        pubsOf(lines).map(({ data }) => data),
        [1, 2],
      );
      assert.deepEqual(
        answers.get(13)?.history?.publications.map(({ data }) => data),
        [1, 2],
      );
      assert.equal(answers.get(16)?.subscribe?.offset, 3);
    },
  );
});

test("history by limit, since and reverse; at most a page", () =>
  withHub({ limits: { historyPage: 5 } }, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("quiet:x");
    for (let i = 1; i <= 10; i++) await hub.publish("quiet:x", i);
    const read = async (request: object): Promise<unknown> =>
      (await a.succeed({ history: { channel: "quiet:x", ...request } })).history?.publications.map(
        ({ offset }) => offset,
      );
    assert.deepEqual(await read({}), []);
    assert.deepEqual(await read({ limit: 3 }), [1, 2, 3]);
    assert.deepEqual(await read({ limit: -1 }), [1, 2, 3, 4, 5]);
    assert.deepEqual(await read({ limit: 100, reverse: true }), [10, 9, 8, 7, 6]);
    const { history } = await a.succeed({ history: { channel: "quiet:x" } });
    assert.equal(history?.offset, 10);
    assert.deepEqual(await read({ limit: 3, since: { offset: 7, epoch: history?.epoch } }), [8, 9, 10]);
    assert.deepEqual(await read({ limit: 3, since: { offset: 7, epoch: history?.epoch }, reverse: true }), [6, 5, 4]);
    assert.equal(
      await a.refused({ history: { channel: "quiet:x", limit: 3, since: { offset: 7, epoch: "other" } } }),
      112,
    );
  }));

test("rpc: results, errors, unknown names, results that are not JSON", () =>
  withHub({}, async ({ hub, errors }) => {
    hub.rpc("add", ({ data }) => (Array.isArray(data) ? data.reduce((sum: number, each: number) => sum + each, 0) : 0));
    hub.rpc("nothing", () => undefined);
    hub.rpc("late", async ({ session }) => (await settle(), { user: session.user }));
    hub.rpc("no", () => {
      throw new CommandError(400, "no");
    });
    hub.rpc("broken", () => 1n);
    assert.throws(() => hub.rpc("add", () => 1), /a function add is registered already/);
    const a = await new TestClient(hub).connect();
    assert.deepEqual((await a.succeed({ rpc: { method: "add", data: [1, 2, 3] } })).rpc, { data: 6 });
    assert.deepEqual((await a.succeed({ rpc: { method: "nothing" } })).rpc, {});
    a.send({ id: 90, rpc: { method: "late" } });
    await settle();
    await settle();
    assert.deepEqual(a.take(), [{ id: 90, rpc: { data: { user: "" } } }]);
    assert.equal(await a.refused({ rpc: { method: "no" } }), 400);
    for (const name of ["", "unknown", "__proto__", "constructor"])
      assert.equal(await a.refused({ rpc: { method: name } }), 108);
    assert.equal(await a.refused({ rpc: { method: "broken" } }), 100);
    assert.equal(errors.length, 1);
  }));

test("send: delivered to the application; without a handler it ends the connection", async () => {
  const messages: unknown[] = [];
  await withHub({ onMessage: (session, data) => messages.push([session.client, data]) }, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    a.send({ send: { data: { x: 1 } } }, { id: 5, send: { data: 2 } });
    await settle();
    assert.deepEqual(messages, [
      [a.session.client, { x: 1 }],
      [a.session.client, 2],
    ]);
    assert.deepEqual(a.take(), []);
  });
  await withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    a.send({ send: { data: 1 } });
    await settle();
    assert.equal(a.closedWith?.code, 3508);
  });
});

test("unsubscribe ends a subscription; without one it succeeds", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("public:x");
    await a.succeed({ unsubscribe: { channel: "public:x" } });
    await hub.publish("public:x", 1);
    await a.succeed({ unsubscribe: { channel: "public:x" } });
    assert.deepEqual(pubsOf(a.take()), []);
    assert.deepEqual(await hub.presence("public:x"), []);
    assert.equal(hub.metrics.subscriptions, 0);
    assert.equal(hub.metrics.channels, 0);
    await a.subscribe("public:x");
  }));

test("joins and leaves reach all subscribers, or those who ask for them", () =>
  withHub({ authenticate: ({ data }) => ({ user: String(data), info: { name: data } }) }, async ({ hub }) => {
    const alice = await new TestClient(hub).connect({ data: "alice" });
    const bob = await new TestClient(hub).connect({ data: "bob" });
    await alice.subscribe("public:x");
    await settle();
    alice.take();
    await bob.subscribe("public:x");
    const info = { user: "bob", client: bob.session.client, conn_info: { name: "bob" } };
    assert.deepEqual(alice.take(), [{ push: { channel: "public:x", join: { info } } }]);
    bob.lose();
    await settle();
    assert.deepEqual(alice.take(), [{ push: { channel: "public:x", leave: { info } } }]);

    await alice.subscribe("asking:x", { join_leave: true });
    const carol = await new TestClient(hub).connect({ data: "carol" });
    await carol.subscribe("asking:x");
    const dave = await new TestClient(hub).connect({ data: "dave" });
    await dave.subscribe("asking:x");
    assert.deepEqual(
      alice
        .take()
        .map(({ push }) => push?.join?.info.user)
        .filter((user) => user !== undefined),
      ["carol", "dave"],
    );
    assert.deepEqual(carol.take(), []);
  }));
