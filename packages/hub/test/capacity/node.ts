import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect, type WebSocketConnection } from "tungstate";
import type { NodeSettings } from "../chaos/world.ts";
import { openRedis } from "../../src/redis/open-redis.ts";
import { RedisServer } from "../redis/support/redis-server.ts";
import { cpuOf, memoryOf, microseconds, pipelined, rate, type Say, sleep, until } from "./measure.ts";
import { DATA, handlerThat } from "./publish.ts";

const NODE = fileURLToPath(new URL("../chaos/node.mjs", import.meta.url));
const FEW = 500;
const MANY = 4_000;
const CHANNEL_SIZE = 100;

/** Measures one node: the cost of an idle client, and the cost of a delivery. */
export async function measureNode(say: Say): Promise<void> {
  const server = await RedisServer.start();
  const settings: NodeSettings = {
    name: "node",
    redis: [server.url],
    prefix: "capacity",
    timeout: 5_000,
    historySize: 1000,
    drainWindow: 0,
  };
  const child = spawn(process.execPath, [NODE, JSON.stringify(settings)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = child.pid ?? 0;
  const sockets: WebSocketConnection[] = [];
  const redis = await openRedis([server.url], { prefix: "capacity" });
  try {
    const line = await new Promise<string>((resolve) => createInterface(child.stdout).once("line", resolve));
    const url = `ws://127.0.0.1:${line.replace("listening ", "")}/connection/websocket`;
    let subscribed = 0;
    let received = 0;
    const add = async (index: number): Promise<void> => {
      const socket = await connect(url);
      sockets.push(socket);
      socket.on("message", (message) => {
        if (message.type !== "text") return;
        if (message.text === "{}") socket.write("{}");
        if (message.text.includes('"subscribe":{')) subscribed++;
        if (message.text.includes('"pub":{')) received++;
      });
      socket.write('{"id":1,"connect":{}}');
      socket.write(JSON.stringify({ id: 2, subscribe: { channel: `c${Math.floor(index / CHANNEL_SIZE)}` } }));
    };
    const fill = async (count: number): Promise<number> => {
      const from = sockets.length;
      await pipelined(count - from, 50, (i) => add(from + i));
      await until(() => subscribed === count);
      await sleep(2_000);
      return memoryOf(pid);
    };
    const few = await fill(FEW);
    const cpuBefore = cpuOf(pid);
    const many = await fill(MANY);
    say(
      "memory of a node for a client with a subscription, presence and history",
      `${((many - few) / (MANY - FEW) / 1024).toFixed(1)} KiB`,
    );
    say("CPU of a node for a client that comes", microseconds(cpuOf(pid) - cpuBefore, MANY - FEW));
    const quietFrom = cpuOf(pid);
    await sleep(5_000);
    say(`CPU of a node with ${MANY} quiet clients`, `${((cpuOf(pid) - quietFrom) / 50).toFixed(1)} % of a core`);

    await redis.broker.start(handlerThat(() => undefined));
    const options = { historySize: 1000, historyTtl: 600_000, metaTtl: 600_000 };
    const channels = MANY / CHANNEL_SIZE;
    const publications = 2_000;
    const [cpu, from] = [cpuOf(pid), performance.now()];
    await pipelined(publications, 20, (i) => redis.broker.publish(`c${i % channels}`, { data: DATA }, options));
    await until(() => received === publications * CHANNEL_SIZE);
    const deliveries = publications * CHANNEL_SIZE;
    say(`CPU of a node for a delivery, ${CHANNEL_SIZE} subscribers`, microseconds(cpuOf(pid) - cpu, deliveries));
    say("  that is, with a core of its own", rate(deliveries, cpuOf(pid) - cpu));
    say("  deliveries here, clients in one process on the same machine", rate(deliveries, performance.now() - from));
  } finally {
    for (const socket of sockets) socket.terminate();
    await redis.broker.stop();
    redis.close();
    child.kill("SIGKILL");
    await server.stop();
  }
}
