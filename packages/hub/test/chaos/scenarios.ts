import { sleep, World, type WorldOptions } from "./world.ts";

const USUAL = { redis: "plain", proxied: false, minReconnectDelay: 500 } satisfies Partial<WorldOptions> as Pick<
  WorldOptions,
  "redis" | "proxied" | "minReconnectDelay"
>;

export interface Scenario {
  readonly name: string;
  readonly what: string;
  /** Differences from the default world. */
  readonly world: Partial<typeof USUAL>;
  /** Maximum p99 of deliveries in ms; undefined: not checked. */
  readonly p99?: number | undefined;
  /** The failure: starts after a quarter of the publications. */
  readonly happens: (world: World) => Promise<void>;
}

/**
 * Maximum recovery time after the last publication: of clients, by their back-off, and of
 * connections to Redis.
 */
const CATCH_UP = 60_000; // ms

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "kill",
    what: "a node is killed with SIGKILL; its clients go elsewhere",
    world: {},
    async happens(world) {
      const node = world.random.pick(world.nodes);
      world.say(`SIGKILL to ${node.name}`);
      await world.endNode(node, "SIGKILL");
    },
  },
  {
    name: "redis-restart",
    what: "Redis with an append-only file is killed with SIGKILL and started again",
    world: { redis: "append-only" },
    async happens(world) {
      world.say("SIGKILL to Redis");
      await world.server.kill();
      await sleep(500 + world.random.below(1000));
      await world.server.run();
      world.say("Redis is back");
    },
  },
  {
    name: "failover",
    what: "the primary is killed, and sentinels promote its replica",
    world: { redis: "sentinel" },
    async happens(world) {
      await world.sentinels.replicated();
      world.say("SIGKILL to the primary");
      await world.sentinels.primary.kill();
    },
  },
  {
    name: "cluster-failover",
    what: "a primary of a cluster is killed, and its replica takes its slots",
    world: { redis: "cluster" },
    async happens(world) {
      world.say("SIGKILL to a primary of the cluster");
      await world.cluster.servers[world.random.below(3)]?.kill();
    },
  },
  {
    name: "cut",
    what: "all nodes' connections to Redis are cut for a while",
    world: { proxied: true },
    async happens(world) {
      for (const { proxy } of world.nodes) proxy?.cut();
      world.say("connections to Redis are cut");
      await sleep(world.options.outage);
      for (const { proxy } of world.nodes) proxy?.heal();
      world.say("and may be made again");
    },
  },
  {
    name: "silence",
    what: "all nodes' connections to Redis stay open, and nothing passes; those connections never pass anything again",
    world: { proxied: true },
    async happens(world) {
      for (const { proxy } of world.nodes) proxy?.silence();
      world.say("connections to Redis are silent");
      await sleep(world.options.outage);
      for (const { proxy } of world.nodes) proxy?.heal();
      world.say("new ones pass");
    },
  },
  {
    name: "rolling",
    what: "each node is replaced in turn: it drains, its clients come back elsewhere",
    // nodes spread the ends of their sessions, so clients need not delay
    world: { minReconnectDelay: 100 },
    p99: 1_000,
    async happens(world) {
      for (const node of [...world.nodes]) {
        const next = await world.addNode();
        world.say(`${node.name} drains, ${next.name} is there`);
        await world.endNode(node, "SIGTERM");
      }
    },
  },
  {
    name: "random",
    what: "ten of these, by the seed: kill and replace a node, drain one, cut or silence one's connections, restart Redis",
    world: { redis: "append-only", proxied: true },
    async happens(world) {
      for (let round = 0; round < 10; round++) {
        const node = world.random.pick(world.nodes);
        const what = world.random.below(5);
        world.say(`${["kill", "drain", "cut", "silence", "restart Redis"][what]}, ${node.name}`);
        if (what <= 1) {
          await world.endNode(node, what === 0 ? "SIGKILL" : "SIGTERM");
          await world.addNode();
        } else if (what === 4) {
          await world.server.kill();
          await sleep(world.random.below(1_000));
          await world.server.run();
        } else {
          if (what === 2) node.proxy?.cut();
          else node.proxy?.silence();
          await sleep(world.random.below(world.options.outage));
          node.proxy?.heal();
        }
        await sleep(world.random.below(1_000));
      }
    },
  },
];

export interface Outcome {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/** Runs a scenario and returns what failed. */
export async function play(scenario: Scenario, options: Omit<WorldOptions, keyof typeof USUAL>): Promise<Outcome> {
  const world = await World.create({ ...options, ...USUAL, ...scenario.world });
  const { record, publisher } = world;
  const perChannel = Math.ceil(options.publications / options.channels);
  let caughtUp: number;
  try {
    let isThrough = false;
    const happening = (async () => {
      await world.until("a quarter is published", () => publisher.acknowledged >= options.publications / 4, 60_000);
      await scenario.happens(world);
      isThrough = true;
    })();
    await publisher.publish(perChannel);
    // a longer scenario must fail all the time
    while (!isThrough) await Promise.race([happening, publisher.publish(1)]);
    await happening;
    await publisher.publish(1);
    world.say(
      `${publisher.acknowledged} publications acknowledged, ${publisher.failures} calls failed and were made again`,
    );
    caughtUp = await world.caughtUp(CATCH_UP);
  } finally {
    await world.stop();
  }
  const p99 = record.percentile(99);
  if (record.toldLost > 0) record.problem(`${record.toldLost} times a client was told that publications are lost`);
  if (scenario.p99 !== undefined && p99 >= scenario.p99) {
    record.problem(`99 of 100 deliveries took up to ${p99.toFixed(0)} ms, more than ${scenario.p99}`);
  }
  return {
    ok: record.problemCount === 0,
    lines: [
      `${record.seen} deliveries of ${publisher.acknowledged} publications` +
        (record.problemCount === 0 ? ": each client has every one, in order, once" : ""),
      `${record.disconnects} connections ended, ${record.resubscribed} times a channel was left to come back, ${record.recovered} recoveries`,
      `everybody had everything ${caughtUp.toFixed(0)} ms behind the last publication`,
      `delivery: p50 ${record.percentile(50).toFixed(1)} ms, p99 ${p99.toFixed(0)} ms, longest ${record.percentile(100).toFixed(0)} ms`,
      ...(record.problemCount === 0 ? [] : [`${record.problemCount} PROBLEMS`, ...record.problems]),
    ],
  };
}
