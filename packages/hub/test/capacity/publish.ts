import type { BrokerHandler, BrokerPublishOptions } from "../../src/broker/broker.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { RedisServer } from "../redis/support/redis-server.ts";
import { cpuOf, microseconds, pidOf, pipelined, rate, type Say, until } from "./measure.ts";

const COUNT = 100_000;
const CHANNELS = 50;
const AT_ONCE = 2_000;
export const DATA = JSON.stringify({ text: "x".repeat(85) }); // 96 bytes

export function handlerThat(publication: BrokerHandler["publication"]): BrokerHandler {
  return { publication, join: () => {}, leave: () => {}, control: () => {}, interrupted: () => {} };
}

/** One node publishes to one Redis and is subscribed to everything. */
export async function measurePublishing(say: Say): Promise<void> {
  const kept: BrokerPublishOptions = { historySize: 1000, historyTtl: 60_000, metaTtl: 600_000 };
  for (const [what, options, isDurable] of [
    ["kept in a stream, each acknowledged", kept, false],
    ["the same, Redis with an append-only file (everysec)", kept, true],
    ["not kept", { ...kept, historySize: 0 }, false],
  ] as const) {
    const server = await RedisServer.start(...(isDurable ? ["--appendonly", "yes", "--appendfsync", "everysec"] : []));
    const redis = await openRedis([server.url]);
    let received = 0;
    await redis.broker.start(
      handlerThat(() => {
        received++;
        return undefined;
      }),
    );
    for (let i = 0; i < CHANNELS; i++) await redis.broker.subscribe(`c${i}`);
    const publish = (i: number): Promise<unknown> => redis.broker.publish(`c${i % CHANNELS}`, { data: DATA }, options);
    await pipelined(COUNT / 4, AT_ONCE, publish);
    await until(() => received === COUNT / 4);
    const cpu = process.cpuUsage();
    const redisCpu = cpuOf(pidOf(server));
    const from = performance.now();
    await pipelined(COUNT, AT_ONCE, publish);
    await until(() => received === COUNT / 4 + COUNT);
    const ms = performance.now() - from;
    const { user, system } = process.cpuUsage(cpu);
    say(`publications of ${DATA.length} bytes, ${what}, and received`, rate(COUNT, ms));
    say("  CPU of the node for each, receiving included", microseconds((user + system) / 1000, COUNT));
    say("  CPU of Redis for each", microseconds(cpuOf(pidOf(server)) - redisCpu, COUNT));
    await redis.broker.stop();
    await server.stop();
  }
}
