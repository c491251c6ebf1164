import assert from "node:assert/strict";
import { test } from "node:test";
import { type NAMESPACES, withHub } from "../support/hubs.ts";
import { pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

test("limits: channels of a client, bytes of a frame, commands per second", () =>
  withHub(
    { limits: { channels: 3, messageSize: 1000, rates: { publish: { perSecond: 10, burst: 5 } } } },
    async ({ hub, clock }) => {
      const a = await new TestClient(hub).connect();
      for (const channel of ["a", "b", "c"]) await a.subscribe(channel);
      assert.equal(await a.refused({ subscribe: { channel: "d" } }), 106);
      await a.succeed({ unsubscribe: { channel: "a" } });
      await a.subscribe("d");

      a.take();
      a.send(...Array.from({ length: 7 }, (_, i) => ({ id: 100 + i, publish: { channel: "b", data: i } })));
      await settle();
      const errors = a.take().filter(({ error }) => error !== undefined);
      assert.deepEqual(
        errors.map(({ id, error }) => [id, error?.code, error?.temporary]),
        [
          [105, 111, true],
          [106, 111, true],
        ],
      );
      await clock.advance(100);
      await a.succeed({ publish: { channel: "b", data: 1 } });
      assert.equal(await a.refused({ publish: { channel: "b", data: 1 } }), 111);

      a.send("x".repeat(1000));
      assert.equal(a.closedWith?.code, 3501);
      const b = await new TestClient(hub).connect();
      b.send("x".repeat(1001));
      assert.equal(b.closedWith?.code, 1009);
    },
  ));

test("a client with too many pending commands is not read until half of them are done", () => {
  const answers: (() => void)[] = [];
  return withHub({ limits: { pending: 4 } }, async ({ hub }) => {
    hub.rpc("wait", () => new Promise<void>((resolve) => answers.push(resolve)));
    const a = await new TestClient(hub).connect();
    a.send(...Array.from({ length: 4 }, (_, i) => ({ id: 100 + i, rpc: { method: "wait" } })));
    assert.equal(a.isPaused, true);
    for (const answer of answers.splice(0, 2)) answer();
    await settle();
    assert.equal(a.isPaused, true);
    for (const answer of answers.splice(0)) answer();
    await settle();
    assert.equal(a.isPaused, false);
    assert.equal(a.take().length, 4);
  });
});

test("a thousand commands in one frame get one reply each", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("x");
    a.send(...Array.from({ length: 1000 }, (_, i) => ({ id: i + 10, publish: { channel: "x", data: i } })));
    await settle();
    const answers = a.take().filter(({ id }) => id !== undefined);
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1000);
    assert.equal(answers.length, 1000);
    assert.deepEqual(
      [
        answers.filter(({ error }) => error === undefined).length,
        answers.filter(({ error }) => error?.code === 111).length,
      ],
      [500, 500],
    );
    assert.equal(a.closedWith, undefined);
  }));

test("repeated ids get a reply each", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    a.send({ id: 7, ping: {} }, { id: 7, ping: {} }, { id: 7, publish: {} });
    await settle();
    assert.deepEqual(
      a.take().map(({ id, error }) => [id, error?.code]),
      [
        [7, undefined],
        [7, undefined],
        [7, 107],
      ],
    );
  }));

test("channels with hostile names are ordinary channels", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    for (const channel of [
      "__proto__",
      "constructor",
      "error",
      "hasOwnProperty",
      "public:__proto__",
      "public:error",
      "public:",
    ]) {
      await a.subscribe(channel);
      await hub.publish(channel, channel);
      await settle();
      assert.deepEqual(
        pubsOf(a.take()).map(({ data }) => data),
        [channel],
      );
    }
    for (const channel of ["", "x".repeat(10_240), "\u0007", "\udc00"]) {
      assert.equal(await a.refused({ subscribe: { channel } }), 107);
      assert.equal(await a.refused({ publish: { channel, data: 1 } }), 107);
      await assert.rejects(hub.publish(channel, 1), { code: 107 });
    }
    assert.equal(await a.refused({ subscribe: { channel: "constructor:x" } }), 102);
    assert.equal(await a.refused({ subscribe: { channel: "__proto__:x" } }), 102);
    assert.equal(a.closedWith, undefined);
  }));

test("namespaces are validated by the constructor", async () => {
  const history = { size: 10, ttl: 1000 };
  const wrong: readonly [RegExp, object][] = [
    [/name of a namespace/, { "a b": {} }],
    [/history.size/, { a: { history: { size: 0, ttl: 1 } } }],
    [/history.size/, { a: { history: { size: 1e8, ttl: 1 } } }],
    [/history.ttl/, { a: { history: { size: 1, ttl: 0 } } }],
    [/history.metaTtl/, { a: { history: { ...history, metaTtl: 999 } } }],
    [/recovery must be false/, { a: { recovery: true } }],
    [/recoveryLimit/, { a: { history, recoveryLimit: 0 } }],
    [/slowConsumer/, { a: { slowConsumer: "ignore" } }],
    [/conflateBy/, { a: { conflateBy: "x" } }],
    [/delta/, { a: { delta: true } }],
    [/delta/, { a: { delta: true, history, slowConsumer: "drop-oldest" } }],
    [/subscribe must be/, { a: { subscribe: "subscribers" } }],
    [/publish must be/, { a: { publish: "everyone" } }],
    [/readHistory must be/, { a: { readHistory: true } }],
  ];
  await Promise.all(
    wrong.map(([message, namespaces]) =>
      assert.rejects(
        withHub({ namespaces: namespaces as typeof NAMESPACES }, async () => undefined),
        message,
      ),
    ),
  );
});
