import { readFileSync } from "node:fs";
import type { RedisServer } from "../redis/support/redis-server.ts";

/** Reports a result. */
export type Say = (what: string, figure: string) => void;

/** Returns the CPU time of a process in ms, user and system. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10; // Linux counts in 1/100 s
}

/** Returns the resident memory of a process in bytes. */
export function memoryOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

export function pidOf(server: RedisServer): number {
  const { pid } = server;
  if (pid === undefined) throw new Error("the server does not run");
  return pid;
}

export function rate(count: number, ms: number): string {
  return `${Math.round((count / ms) * 1000).toLocaleString("en")}/s`;
}

export function microseconds(ms: number, count: number): string {
  return `${((ms * 1000) / count).toFixed(1)} us`;
}

/** Calls `start` for 0 to `count` - 1, with that many concurrent calls. */
export async function pipelined(
  count: number,
  atOnce: number,
  start: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await start(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isSo()); tries++) {
    if (tries > 6_000) throw new Error("that took more than a minute");
    await sleep(10);
  }
}
