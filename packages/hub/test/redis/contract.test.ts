import { after, before, describe } from "node:test";
import { RedisConnections } from "../../src/redis/connections.ts";
import { RedisBroker } from "../../src/redis/redis-broker.ts";
import { RedisPresenceStore } from "../../src/redis/redis-presence-store.ts";
import { type BrokerSuite, testBrokerContract } from "../contract/broker-contract.ts";
import { testPresenceContract } from "../contract/presence-contract.ts";
import { RedisClusterServers, RedisServer } from "./support/redis-server.ts";

const TICK = 10_000; // ms; nothing waits for them

/** The stores under test. URLs are known when they have started. */
interface Place {
  readonly name: string;
  readonly start: () => Promise<{ readonly urls: readonly string[]; readonly servers: readonly RedisServer[] }>;
}

const PLACES: readonly Place[] = [
  {
    name: "one Redis",
    start: async () => {
      const server = await RedisServer.start();
      return { urls: [server.url], servers: [server] };
    },
  },
  {
    name: "a cluster of three",
    start: async () => {
      const cluster = await RedisClusterServers.start(3);
      return { urls: [cluster.url], servers: cluster.servers };
    },
  },
  {
    name: "three Redis that share the channels",
    start: async () => {
      const servers = [await RedisServer.start(), await RedisServer.start(), await RedisServer.start()];
      return { urls: servers.map(({ url }) => url), servers };
    },
  },
];

let prefixes = 0;

for (const place of PLACES) {
  describe(place.name, () => {
    let running: Awaited<ReturnType<Place["start"]>> | undefined;
    before(async () => {
      running = await place.start();
    });
    after(async () => void (await Promise.all((running?.servers ?? []).map((server) => server.stop()))));
    const elapse = async (ms: number, prefix: string): Promise<void> =>
      void (await Promise.all((running?.servers ?? []).map((server) => server.elapse(ms, prefix))));

    const setUp: BrokerSuite["setUp"] = async (count) => {
      const prefix = `test${prefixes++}`;
      const brokers = Array.from(
        { length: count },
        () => new RedisBroker(new RedisConnections(running?.urls ?? [], { prefix })),
      );
      const settle = async (): Promise<void> => void (await Promise.all(brokers.map((broker) => broker.settled())));
      return { brokers, elapse: (ms) => elapse(ms, prefix), settle, close: async () => undefined };
    };
    testBrokerContract({ name: `RedisBroker on ${place.name}`, tick: TICK, setUp });

    testPresenceContract({
      name: `RedisPresenceStore on ${place.name}`,
      setUp: async () => {
        const prefix = `test${prefixes++}`;
        const options = { prefix, presenceTtl: 5 * TICK };
        const store = (): RedisPresenceStore =>
          new RedisPresenceStore(new RedisConnections(running?.urls ?? [], options));
        return { stores: [store(), store()], elapse: (ms) => elapse(ms, prefix), close: async () => undefined };
      },
    });
  });
}
