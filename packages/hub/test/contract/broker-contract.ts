import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type {
  Broker,
  BrokerHandler,
  ClientInfo,
  FanOut,
  PendingFanOut,
  Publication,
  BrokerPublishOptions,
} from "../../src/broker/broker.ts";

/** Brokers of several hubs over one store that nothing else uses. */
export interface BrokersUnderTest {
  readonly brokers: readonly Broker[];
  /** Advances the time of the store. */
  elapse(ms: number): Promise<void>;
  /** Waits until pending deliveries have arrived. */
  settle(): Promise<void>;
  /** Called when the brokers are stopped. */
  close(): Promise<void>;
}

export interface BrokerSuite {
  readonly name: string;
  /** Distinguishable duration in ms; TTLs are multiples of it. */
  readonly tick: number;
  setUp(count: number): Promise<BrokersUnderTest>;
}

interface Delivered {
  readonly channel: string;
  readonly publication: Publication;
  readonly epoch: string;
}

const NO_FAN_OUT: FanOut = { delivered: 0, queued: 0, dropped: 0, disconnected: 0 };

class Recorder implements BrokerHandler {
  readonly delivered: Delivered[] = [];
  readonly comings: string[] = [];
  readonly controls: string[] = [];
  onPublication: ((publication: Publication) => void) | undefined;

  publication(channel: string, publication: Publication, epoch: string): PendingFanOut {
    this.delivered.push({ channel, publication, epoch });
    this.onPublication?.(publication);
    return { settled: () => Promise.resolve({ ...NO_FAN_OUT, delivered: 1 }) };
  }

  join(channel: string, info: ClientInfo): void {
    this.comings.push(`join ${channel} ${info.client}`);
  }

  leave(channel: string, info: ClientInfo): void {
    this.comings.push(`leave ${channel} ${info.client}`);
  }

  control(message: string): void {
    this.controls.push(message);
  }

  interrupted(): void {}

  data(channel?: string): string[] {
    return this.delivered
      .filter((each) => channel === undefined || each.channel === channel)
      .map(({ publication }) => publication.data);
  }
}

/** The contract of brokers, as tests. */
export function testBrokerContract(suite: BrokerSuite): void {
  const { tick } = suite;
  const keep: BrokerPublishOptions = { historySize: 100, historyTtl: 100 * tick, metaTtl: 1000 * tick };
  const pass: BrokerPublishOptions = { ...keep, historySize: 0, historyTtl: 0 };

  const withBrokers = (
    what: string,
    count: number,
    run: (under: BrokersUnderTest, recorders: readonly Recorder[], t: TestContext) => Promise<void>,
  ): void => {
    test(`${suite.name}: ${what}`, async (t) => {
      const under = await suite.setUp(count);
      const recorders = under.brokers.map(() => new Recorder());
      try {
        for (const [i, broker] of under.brokers.entries()) await broker.start(recorders[i] ?? new Recorder());
        await run(under, recorders, t);
      } finally {
        for (const broker of under.brokers) await broker.stop();
        await under.close();
      }
    });
  };

  const withBroker = (
    what: string,
    run: (broker: Broker, recorder: Recorder, under: BrokersUnderTest) => Promise<void>,
  ): void => {
    withBrokers(what, 1, async (under, [recorder]) => {
      const [broker] = under.brokers;
      assert.ok(broker !== undefined && recorder !== undefined);
      await run(broker, recorder, under);
    });
  };

  const publish = async (broker: Broker, channel: string, ...data: string[]): Promise<void> => {
    for (const each of data) await broker.publish(channel, { data: each }, keep);
  };

  withBroker("what is published reaches those subscribed, and nobody else", async (broker, recorder, { settle }) => {
    await publish(broker, "a", "0");
    await broker.subscribe("a");
    await publish(broker, "a", "1");
    await publish(broker, "b", "2");
    await settle();
    await broker.unsubscribe("a");
    await publish(broker, "a", "3");
    await settle();
    assert.deepEqual(recorder.data(), ["1"]);
    assert.deepEqual(recorder.delivered[0]?.publication, { data: "1", offset: 2 });
  });

  withBroker("a publication comes with all it has, as it was", async (broker, recorder, { settle }) => {
    const info = { client: "c", user: "u", connInfo: '{"name":"Ä"}', chanInfo: "[1]" };
    const tags = Object.fromEntries([
      ["__proto__", "x"],
      ["k", "v"],
    ]);
    const data = '{ "n": 12345678901234567890, "s": "\\u0000\\ud800é" }';
    await broker.subscribe("a");
    const { epoch } = await broker.publish("a", { data, info, tags }, keep);
    await settle();
    const wanted = { data, info, tags, offset: 1 };
    assert.deepEqual(recorder.delivered, [{ channel: "a", publication: wanted, epoch }]);
    const page = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.deepEqual(page, { publications: [wanted], offset: 1, epoch });
  });

  withBroker("offsets count from 1 within an epoch of each channel's own", async (broker) => {
    const first = await broker.publish("a", { data: "1" }, keep);
    const second = await broker.publish("a", { data: "2" }, keep);
    const other = await broker.publish("b", { data: "3" }, keep);
    assert.deepEqual([first.offset, second.offset, other.offset], [1, 2, 1]);
    assert.equal(first.epoch, second.epoch);
    assert.ok(first.epoch !== "" && first.epoch !== "_", "the client SDKs have a meaning of their own for these");
    assert.ok(!first.duplicate);
  });

  withBroker("calls made at once are numbered and delivered in their order", async (broker, recorder, { settle }) => {
    await broker.subscribe("a");
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) => broker.publish("a", { data: `${i}` }, keep)),
    );
    await settle();
    assert.deepEqual(
      results.map(({ offset }) => offset),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    assert.deepEqual(
      recorder.data(),
      Array.from({ length: 100 }, (_, i) => `${i}`),
    );
    assert.deepEqual(
      recorder.delivered.map(({ publication }) => publication.offset),
      results.map(({ offset }) => offset),
    );
  });

  withBroker(
    "a publication that a handler makes comes behind the one it is about",
    async (broker, recorder, { settle }) => {
      await broker.subscribe("a");
      let inner: Promise<unknown> | undefined;
      recorder.onPublication = ({ data }) => {
        if (data === "1") inner = broker.publish("a", { data: "2" }, keep);
      };
      await publish(broker, "a", "1");
      await settle();
      await inner;
      await settle();
      assert.deepEqual(recorder.data(), ["1", "2"]);
    },
  );

  withBroker("without history there is neither offset nor epoch", async (broker, recorder, { settle }) => {
    await broker.subscribe("a");
    const result = await broker.publish("a", { data: "1" }, pass);
    await settle();
    assert.deepEqual([result.offset, result.epoch], [0, ""]);
    assert.deepEqual(recorder.delivered, [{ channel: "a", publication: { data: "1", offset: 0 }, epoch: "" }]);
  });

  withBroker("one that is not kept changes nothing in the stream", async (broker) => {
    await publish(broker, "a", "1");
    await broker.publish("a", { data: "2" }, { ...keep, historySize: 0 });
    await publish(broker, "a", "3");
    const page = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.deepEqual(
      page.publications.map(({ data, offset }) => `${offset} ${data}`),
      ["1 1", "2 3"],
    );
  });

  withBroker("history keeps the newest, up to its size", async (broker) => {
    for (let i = 1; i <= 10; i++) await broker.publish("a", { data: `${i}` }, { ...keep, historySize: 4 });
    const page = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.deepEqual(
      page.publications.map(({ offset }) => offset),
      [7, 8, 9, 10],
    );
    assert.equal(page.offset, 10);
    await broker.publish("a", { data: "11" }, { ...keep, historySize: 2 });
    const less = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.deepEqual(
      less.publications.map(({ offset }) => offset),
      [10, 11],
    );
  });

  withBroker("history by limit, since and reverse", async (broker) => {
    for (let i = 1; i <= 10; i++) await broker.publish("a", { data: `${i}` }, { ...keep, historySize: 6 });
    const { epoch } = await broker.history("a", { limit: 0 }, keep.metaTtl);
    const read = async (limit: number, since: number | undefined, reverse: boolean): Promise<number[]> => {
      const position = since === undefined ? undefined : { offset: since, epoch };
      const page = await broker.history("a", { limit, since: position, reverse }, keep.metaTtl);
      assert.equal(page.offset, 10);
      assert.equal(page.epoch, epoch);
      return page.publications.map(({ offset }) => offset);
    };
    assert.deepEqual(await read(0, undefined, false), []);
    assert.deepEqual(await read(-1, undefined, false), [5, 6, 7, 8, 9, 10]);
    assert.deepEqual(await read(2, undefined, false), [5, 6]);
    assert.deepEqual(await read(100, undefined, false), [5, 6, 7, 8, 9, 10]);
    assert.deepEqual(await read(-1, 7, false), [8, 9, 10]);
    assert.deepEqual(await read(2, 7, false), [8, 9]);
    assert.deepEqual(await read(-1, 10, false), []);
    assert.deepEqual(await read(-1, 11, false), []);
    assert.deepEqual(await read(-1, 0, false), [5, 6, 7, 8, 9, 10]);
    assert.deepEqual(await read(0, 7, false), []);
    assert.deepEqual(await read(-1, undefined, true), [10, 9, 8, 7, 6, 5]);
    assert.deepEqual(await read(2, undefined, true), [10, 9]);
    assert.deepEqual(await read(-1, 7, true), [6, 5]);
    assert.deepEqual(await read(1, 7, true), [6]);
    assert.deepEqual(await read(-1, 5, true), []);
    assert.deepEqual(await read(-1, 1, true), []);
    assert.deepEqual(await read(-1, 100, true), [10, 9, 8, 7, 6, 5]);
  });

  withBroker(
    "a page has no more bytes than it may, one publication at least, and the next one goes on behind it",
    async (broker) => {
      const data = (number: number): string => JSON.stringify("x".repeat(number % 5 === 0 ? 2_000 : 100));
      for (let number = 1; number <= 60; number++) await broker.publish("a", { data: data(number) }, keep);
      const { epoch } = await broker.history("a", { limit: 0 }, keep.metaTtl);
      for (const maxBytes of [0, 1, 500, 1_500, 5_000, 1_000_000]) {
        for (const reverse of [false, true]) {
          for (const limit of [-1, 1, 7, 16, 17, 33, 1000]) {
            const seen: number[] = [];
            for (let isOver = false; !isOver;) {
              const last = seen.at(-1);
              const since = last === undefined ? undefined : { offset: last, epoch };
              const page = await broker.history("a", { since, limit, reverse, maxBytes }, keep.metaTtl);
              const { publications } = page;
              assert.equal(page.offset, 60);
              const bytes = publications.reduce((sum, each) => sum + each.data.length, 0);
              assert.ok(publications.length <= 1 || bytes <= maxBytes, `${bytes} bytes in a page of ${maxBytes}`);
              assert.ok(limit < 0 || publications.length <= limit);
              if (maxBytes > 60 * 2_100 && limit < 0 && last === undefined) assert.equal(publications.length, 60);
              seen.push(...publications.map(({ offset }) => offset));
              isOver = publications.length === 0;
            }
            const all = Array.from({ length: 60 }, (_, i) => i + 1);
            assert.deepEqual(seen, reverse ? all.toReversed() : all, `${maxBytes} ${reverse} ${limit}`);
          }
        }
      }
    },
  );

  withBroker("the position of a channel without publications is where its first one follows", async (broker) => {
    const before = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.deepEqual([before.offset, before.publications.length], [0, 0]);
    assert.notEqual(before.epoch, "");
    assert.equal((await broker.history("a", { limit: 0 }, keep.metaTtl)).epoch, before.epoch);
    const { offset, epoch } = await broker.publish("a", { data: "1" }, keep);
    assert.deepEqual([offset, epoch], [1, before.epoch]);
  });

  withBroker("publications expire, position and epoch stay", async (broker, _recorder, { elapse }) => {
    const brief = { ...keep, historyTtl: 4 * tick };
    await broker.publish("a", { data: "1" }, brief);
    await elapse(2 * tick);
    const { epoch } = await broker.publish("a", { data: "2" }, brief);
    await elapse(2 * tick);
    const kept = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.equal(kept.publications.length, 2, "the time counts from the last publication");
    await elapse(3 * tick);
    const gone = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.deepEqual(gone, { publications: [], offset: 2, epoch });
    assert.equal((await broker.publish("a", { data: "3" }, brief)).offset, 3);
    const page = await broker.history("a", { limit: -1 }, keep.metaTtl);
    assert.deepEqual(
      page.publications.map(({ offset }) => offset),
      [3],
    );
  });

  withBroker("when position and epoch have expired, another stream begins", async (broker, _recorder, { elapse }) => {
    const brief = { ...keep, historyTtl: 2 * tick, metaTtl: 4 * tick };
    const { epoch } = await broker.publish("a", { data: "1" }, brief);
    await elapse(3 * tick);
    assert.equal((await broker.history("a", { limit: 0 }, brief.metaTtl)).epoch, epoch, "asking makes it live on");
    await elapse(6 * tick);
    const after = await broker.publish("a", { data: "2" }, brief);
    assert.equal(after.offset, 1);
    assert.notEqual(after.epoch, epoch);
  });

  withBroker("removed history leaves position and epoch", async (broker) => {
    await publish(broker, "a", "1", "2");
    const { epoch } = await broker.history("a", { limit: 0 }, keep.metaTtl);
    await broker.removeHistory("a");
    await broker.removeHistory("never heard of");
    assert.deepEqual(await broker.history("a", { limit: -1 }, keep.metaTtl), { publications: [], offset: 2, epoch });
    assert.equal((await broker.publish("a", { data: "3" }, keep)).offset, 3);
  });

  withBroker("the same idempotency key publishes once", async (broker, recorder, { settle, elapse }) => {
    await broker.subscribe("a");
    const options = { ...keep, idempotencyKey: "k", idempotencyTtl: 5 * tick };
    const first = await broker.publish("a", { data: "1" }, options);
    const again = await broker.publish("a", { data: "2" }, options);
    assert.deepEqual([again.offset, again.epoch, again.duplicate], [first.offset, first.epoch, true]);
    const other = await broker.publish("b", { data: "3" }, options);
    assert.equal(other.duplicate, false, "a key is one channel's");
    const [x, y] = await Promise.all(
      [1, 2].map(() => broker.publish("a", { data: "4" }, { ...options, idempotencyKey: "l" })),
    );
    assert.deepEqual([x?.duplicate, y?.duplicate, y?.offset], [false, true, x?.offset]);
    await elapse(6 * tick);
    const late = await broker.publish("a", { data: "5" }, options);
    assert.deepEqual([late.duplicate, late.offset], [false, 3]);
    await settle();
    assert.deepEqual(recorder.data("a"), ["1", "4", "5"]);
  });

  withBroker("an idempotency key works without history", async (broker, recorder, { settle }) => {
    await broker.subscribe("a");
    const options = { ...pass, idempotencyKey: "k" };
    assert.equal((await broker.publish("a", { data: "1" }, options)).duplicate, false);
    assert.equal((await broker.publish("a", { data: "2" }, options)).duplicate, true);
    await settle();
    assert.deepEqual(recorder.data(), ["1"]);
  });

  withBroker("joins and leaves come in their order, to those subscribed", async (broker, recorder, { settle }) => {
    const info = (client: string): ClientInfo => ({ client, user: "u" });
    await broker.subscribe("a");
    await broker.publishJoin("a", info("1"));
    await Promise.all([broker.publishJoin("a", info("2")), broker.publishLeave("a", info("1"))]);
    await broker.publishJoin("b", info("3"));
    await settle();
    assert.deepEqual(recorder.comings, ["join a 1", "join a 2", "leave a 1"]);
  });

  withBroker("channels are distinguished by any names", async (broker, recorder, { settle }) => {
    const names = ["__proto__", "constructor", "a b", "a:b", "ä€😀", "{a}", "*", "a*", "x".repeat(255)];
    for (const name of names) await broker.subscribe(name);
    for (const name of names) await broker.publish(name, { data: JSON.stringify(name) }, keep);
    await settle();
    // each channel has its own order
    assert.deepEqual(
      new Set(
        recorder.delivered.map(({ channel, publication }) => `${channel} ${publication.data} ${publication.offset}`),
      ),
      new Set(names.map((name) => `${name} ${JSON.stringify(name)} 1`)),
    );
    assert.equal(recorder.delivered.length, names.length);
  });

  withBroker(
    "who subscribes while others publish misses nothing of what history does not have",
    async (broker, recorder, { settle }) => {
      const publishing = Array.from({ length: 50 }, (_, i) => broker.publish("a", { data: `${i + 1}` }, keep));
      await broker.subscribe("a");
      const page = await broker.history("a", { limit: -1 }, keep.metaTtl);
      const more = Array.from({ length: 50 }, (_, i) => broker.publish("a", { data: `${i + 51}` }, keep));
      await Promise.all([...publishing, ...more]);
      await settle();
      const seen = new Set(
        [...page.publications, ...recorder.delivered.map(({ publication }) => publication)].map(({ offset }) => offset),
      );
      assert.equal(seen.size, 100);
    },
  );

  withBrokers(
    "what one node publishes reaches all nodes that are subscribed",
    3,
    async ({ brokers, settle }, recorders) => {
      const [a, b] = brokers;
      await a?.subscribe("x");
      await b?.subscribe("x");
      const results = await Promise.all(brokers.map((broker, i) => broker.publish("x", { data: `${i}` }, keep)));
      await settle();
      assert.deepEqual(
        results.map(({ offset }) => offset).toSorted((a, b) => a - b),
        [1, 2, 3],
      );
      assert.deepEqual(
        recorders.map((each) => each.delivered.map(({ publication }) => publication.offset)),
        [[1, 2, 3], [1, 2, 3], []],
      );
      const pages = await Promise.all(brokers.map((broker) => broker.history("x", { limit: -1 }, keep.metaTtl)));
      assert.deepEqual(pages[0], pages[2]);
      await a?.unsubscribe("x");
      await brokers[2]?.publish("x", { data: "3" }, keep);
      await settle();
      assert.deepEqual(
        recorders.map((each) => each.delivered.length),
        [3, 4, 0],
      );
    },
  );

  withBrokers("a control message reaches all other nodes, in order", 3, async ({ brokers, settle }, recorders) => {
    await brokers[0]?.control("1");
    await brokers[0]?.control("ä\n2");
    await settle();
    assert.deepEqual(
      recorders.map((each) => each.controls),
      [[], ["1", "ä\n2"], ["1", "ä\n2"]],
    );
  });

  withBrokers(
    "a broker that was stopped calls nobody, and the stream lives on",
    2,
    async ({ brokers, settle }, recorders) => {
      const [a, b] = brokers;
      await a?.subscribe("x");
      await a?.stop();
      await b?.publish("x", { data: "1" }, keep);
      await b?.control("hello");
      await settle();
      assert.deepEqual([recorders[0]?.delivered, recorders[0]?.controls], [[], []]);
      assert.equal((await b?.history("x", { limit: -1 }, keep.metaTtl))?.publications.length, 1);
    },
  );
}
