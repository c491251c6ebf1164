import assert from "node:assert/strict";
import { test } from "node:test";
import { applyDelta } from "fossil-delta";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { withHub } from "../support/hubs.ts";
import { type Line, type Pub, pubsOf, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const numbers = (pubs: readonly Pub[] | undefined): unknown[] => (pubs ?? []).map(({ data }) => data);

test("a reconnecting client receives exactly what it missed, and continues from there", () =>
  withHub({}, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    const first = await a.subscribe("quiet:x");
    assert.deepEqual(
      [first.positioned, first.recoverable, first.offset, first.recovered],
      [true, true, undefined, undefined],
    );
    await hub.publish("quiet:x", 1);
    a.lose();
    for (const n of [2, 3, 4]) await hub.publish("quiet:x", n);
    const b = await new TestClient(hub).connect();
    const back = await b.subscribe("quiet:x", { recover: true, offset: 1, epoch: first.epoch });
    assert.deepEqual([back.recovered, back.was_recovering, back.offset, back.epoch], [true, true, 1, first.epoch]);
    assert.deepEqual(numbers(back.publications), [2, 3, 4]);
    await hub.publish("quiet:x", 5);
    assert.deepEqual(pubsOf(b.take()), [{ data: 5, offset: 5 }]);
    assert.deepEqual([hub.metrics.recovered, hub.metrics.recoveredPublications, hub.metrics.unrecovered], [1, 3, 0]);
  }));

test("an empty recovery succeeds; a position without epoch is valid in any epoch", () =>
  withHub({}, async ({ hub }) => {
    const { epoch } = await hub.publish("quiet:x", 1);
    const a = await new TestClient(hub).connect();
    const back = await a.subscribe("quiet:x", { recover: true, offset: 1, epoch });
    assert.deepEqual([back.recovered, back.offset, back.publications], [true, 1, undefined]);
    const b = await new TestClient(hub).connect();
    const all = await b.subscribe("quiet:x", { recover: true });
    assert.deepEqual([all.recovered, numbers(all.publications)], [true, [1]]);
  }));

test("an impossible recovery is reported, with the position of the channel", () =>
  withHub(
    {
      namespaces: {
        few: { history: { size: 3, ttl: 1000 }, recoveryLimit: 2, subscribe: "anyone" },
        none: { history: { size: 3, ttl: 1000 }, recovery: false, subscribe: "anyone" },
      },
    },
    async ({ hub }) => {
      const { epoch } = await hub.publish("few:x", 1);
      for (const n of [2, 3, 4, 5]) await hub.publish("few:x", n);
      const come = async (offset: number, of: string, more: object = {}): Promise<unknown> => {
        const client = await new TestClient(hub).connect();
        const { subscribe, error } = await client.ask({
          subscribe: { channel: "few:x", recover: true, offset, epoch: of, ...more },
        });
        if (error !== undefined) return error.code;
        assert.equal(subscribe?.was_recovering, true);
        if (subscribe?.recovered !== true)
          assert.deepEqual([subscribe?.offset, subscribe?.epoch, subscribe?.publications], [5, epoch, undefined]);
        await hub.publish("few:x", "next", { skipHistory: true });
        assert.equal(pubsOf(client.take()).length, 1);
        return subscribe?.recovered ?? false;
      };
      assert.equal(await come(3, epoch), true);
      assert.equal(await come(2, epoch), false, "more than may be recovered");
      assert.equal(await come(1, epoch), false, "more than is kept");
      assert.equal(await come(5, epoch), true);
      assert.equal(await come(6, epoch), false, "from a future that this stream never had");
      assert.equal(await come(5, "other"), false);
      assert.equal(await come(0, "_"), false);
      assert.equal(await come(1, epoch, { flag: 2 }), 112, "who wants an error gets one");
      assert.equal(await come(4, epoch, { flag: 2 }), true);
      assert.equal(hub.metrics.channels, 1);

      const client = await new TestClient(hub).connect();
      const plain = await client.subscribe("none:x", { recover: true, offset: 0 });
      assert.deepEqual(
        [plain.recoverable, plain.recovered, plain.was_recovering, plain.positioned],
        [undefined, undefined, undefined, undefined],
      );
      const positioned = await (await new TestClient(hub).connect()).subscribe("none:x", { positioned: true });
      assert.deepEqual([positioned.recoverable, positioned.positioned], [undefined, true]);
    },
  ));

test("a rejected subscription leaves nothing behind", () =>
  withHub({}, async ({ hub }) => {
    const { epoch } = await hub.publish("public:x", 1);
    const a = await new TestClient(hub).connect();
    assert.equal(
      await a.refused({ subscribe: { channel: "public:x", recover: true, offset: 9, epoch, flag: 2 } }),
      112,
    );
    assert.deepEqual([hub.metrics.subscriptions, hub.metrics.channels, await hub.presence("public:x")], [0, 0, []]);
    await hub.publish("public:x", 2);
    assert.deepEqual(a.take(), []);
    await a.subscribe("public:x");
  }));

test("an expired stream has a new epoch: recovery is never faked", () =>
  withHub(
    { namespaces: { brief: { history: { size: 5, ttl: 1000, metaTtl: 2000 }, subscribe: "anyone" } } },
    async ({ hub, clock }) => {
      const { epoch } = await hub.publish("brief:x", 1);
      await clock.advance(30_000);
      await hub.publish("brief:x", "of another stream");
      const a = await new TestClient(hub).connect();
      const back = await a.subscribe("brief:x", { recover: true, offset: 1, epoch });
      assert.equal(back.recovered, undefined);
      assert.notEqual(back.epoch, epoch);
    },
  ));

test("publications lost by a broker are read from history before later ones are delivered", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub, clock }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("quiet:x");
    broker.passes = ({ offset }) => ![2, 3, 6].includes(offset);
    for (let n = 1; n <= 5; n++) await hub.publish("quiet:x", n);
    await settle();
    assert.deepEqual(numbers(pubsOf(a.take())), [1, 2, 3, 4, 5]);
    assert.equal(hub.metrics.gaps, 1);
    await hub.publish("quiet:x", 6);
    await settle();
    assert.deepEqual(a.take(), []);
    // no later publication reveals the gap: the position check must find it
    await clock.advance(31_000);
    assert.deepEqual(numbers(pubsOf(a.take())), [6]);
    // and as soon as the broker detects its interruption
    broker.passes = () => false;
    await hub.publish("quiet:x", 7);
    broker.passes = () => true;
    broker.handler?.interrupted();
    await settle();
    assert.deepEqual(numbers(pubsOf(a.take())), [7]);
  });
});

test("a failed check after an interruption is repeated until it succeeds", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub, clock, errors }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("quiet:x");
    broker.passes = () => false;
    await hub.publish("quiet:x", 1);
    let reads = 0;
    broker.onHistory = () => (++reads < 4 ? Promise.reject(new Error("away")) : Promise.resolve());
    broker.handler?.interrupted(["quiet:x"]);
    await clock.advance(240);
    assert.deepEqual([a.take(), errors.length], [[], 1]);
    await clock.advance(2_000);
    assert.deepEqual(numbers(pubsOf(a.take())), [1]);
    assert.equal(reads, 4);
    await clock.advance(20_000);
    assert.equal(reads, 4);
  });
});

test("an interruption while history is read makes it read again", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    let step: "opens" | "fills" | "done" = "opens";
    broker.passes = () => step === "done";
    broker.onHistory = async () => {
      if (step === "done") return;
      const first = step === "opens";
      step = first ? "fills" : "done";
      // after the page that was just read, and lost
      broker.passes = () => false;
      await hub.publish("quiet:x", first ? 1 : 2);
      broker.passes = () => true;
      broker.handler?.interrupted(["quiet:x"]);
    };
    const { offset = 0 } = await a.subscribe("quiet:x");
    await settle();
    assert.equal(step, "done");
    const lines = a.frames.flatMap((frame) => frame.split("\n").map((line) => JSON.parse(line) as Line));
    assert.deepEqual(numbers(pubsOf(lines)), [1, 2].slice(offset));
    await hub.publish("quiet:x", 3);
    assert.deepEqual(numbers(pubsOf(a.take())), [3]);
  });
});

test("checks of many channels are spread, and skip channels with recent publications", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, limits: { rates: false } }, async ({ hub, clock }) => {
    const a = await new TestClient(hub).connect();
    for (let i = 0; i < 120; i++) await a.subscribe(`quiet:${i}`);
    let reads = 0;
    let most = 0;
    broker.onHistory = async () => void reads++;
    for (let second = 0; second < 75; second++) {
      await hub.publish("quiet:0", second);
      const before = reads;
      await clock.advance(1000);
      most = Math.max(most, reads - before);
    }
    assert.ok(reads >= 119 && reads <= 2 * 119, `${reads} reads`);
    assert.ok(most <= 8, `${most} at once`);
  });
});

test("duplicate and late publications are delivered once", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    const { epoch = "" } = await a.subscribe("quiet:x");
    for (const n of [1, 2, 3]) await hub.publish("quiet:x", n);
    for (const n of [3, 1]) broker.handler?.publication("quiet:x", { offset: n, data: `${n}` }, epoch);
    await settle();
    assert.deepEqual(numbers(pubsOf(a.take())), [1, 2, 3]);
    assert.equal(hub.metrics.duplicates, 2);
  });
});

test("a gap that history cannot fill makes subscribers after it resubscribe, others continue", async () => {
  const broker = new FaultyBroker();
  await withHub(
    {
      broker,
      namespaces: {
        tight: { history: { size: 2, ttl: 60_000 }, subscribe: "anyone" },
        loose: { history: { size: 2, ttl: 60_000 }, recovery: false, subscribe: "anyone" },
      },
    },
    async ({ hub }) => {
      const a = await new TestClient(hub).connect();
      const { epoch } = await a.subscribe("tight:x");
      await a.subscribe("loose:x");
      broker.passes = ({ offset }) => offset > 4;
      for (const channel of ["tight:x", "loose:x"]) for (let n = 1; n <= 5; n++) await hub.publish(channel, n);
      await settle();
      const lines = a.take();
      assert.deepEqual(
        lines.filter(({ push }) => push?.channel === "tight:x"),
        [{ push: { channel: "tight:x", unsubscribe: { code: 2500, reason: "insufficient state" } } }],
      );
      assert.deepEqual(numbers(pubsOf(lines.filter(({ push }) => push?.channel === "loose:x"))), [4, 5]);
      const back = await a.subscribe("tight:x", { recover: true, offset: 0, epoch });
      assert.deepEqual([back.recovered, back.offset], [undefined, 5]);
    },
  );
});

test("a new or rewound stream makes subscribers with a position resubscribe", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub }) => {
    const a = await new TestClient(hub).connect();
    await a.subscribe("quiet:x");
    await a.subscribe("quiet:y");
    await hub.publish("quiet:x", 1);
    await hub.publish("quiet:y", 1);
    a.take();
    broker.handler?.publication("quiet:x", { offset: 1, data: '"new"' }, "new epoch");
    broker.changePage = (page) => ({ ...page, offset: 0, publications: [] });
    broker.handler?.interrupted(["quiet:y"]);
    await settle();
    assert.deepEqual(
      a.take().map(({ push }) => [push?.channel, push?.unsubscribe?.code]),
      [
        ["quiet:x", 2500],
        ["quiet:y", 2500],
      ],
    );
    assert.deepEqual(a.session.channels, []);
  });
});

test("publications during a recovery are neither lost nor duplicated", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub }) => {
    const other = await new TestClient(hub).connect();
    await other.subscribe("quiet:x");
    const { epoch } = await hub.publish("quiet:x", 1);
    await hub.publish("quiet:x", 2);
    let next = 3;
    broker.onHistory = async () => {
      await hub.publish("quiet:x", next++);
      await hub.publish("quiet:x", next++);
      await settle();
    };
    const a = await new TestClient(hub).connect();
    a.send({ id: 9, subscribe: { channel: "quiet:x", recover: true, offset: 1, epoch } });
    await settle();
    await settle();
    broker.onHistory = undefined;
    await hub.publish("quiet:x", next++);
    const lines = a.take();
    assert.equal(lines[0]?.subscribe?.recovered, true);
    assert.deepEqual([...numbers(lines[0]?.subscribe?.publications), ...numbers(pubsOf(lines))], [2, 3, 4, 5]);
    assert.deepEqual(numbers(pubsOf(other.take())), [1, 2, 3, 4, 5]);
  });
});

test("a store that cannot be reached is a temporary error, and leaves nothing behind", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub, errors }) => {
    const a = await new TestClient(hub).connect();
    const fail = (): Promise<never> => Promise.reject(new Error("no connection"));
    broker.onHistory = fail;
    const { error } = await a.ask({ subscribe: { channel: "quiet:x" } });
    assert.deepEqual(error, { code: 100, message: "internal server error", temporary: true });
    await assert.rejects(hub.history("quiet:x"), { code: 100, temporary: true });
    broker.publish = fail;
    await assert.rejects(hub.publish("quiet:x", 1), { code: 100 });
    assert.equal(await a.refused({ publish: { channel: "quiet:x", data: 1 } }), 100);
    assert.deepEqual([hub.metrics.channels, hub.metrics.subscriptions], [0, 0]);
    assert.ok(errors.every((each) => String(each).includes("no connection")));
    broker.onHistory = undefined;
    await a.subscribe("quiet:x");
  });
});

test("the broker is subscribed once per channel and node while there are subscribers", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker }, async ({ hub }) => {
    const clients = [];
    for (let i = 0; i < 3; i++) clients.push(await new TestClient(hub).connect());
    await Promise.all(clients.map((client) => client.subscribe("quiet:x")));
    for (const client of clients.slice(1)) client.lose();
    await settle();
    assert.deepEqual(broker.calls, ["subscribe quiet:x"]);
    const [first] = clients;
    first?.send(
      { id: 50, unsubscribe: { channel: "quiet:x" } },
      { id: 51, subscribe: { channel: "quiet:x" } },
      { id: 52, unsubscribe: { channel: "quiet:x" } },
    );
    await settle();
    assert.deepEqual(broker.calls, [
      "subscribe quiet:x",
      "unsubscribe quiet:x",
      "subscribe quiet:x",
      "unsubscribe quiet:x",
    ]);
  });
});

/** Applies deltas as a client does. */
class DeltaReader {
  private last: Uint8Array = new Uint8Array();
  deltas = 0;

  read(pubs: readonly Pub[] | undefined): unknown[] {
    return (pubs ?? []).map(({ data, delta }) => {
      const bytes = new TextEncoder().encode(String(data));
      this.last = delta === true ? applyDelta<Uint8Array>(this.last, bytes) : bytes;
      if (delta === true) this.deltas++;
      return JSON.parse(new TextDecoder().decode(this.last)) as unknown;
    });
  }
}

test("deltas: first complete, then differences, complete again after a break; others receive complete data", () =>
  withHub({}, async ({ hub }) => {
    const document = (n: number): object => ({ title: "ein längerer Text, der sich nicht ändert: äöü €", n });
    const a = await new TestClient(hub).connect();
    const plain = await new TestClient(hub).connect();
    const { delta, epoch } = await a.subscribe("delta:x", { delta: "fossil" });
    assert.equal(delta, true);
    assert.equal((await plain.subscribe("delta:x")).delta, undefined);
    for (const n of [1, 2, 3]) await hub.publish("delta:x", document(n));
    await hub.publish("delta:x", document(100), { skipHistory: true });
    for (const n of [4, 5]) await hub.publish("delta:x", document(n));
    const reader = new DeltaReader();
    assert.deepEqual(reader.read(pubsOf(a.take())), [1, 2, 3, 100, 4, 5].map(document));
    assert.equal(reader.deltas, 2 + 1 + 1);
    assert.deepEqual(numbers(pubsOf(plain.take())), [1, 2, 3, 100, 4, 5].map(document));
    a.lose();
    for (const n of [6, 7]) await hub.publish("delta:x", document(n));
    const b = await new TestClient(hub).connect();
    const back = await b.subscribe("delta:x", { delta: "fossil", recover: true, offset: 5, epoch });
    const again = new DeltaReader();
    assert.deepEqual(again.read(back.publications), [6, 7].map(document));
    await hub.publish("delta:x", document(8));
    assert.deepEqual(again.read(pubsOf(b.take())), [document(8)]);
    assert.equal(again.deltas, 1);
    const c = await new TestClient(hub).connect();
    await c.subscribe("quiet:x", { delta: "fossil" });
    await hub.publish("quiet:x", 1);
    assert.deepEqual(pubsOf(c.take()), [{ data: 1, offset: 1 }], "where deltas are not offered");
  }));
