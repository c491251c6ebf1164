import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Load, Watched } from "../support/watched.ts";
import type { Attack, Surroundings } from "./attacks/attack.ts";
import { favour, favourHonest } from "./cores.ts";
import type { HonestReport } from "./honest-clients.ts";
import type { HonestOrder } from "./honest.ts";

const WARM_UP = 1_000; // ms
const CATCH_UP = 20_000; // ms that honest clients have for what they missed at the end
const SECOND_SIGNAL = 1_200; // ms behind the first SIGTERM
const LATEST_EXIT = 20_000; // ms from the first SIGTERM; --drain is 5 s

/** What holds while a server is attacked. */
export interface Limits {
  /** The longest iteration of an event loop, ms of CPU time at most. */
  readonly tick: number;
  /** Echo of honest clients less the delay of their own process, ms. */
  readonly p99: number;
  /** Resident memory of each process, bytes. */
  readonly rss: number;
  /** What the server logs, bytes per second. */
  readonly log: number;
}

export const LIMITS: Limits = { tick: 100, p99: 100, rss: 400e6, log: 50e3 };

export interface Result extends Omit<HonestReport, "echoes"> {
  readonly name: string;
  /** The longest iteration of an event loop of the server: CPU time at most, ms. */
  readonly tick: number;
  /** The most that a timer of the server was late, other processes of the machine included, ms. */
  readonly lag: number;
  readonly rss: number;
  /** Cores that the server used, and the attackers. */
  readonly cores: { readonly server: number; readonly attackers: number };
  /** Bytes per second. */
  readonly log: number;
  /** What does not hold. */
  readonly problems: readonly string[];
}

/**
 * Attacks a `tungstate serve` for so many seconds, beside honest clients. In the end it gets
 * SIGTERM, still under attack, and drains.
 */
export async function abuse(attack: Attack, seconds: number, limits: Limits = LIMITS): Promise<Result> {
  const surroundings = await attack.surroundings?.();
  try {
    return await attackServer(attack, surroundings, seconds, limits);
  } finally {
    await surroundings?.stop();
  }
}

async function attackServer(
  attack: Attack,
  surroundings: Surroundings | undefined,
  seconds: number,
  limits: Limits,
): Promise<Result> {
  const server = await Watched.start(...(attack.args ?? []), ...(surroundings?.args ?? []));
  const children: ChildProcess[] = [];
  const over = new AbortController();
  try {
    for (const { pid } of server.load(0)) favour(pid);
    const honest = run("honest.ts");
    children.push(honest);
    if (honest.pid !== undefined) favourHonest(honest.pid);
    await ask(honest, { order: "start", url: server.url });
    await sleep(WARM_UP);
    // from here on nobody takes what it writes
    if (attack.isUnread === true) server.child.stderr?.pause();
    const attacker = run("attacker.ts", [attack.name], server.watching);
    children.push(attacker);
    const begins = once(attacker, "message");
    attacker.send({ url: server.url, port: server.port });
    await begins;
    honest.send({ order: "reset" } satisfies HonestOrder);
    const [from, logged] = [Date.now(), server.stderrBytes];
    const disturbing = Promise.all([attack.disturb?.(server, over.signal), surroundings?.disturb?.(over.signal)]);
    await sleep(seconds * 1_000);
    const log = (server.stderrBytes - logged) / seconds;
    const loads = await server.settled(from);
    const wasRunning = server.isRunning;
    over.abort();
    await disturbing;
    const report = (await ask(honest, { order: "stop", timeout: CATCH_UP })) as HonestReport;
    const end = await drained(server);
    const own = loads.filter(({ parent }) => parent === process.pid || parent === server.child.pid);
    const [ofServer, ofAttackers] = [
      own.filter(({ pid }) => pid !== attacker.pid),
      loads.filter((each) => !own.includes(each)),
    ];
    // what it starts is watched for the same limits, the attacker itself is not
    const watched = [...ofServer, ...ofAttackers.filter(({ pid }) => pid !== attacker.pid)];
    const most = (of: (load: Load) => number): number => Math.max(...watched.map(of));
    const cpu = (some: readonly Load[]): number => some.reduce((sum, each) => sum + each.cpu, 0) / 1_000 / seconds;
    const { p99, ownDelay, published, lost } = report;
    const metrics = { tick: most((load) => load.tick), lag: most((load) => load.lag), rss: most((load) => load.rss) };
    const mayNotPublish = attack.stopsPublishing === true;
    const problems = [
      ...(wasRunning ? [] : ["it has ended"]),
      ...(end === undefined ? [] : [end]),
      ...(metrics.tick <= limits.tick ? [] : [`an iteration of the event loop took ${metrics.tick.toFixed(0)} ms`]),
      ...(p99 - ownDelay <= limits.p99 ? [] : [`p99 of honest echoes is ${p99.toFixed(0)} ms`]),
      ...(metrics.rss <= limits.rss ? [] : [`${(metrics.rss / 1e6).toFixed(0)} MB are resident`]),
      ...(log <= limits.log ? [] : [`${(log / 1e3).toFixed(0)} KB of log lines a second`]),
      ...(lost === 0 ? [] : [`honest subscribers miss ${lost} publications`]),
      ...(published > 0 || mayNotPublish ? [] : ["honest clients could not publish"]),
      ...(surroundings?.problems() ?? []),
    ];
    const attackers = cpu(loads.filter((load) => !ofServer.includes(load)));
    const cores = { server: cpu(ofServer), attackers };
    return { name: attack.name, ...metrics, p99, ownDelay, cores, log, published, lost, problems };
  } finally {
    over.abort();
    for (const child of children) child.kill("SIGKILL");
    await server.stop();
  }
}

/** Ends the server as an impatient operator does. Returns what is wrong with its end. */
async function drained(server: Watched): Promise<string | undefined> {
  const { child } = server;
  if (!server.isRunning) return undefined;
  const exited = once(child, "exit") as Promise<[code: number | null, signal: string | null]>;
  child.kill("SIGTERM");
  await Promise.race([exited, sleep(SECOND_SIGNAL)]);
  if (server.isRunning) child.kill("SIGTERM");
  const end = await Promise.race([exited, sleep(LATEST_EXIT)]);
  if (end === undefined) return `it does not end within ${LATEST_EXIT} ms of SIGTERM`;
  const [code, signal] = end;
  return code === 0 ? undefined : `it ends with ${code ?? signal}`;
}

function run(script: string, args: readonly string[] = [], watching?: Watched["watching"]): ChildProcess {
  return fork(fileURLToPath(new URL(script, import.meta.url)), args, {
    execArgv: [...process.execArgv, ...(watching?.execArgv ?? [])],
    env: { ...process.env, ...watching?.env },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
}

/** Sends an order, and waits for the answer. */
async function ask(child: ChildProcess, order: HonestOrder): Promise<unknown> {
  const answer = once(child, "message");
  const ended = once(child, "exit").then(() => {
    throw new Error("the honest clients have ended");
  });
  ended.catch(() => undefined);
  child.send(order);
  const [value] = (await Promise.race([answer, ended])) as [unknown];
  return value;
}

function sleep(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}
