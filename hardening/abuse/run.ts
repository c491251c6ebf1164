import { fork } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Watched } from "../support/watched.ts";
import type { Attack } from "./attacks.ts";
import { Honest } from "./honest.ts";

const WARM_UP = 1_000; // ms
const CATCH_UP = 20_000; // ms that honest clients have for what they missed at the end

/** What holds while a server is attacked. */
export interface Limits {
  /** The longest iteration of an event loop, ms. */
  readonly turn: number;
  /** Echo of honest clients, ms. */
  readonly p99: number;
  /** Resident memory of each process, bytes. */
  readonly rss: number;
}

export const LIMITS: Limits = { turn: 100, p99: 100, rss: 400e6 };

export interface Result {
  readonly name: string;
  readonly turn: number;
  readonly p99: number;
  readonly rss: number;
  readonly published: number;
  readonly lost: number;
  /** What does not hold. */
  readonly problems: readonly string[];
}

/** Attacks a `tungstate serve` for so many seconds, beside honest clients. */
export async function abuse(attack: Attack, seconds: number, limits: Limits = LIMITS): Promise<Result> {
  const server = await Watched.start(...(attack.args ?? []));
  try {
    const honest = await Honest.start(server.url);
    await sleep(WARM_UP);
    // from here on nobody takes what it writes
    if (attack.unread === true) server.child.stderr?.pause();
    const attacker = fork(fileURLToPath(new URL("./attacker.ts", import.meta.url)), [attack.name], {
      execArgv: [...process.execArgv, ...server.watching.execArgv],
      env: { ...process.env, ...server.watching.env },
      stdio: "ignore",
    });
    attacker.send({ url: server.url, port: server.port });
    honest.reset();
    const from = Date.now();
    if (attack.stops === true) stopOne(server);
    await sleep(seconds * 1_000);
    const isRunning = server.isRunning;
    const { p99, published, lost } = await honest.stop(CATCH_UP);
    attacker.kill("SIGKILL");
    const loads = (await server.settled(from)).filter(({ pid }) => pid !== attacker.pid);
    const turn = Math.max(...loads.map((load) => load.turn));
    const rss = Math.max(...loads.map((load) => load.rss));
    const problems = [
      ...(isRunning && server.isRunning ? [] : ["it has ended"]),
      ...(turn <= limits.turn ? [] : [`an iteration of the event loop took ${turn.toFixed(0)} ms`]),
      ...(p99 <= limits.p99 ? [] : [`p99 of honest echoes is ${p99.toFixed(0)} ms`]),
      ...(rss <= limits.rss ? [] : [`${(rss / 1e6).toFixed(0)} MB are resident`]),
      ...(lost === 0 ? [] : [`honest subscribers miss ${lost} publications`]),
      ...(published > 0 ? [] : ["honest clients could not publish"]),
    ];
    return { name: attack.name, turn, p99, rss, published, lost, problems };
  } finally {
    await server.stop();
  }
}

function stopOne(server: Watched): void {
  const worker = server.load(0).find(({ pid }) => pid !== server.child.pid);
  if (worker === undefined) throw new Error("there is no worker");
  process.kill(worker.pid, "SIGSTOP");
  server.child.once("exit", () => {
    try {
      process.kill(worker.pid, "SIGKILL");
    } catch {
      // it has been ended
    }
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
