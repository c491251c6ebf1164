// Channels of several processes: the store contracts of the hub, over links.
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryPipe } from "tungstate/testing";
import {
  type BrokerHandler,
  type BrokerPublishOptions,
  type ClientInfo,
  type FanOut,
  QuotaExceededError,
} from "@tungstate/hub";
import { testBrokerContract } from "../../../hub/test/contract/broker-contract.ts";
import { testPresenceContract } from "../../../hub/test/contract/presence-contract.ts";
import { settle, VirtualClock } from "../../../hub/test/support/virtual-clock.ts";
import type { DeliveryCalls, StoreCalls } from "../../src/workers/calls.ts";
import { Link } from "../../src/workers/link.ts";
import { RemoteBroker, RemotePresenceStore } from "../../src/workers/remote-stores.ts";
import { SharedStores, type StoreAccess } from "../../src/workers/shared-stores.ts";

/** The ends of a worker and its primary. */
interface Pair {
  readonly broker: RemoteBroker;
  readonly presence: RemotePresenceStore;
  readonly access: StoreAccess;
  /** Waits until messages in transit have arrived. */
  settle(): Promise<void>;
  close(): void;
}

function joined(stores: SharedStores): Pair {
  const [primary, worker] = memoryPipe();
  const access = stores.accessFor(() => down);
  const down: Link<DeliveryCalls> = new Link(primary, { ...access.calls });
  const broker = new RemoteBroker(() => up);
  const up: Link<StoreCalls> = new Link(worker, { ...broker.deliveries });
  const presence = new RemotePresenceStore(() => up, stores.presenceTtl);
  return {
    broker,
    presence,
    access,
    async settle() {
      // earlier messages arrive before the reply
      await up.call("presenceStats", "");
      await settle();
    },
    close: () => void primary.destroy(),
  };
}

test("a quota of the primary is a QuotaExceededError in the worker, as without workers", async () => {
  const pair = joined(new SharedStores(new VirtualClock()));
  const text = "k".repeat(1024 * 1024);
  const publish = async (number: number): Promise<void> => {
    const options = { historySize: 0, historyTtl: 0, metaTtl: 1000, idempotencyKey: `${number} ${text}` };
    await pair.broker.publish("a", { data: "1" }, options);
  };
  await assert.rejects(async () => {
    for (let number = 0; number < 10_000; number++) await publish(number);
  }, QuotaExceededError);
  pair.close();
});

testBrokerContract({
  name: "RemoteBroker",
  tick: 1000,
  setUp: async (count) => {
    const clock = new VirtualClock();
    const stores = new SharedStores(clock);
    const pairs = Array.from({ length: count }, () => joined(stores));
    return {
      brokers: pairs.map(({ broker }) => broker),
      elapse: (ms) => clock.advance(ms),
      settle: async () => {
        for (const pair of [...pairs, ...pairs]) await pair.settle();
      },
      close: async () => {
        for (const pair of pairs) pair.close();
        assert.equal(clock.pending, 0, "no timer is left behind");
      },
    };
  },
});

testPresenceContract({
  name: "RemotePresenceStore",
  setUp: async () => {
    const clock = new VirtualClock();
    const stores = new SharedStores(clock);
    const [a, b] = [joined(stores), joined(stores)];
    return {
      stores: [a.presence, b.presence],
      elapse: (ms) => clock.advance(ms),
      close: async () => {
        a.close();
        b.close();
      },
    };
  },
});

const KEEP: BrokerPublishOptions = { historySize: 10, historyTtl: 60_000, metaTtl: 60_000 };

function handler(received: string[]): BrokerHandler {
  const fanOut: FanOut = { delivered: 3, queued: 0, dropped: 0, disconnected: 0 };
  return {
    publication(channel, { data }) {
      received.push(`${channel} ${data}`);
      return { settled: () => Promise.resolve(fanOut) };
    },
    join: (channel, { client }) => void received.push(`${channel} +${client}`),
    leave: (channel, { client }) => void received.push(`${channel} -${client}`),
    control: () => undefined,
    interrupted: () => undefined,
  };
}

async function withTwo(
  run: (a: Pair, b: Pair, received: readonly [string[], string[]]) => Promise<void>,
): Promise<void> {
  const stores = new SharedStores();
  const [a, b] = [joined(stores), joined(stores)];
  const received: [string[], string[]] = [[], []];
  await a.broker.start(handler(received[0]));
  await b.broker.start(handler(received[1]));
  try {
    await run(a, b, received);
  } finally {
    await a.access.end();
    await b.access.end();
    a.close();
    b.close();
  }
}

test("publish reports the fan-out of its own process", async () => {
  await withTwo(async (a, b) => {
    await a.broker.subscribe("x");
    assert.equal((await (await a.broker.publish("x", { data: "1" }, KEEP)).fanOut?.settled())?.delivered, 3);
    assert.equal((await b.broker.publish("x", { data: "2" }, KEEP)).fanOut, undefined);
    const both = await Promise.all(["3", "4"].map((data) => a.broker.publish("x", { data }, KEEP)));
    const settled = await Promise.all(both.map(({ fanOut }) => Promise.resolve(fanOut?.settled())));
    assert.deepEqual(
      both.map(({ offset }, index) => [settled[index]?.delivered, offset]),
      [
        [3, 3],
        [3, 4],
      ],
    );
  });
});

test("deliveries for an ended subscription do not reach the next one", async () => {
  await withTwo(async (a, _b, [received]) => {
    for (const step of ["subscribe", "unsubscribe", "subscribe"] as const) await a.broker[step]("x");
    const deliver = (id: number): void =>
      a.broker.deliveries.publication("x", id, { data: String(id), offset: id }, "e", undefined);
    for (const id of [1, 2, 3]) deliver(id);
    assert.deepEqual(received, ["x 2"]);
  });
});

test("clients of a process that has died leave presence, and leave channels they had joined", async () => {
  await withTwo(async (a, b, [, received]) => {
    const info = (client: string): ClientInfo => ({ client, user: "" });
    await b.broker.subscribe("x");
    for (const client of ["gone", "left before"]) {
      await a.presence.add("x", info(client));
      await a.broker.publishJoin("x", info(client));
    }
    await a.presence.remove("x", info("left before"));
    await a.broker.publishLeave("x", info("left before"));
    await b.presence.add("x", info("stays"));
    await a.presence.add("y", info("gone")); // no leave is published for that channel
    a.close();
    await a.access.end();
    await b.settle();
    assert.deepEqual(received, ["x +gone", "x +left before", "x -left before", "x -gone"]);
    assert.deepEqual((await b.presence.clients("x")).clients, [info("stays")]);
    assert.deepEqual((await b.presence.clients("y")).clients, []);
  });
});
