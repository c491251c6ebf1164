import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { bare, type Client, coming, echoing, listening, Seen, subscribing } from "./clients.ts";
import type { Panel } from "./plot.ts";
import { type Held, held } from "./sample.ts";
import { evaluate, type Series } from "./evaluation.ts";

export interface SoakOptions {
  readonly seconds: number;
  readonly connections: number;
  /** What has to happen as well before it ends. Default: nothing. */
  readonly least?: { readonly messages: number; readonly reconnects: number };
  /** Seconds between two samples. */
  readonly every: number;
  readonly onSample?: (text: string) => void;
}

interface ServerSample extends Held {
  readonly connections: number;
  /** Bytes charged to the memory budget. */
  readonly budget: number;
  readonly errors: readonly string[];
}

export interface SoakReport {
  readonly panels: readonly Panel[];
  /** Metrics that are not flat, and other failures. */
  readonly problems: readonly string[];
  readonly messages: number;
  readonly reconnects: number;
  readonly samples: number;
}

/** Shares of the connections by activity. The rest echoes. */
const SHARES = { room: 0.2, deflate: 0.15, subscribers: 0.2, coming: 0.05 };
const CHANNELS = 10;
const MIN_SAMPLES = 5; // permits for a loaded machine
const AT_ONCE = 50; // concurrent connection attempts

const MiB = 1024 * 1024;

/** Holds connections with mixed activity for the given time. */
export async function soak({ seconds, least, connections, every, onSample }: SoakOptions): Promise<SoakReport> {
  const child = fork(fileURLToPath(new URL("server.ts", import.meta.url)));
  const ended = once(child, "exit");
  const died = ended.then(([code]) => Promise.reject(new Error(`the server ended with ${String(code)}`)));
  died.catch(() => undefined);
  const { ports } = (await Promise.race([nextMessage(child), died])) as { ports: Record<string, number> };
  const ask = async (): Promise<ServerSample> => {
    child.send("sample");
    return (await Promise.race([nextMessage(child), died])) as ServerSample;
  };
  const control = fork(fileURLToPath(new URL("control.ts", import.meta.url)));
  const { port } = (await nextMessage(control)) as { port: number };
  const seen = new Seen();
  const before = held().handles;
  const clients = await open(connections, ports, seen);
  const machine = bare(port);
  const [servers, drivers, times, bareTimes]: [ServerSample[], Held[], number[], number[]] = [[], [], [], []];
  seen.p99(); // those during start-up
  const until = performance.now() + seconds * 1000;
  const hasRun = (): boolean =>
    performance.now() >= until &&
    servers.length >= MIN_SAMPLES &&
    seen.messages >= (least?.messages ?? 0) &&
    seen.reconnects >= (least?.reconnects ?? 0);
  while (!hasRun()) {
    await sleep(every * 1000);
    times.push(seen.p99());
    bareTimes.push(machine.seen.p99());
    const server = await ask();
    servers.push(server);
    const driver = held();
    drivers.push(driver);
    onSample?.(
      `server ${(server.rss / MiB).toFixed(1)} MiB, heap ${(server.heap / MiB).toFixed(1)} MiB, ${server.handles} handles, ` +
        `${server.connections} connections; p99 ${(times.at(-1) ?? 0).toFixed(1)} ms; ${seen.messages} messages, ${seen.errors.length} errors`,
    );
  }
  await Promise.all([machine, ...clients].map((each) => each.stop()));
  const controlEnded = once(control, "exit");
  control.disconnect();
  await controlEnded;
  let left = await ask();
  for (let wait = 0; wait < 600 && left.connections > 0; wait++) {
    await sleep(100);
    left = await ask();
  }
  child.send("end");
  await ended;
  const panels = panelsOf(servers, drivers, [times, bareTimes], connections);
  const problems = [...seen.errors, ...left.errors].slice(0, 10);
  for (const { title, series } of panels) {
    for (const each of series) {
      const { flat, growth, allowed } = evaluate(each);
      const grown = `${(growth / each.scale).toFixed(2)} of ${(allowed / each.scale).toFixed(2)} ${each.unit}`;
      if (!flat) problems.push(`${title} of the ${each.name} grows: ${grown}`);
    }
  }
  if (left.connections > 0 || left.budget > 0) {
    problems.push(`at the end ${left.connections} connections and ${left.budget} bytes in the budget are left`);
  }
  for (let wait = 0; wait < 600 && held().handles > before; wait++) await sleep(100);
  if (held().handles > before) problems.push(`the clients have left ${held().handles - before} handles`);
  return { panels, problems, messages: seen.messages, reconnects: seen.reconnects, samples: servers.length };
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const [message]: unknown[] = await once(child, "message");
  return message;
}

async function open(count: number, ports: Record<string, number>, seen: Seen): Promise<Client[]> {
  const url = (name: string): string => `ws://127.0.0.1:${ports[name] ?? 0}/`;
  const share = (name: keyof typeof SHARES): number => Math.ceil(count * SHARES[name]);
  const makers: (() => Promise<Client>)[] = [];
  const add = (times: number, make: (at: number) => Promise<Client>): void => {
    for (let at = 0; at < times && makers.length < count; at++) makers.push(() => make(at));
  };
  add(share("room"), () => listening(url("room"), seen));
  add(share("deflate"), () => echoing(url("deflate"), seen, true));
  add(share("subscribers"), (at) => subscribing(url("subscribers"), seen, `channel${at % CHANNELS}`));
  add(share("coming"), () => coming(url("echo"), seen));
  add(count, () => echoing(url("echo"), seen, false));
  const clients: Client[] = [];
  for (let at = 0; at < makers.length; at += AT_ONCE) {
    clients.push(...(await Promise.all(makers.slice(at, at + AT_ONCE).map((make) => make()))));
  }
  return clients;
}

function panelsOf(
  servers: readonly Held[],
  drivers: readonly Held[],
  [times, bareTimes]: readonly [readonly number[], readonly number[]],
  connections: number,
): Panel[] {
  const both = (title: string, key: keyof Held, unit: string, scale: number, floor: number): Panel => ({
    title,
    series: [
      { name: "server", unit, scale, floor, values: servers.map((each) => each[key]) },
      { name: "clients", unit, scale, floor, values: drivers.map((each) => each[key]) },
    ] satisfies Series[],
  });
  const time = { unit: "ms", scale: 1, floor: 10 };
  return [
    both("RSS", "rss", "MiB", MiB, 16 * MiB),
    both("Heap and buffers in use", "heap", "MiB", MiB, 4 * MiB),
    both("Handles", "handles", "handles", 1, connections * SHARES.coming + 10),
    {
      title: "Round trip, 99th percentile",
      series: [
        // the machine's own delays are not evaluated
        { name: "echo", ...time, values: times, evaluated: times.map((each, at) => each - (bareTimes[at] ?? 0)) },
        { name: "bare TCP", ...time, values: bareTimes, evaluated: [] },
      ],
    },
  ];
}
