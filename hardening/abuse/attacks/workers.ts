import process from "node:process";
import type { Watched } from "../../support/watched.ts";
import type { Attack } from "./attack.ts";
import { forever, sleep, ws } from "./peers.ts";

const KILL_EVERY = 4_000; // ms

/** The workers that are alive, by what they told last. */
function workersOf(server: Watched): readonly number[] {
  const pids = server.load(Date.now() - 1_000).map(({ pid }) => pid);
  return pids.filter((pid) => pid !== server.child.pid);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended
  }
}

/** Stops a worker. It would outlive its primary. */
function stop(server: Watched): number {
  const [worker] = workersOf(server);
  if (worker === undefined) throw new Error("there is no worker");
  signal(worker, "SIGSTOP");
  server.child.once("exit", () => signal(worker, "SIGKILL"));
  return worker;
}

/** Attacks on the processes of `--workers 2`. */
export const WORKER_ATTACKS: readonly Attack[] = [
  {
    name: "hung worker",
    what: "SIGSTOP of one of two workers, and messages of 100 KB to /ws",
    args: ["--workers", "2"],
    disturb: async (server) => void stop(server),
    run: (target) =>
      forever(2, async () => {
        const socket = await ws(target, "/ws");
        socket.on("message", () => undefined);
        for (;;) {
          await socket.send("x".repeat(100_000));
          await sleep(20);
        }
      }),
  },
  {
    name: "short hangs",
    what: "one of two workers stands still for 1.5 s, again and again, while connections come",
    args: ["--workers", "2"],
    disturb: async (server, over) => {
      while (!over.aborted) {
        const worker = stop(server);
        await sleep(1_500);
        signal(worker, "SIGCONT");
        await sleep(1_500);
      }
    },
    run: (target) =>
      forever(5, async () => {
        const socket = await ws(target, "/echo");
        await socket.send("x");
        await sleep(50);
        socket.terminate();
      }),
  },
  {
    name: "killed workers",
    what: "SIGKILL of a worker every 4 s",
    args: ["--workers", "2"],
    disturb: async (server, over) => {
      while (!over.aborted) {
        const [worker] = workersOf(server);
        if (worker !== undefined) signal(worker, "SIGKILL");
        await sleep(KILL_EVERY);
      }
    },
    run: (target) =>
      forever(5, async () => {
        const socket = await ws(target, "/ws");
        socket.on("message", () => undefined);
        for (;;) {
          await socket.send("x".repeat(1_000));
          await sleep(20);
        }
      }),
  },
];
