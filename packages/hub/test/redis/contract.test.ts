import { after, before } from "node:test";
import { ClusterDeployment } from "../../src/redis/cluster.ts";
import { RedisConnections } from "../../src/redis/connections.ts";
import { RedisBroker } from "../../src/redis/redis-broker.ts";
import { RedisPresenceStore } from "../../src/redis/redis-presence-store.ts";
import { type BrokerSuite, testBrokerContract } from "../contract/broker-contract.ts";
import { testPresenceContract } from "../contract/presence-contract.ts";
import { RedisClusterServers, RedisServer } from "./support/redis-server.ts";

const TICK = 100; // ms

/** What the suites run over: the URLs are known when it has started. */
interface Place {
  readonly name: string;
  readonly isCluster?: true;
  readonly start: () => Promise<{ readonly urls: readonly string[]; stop(): Promise<void> }>;
}

const PLACES: readonly Place[] = [
  {
    name: "one Redis",
    start: async () => {
      const server = await RedisServer.start();
      return { urls: [server.url], stop: () => server.stop() };
    },
  },
  {
    name: "a cluster of three",
    isCluster: true,
    start: async () => {
      const cluster = await RedisClusterServers.start(3);
      return { urls: [cluster.url], stop: () => cluster.stop() };
    },
  },
  {
    name: "three Redis that share the channels",
    start: async () => {
      const servers = [await RedisServer.start(), await RedisServer.start(), await RedisServer.start()];
      return {
        urls: servers.map(({ url }) => url),
        stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
      };
    },
  },
];

let prefixes = 0;

function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

for (const place of PLACES) {
  let running: Awaited<ReturnType<Place["start"]>> | undefined;
  before(async () => {
    running = await place.start();
  });
  after(() => running?.stop());

  const setUp: BrokerSuite["setUp"] = async (count) => {
    const prefix = `test${prefixes++}`;
    const brokers = Array.from(
      { length: count },
      () => new RedisBroker(new RedisConnections(running?.urls ?? [], { prefix })),
    );
    const settle = async (): Promise<void> => void (await Promise.all(brokers.map((broker) => broker.settled())));
    return { brokers, elapse, settle, close: async () => undefined };
  };
  testBrokerContract({ name: `RedisBroker on ${place.name}`, tick: TICK, setUp });

  if (place.isCluster === true) {
    testBrokerContract({
      name: `RedisBroker on ${place.name} without sharded pub/sub, as before Redis 7`,
      tick: TICK,
      setUp: async (count) => {
        const prefix = `test${prefixes++}`;
        const brokers: RedisBroker[] = [];
        for (let i = 0; i < count; i++) {
          const connections = new RedisConnections(running?.urls ?? [], { prefix });
          await connections.open();
          for (const each of connections.deployments) if (each instanceof ClusterDeployment) each.publishes = "PUBLISH";
          brokers.push(new RedisBroker(connections));
        }
        // from server to server no order is promised, and nothing tells when it is over
        return { brokers, elapse, settle: () => elapse(2 * TICK), close: async () => undefined };
      },
    });
  }

  testPresenceContract({
    name: `RedisPresenceStore on ${place.name}`,
    setUp: async () => {
      const options = { prefix: `test${prefixes++}`, presenceTtl: 5 * TICK };
      const store = (): RedisPresenceStore =>
        new RedisPresenceStore(new RedisConnections(running?.urls ?? [], options));
      return { stores: [store(), store()], elapse, close: async () => undefined };
    },
  });
}
