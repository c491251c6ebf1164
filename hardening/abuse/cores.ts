import { spawnSync } from "node:child_process";
import { availableParallelism, setPriority } from "node:os";

const SERVER_CORES = 2;
/** As low as it gets: attackers use what the server and the honest clients leave. */
export const LOWEST = 19;
/**
 * Priority of SCHED_RR. Autogroups make a nice value count among the processes of one session only.
 */
const REAL_TIME = "1";

/** Whether the machine has cores beside those of the server. */
const hasMore = availableParallelism() > SERVER_CORES;

/**
 * Lets a process of the server have two cores, before other programs where the system permits it
 * (Linux, root). What else runs on the machine would be measured as the server's delay.
 */
export function favour(pid: number): void {
  raise(pid);
  if (hasMore) pin(pid, `0-${SERVER_CORES - 1}`);
}

/** The same for the honest clients, on the other cores where there are some. */
export function favourHonest(pid: number): void {
  raise(pid);
  if (hasMore) pin(pid, `${SERVER_CORES}-${availableParallelism() - 1}`);
}

/**
 * Keeps an attacker off the server's cores where there are others, and behind everything else where
 * not.
 */
export function restrain(pid: number): void {
  setPriority(pid, LOWEST);
  if (hasMore) pin(pid, `${SERVER_CORES}-${availableParallelism() - 1}`);
}

function raise(pid: number): void {
  spawnSync("chrt", ["--all-tasks", "--rr", "--pid", REAL_TIME, String(pid)], { stdio: "ignore" });
}

/** All threads of a process. Systems without taskset place them themselves. */
function pin(pid: number, cores: string): void {
  spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", cores, String(pid)], { stdio: "ignore" });
}
