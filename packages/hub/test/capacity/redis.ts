import { openRedis } from "../../src/redis/open-redis.ts";
import { RedisServer } from "../redis/support/redis-server.ts";
import { cpuOf, microseconds, pidOf, pipelined, type Say } from "./measure.ts";
import { DATA, handlerThat } from "./publish.ts";

/** Measures the resources of Redis: memory that it reports, CPU of its process. */
export async function measureRedis(say: Say): Promise<void> {
  const server = await RedisServer.start();
  const redis = await openRedis([server.url]);
  const { broker, presenceStore } = redis;
  await broker.start(handlerThat(() => undefined));
  const used = async (): Promise<number> =>
    Number(/^used_memory:(\d+)/m.exec(String(await server.command("INFO", "memory")))?.[1] ?? 0);
  const costs = async (what: string, count: number, run: () => Promise<unknown>, of = "each"): Promise<void> => {
    const [memory, cpu] = [await used(), cpuOf(pidOf(server))];
    await run();
    const time = cpuOf(pidOf(server)) - cpu;
    const bytes = Math.max(0, ((await used()) - memory) / count);
    say(`${what}, ${of}`, `${bytes.toFixed(0)} bytes, ${microseconds(time, count)}`);
  };
  const options = { historyTtl: 600_000, metaTtl: 600_000 };

  await costs("channels that a node is subscribed to", 20_000, () =>
    pipelined(20_000, 1_000, (i) => broker.subscribe(`s${i}`)),
  );
  await costs("channels with one publication", 20_000, () =>
    pipelined(20_000, 1_000, (i) => broker.publish(`one${i}`, { data: DATA }, { ...options, historySize: 100 })),
  );
  await costs(`publications of ${DATA.length} bytes in a stream of 1,000`, 50_000, () =>
    pipelined(50_000, 1_000, (i) => broker.publish(`k${i % 50}`, { data: DATA }, { ...options, historySize: 1000 })),
  );
  await costs("positions read", 50_000, () =>
    pipelined(50_000, 1_000, (i) => broker.history(`k${i % 50}`, { limit: 0 }, 600_000)),
  );
  const { epoch } = await broker.history("k0", { limit: 0 }, 600_000);
  await costs("recoveries of 10 missed publications", 20_000, () =>
    pipelined(20_000, 1_000, (i) =>
      broker.history(`k${i % 50}`, { since: { offset: 990, epoch }, limit: -1 }, 600_000),
    ),
  );
  const entries = Array.from({ length: 20_000 }, (_, i) => ({
    channel: `p${i % 200}`,
    info: { client: crypto.randomUUID(), user: `user ${i}`, connInfo: '{"name":"a client"}' },
  }));
  await costs("clients that become present, 100 in a channel", entries.length, () =>
    pipelined(entries.length, 1_000, async (i) => {
      const entry = entries[i];
      if (entry !== undefined) await presenceStore.add(entry.channel, entry.info);
    }),
  );
  const batches = Array.from({ length: Math.ceil(entries.length / 500) }, (_, i) =>
    entries.toSorted((a, b) => (a.channel < b.channel ? -1 : 1)).slice(i * 500, (i + 1) * 500),
  );
  await costs("clients whose presence is renewed, in batches of 500", entries.length * 5, () =>
    pipelined(batches.length * 5, 8, (i) => presenceStore.renew(batches[i % batches.length] ?? [])),
  );
  await costs("messages of a node to the other nodes", 20_000, () =>
    pipelined(20_000, 1_000, () => broker.control(DATA)),
  );
  await broker.stop();
  redis.close();
  await server.stop();
}
