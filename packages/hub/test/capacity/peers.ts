import { createAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { RedisServer } from "../redis/support/redis-server.ts";
import { cpuOf, microseconds, pidOf, rate, type Say, sleep } from "./measure.ts";
import { DATA } from "./publish.ts";

const COUNT = 50_000;
const AT_ONCE = 500;

/**
 * Emits the same amount of data with Socket.IO's adapters, to 50 rooms, until Redis has received
 * everything. There is no acknowledgement.
 */
export async function measurePeers(say: Say): Promise<void> {
  for (const [name, what] of [
    ["pubsub", "Socket.IO, @socket.io/redis-adapter: not kept"],
    ["streams", "Socket.IO, @socket.io/redis-streams-adapter: kept in one stream for all rooms"],
  ] as const) {
    const server = await RedisServer.start();
    const client = (): Redis => new Redis({ port: server.port });
    const clients = [client(), client()] as const;
    const io = new Server({
      adapter: name === "pubsub" ? createAdapter(...clients) : createStreamsAdapter(clients[0]),
    });
    await sleep(200); // it subscribes by itself, without notification
    const calls = async (): Promise<number> => {
      const info = String(await server.command("INFO", "commandstats"));
      const command = name === "pubsub" ? "publish" : "xadd";
      return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
    };
    const run = async (count: number): Promise<number> => {
      const wanted = (await calls()) + count;
      const from = performance.now();
      for (let i = 0; i < count; i += AT_ONCE) {
        for (let j = i; j < i + AT_ONCE; j++) io.to(`room ${j % 50}`).emit("message", DATA);
        while (clients[0].commandQueue.length > AT_ONCE * 4) await new Promise((resolve) => setImmediate(resolve));
      }
      while ((await calls()) < wanted) await sleep(5);
      return performance.now() - from;
    };
    await run(COUNT / 5);
    const cpu = process.cpuUsage();
    const redisCpu = cpuOf(pidOf(server));
    const ms = await run(COUNT);
    const { user, system } = process.cpuUsage(cpu);
    say(what, rate(COUNT, ms));
    say("  CPU of the node for each", microseconds((user + system) / 1000, COUNT));
    say("  CPU of Redis for each", microseconds(cpuOf(pidOf(server)) - redisCpu, COUNT));
    await io.of("/").adapter.close();
    for (const each of clients) each.disconnect();
    await server.stop();
  }
}
