import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import process from "node:process";

/** Command prefixes that pin servers and load generator. Empty if pinning is not possible. */
export interface Pinning {
  readonly server: readonly string[];
  readonly load: readonly string[];
  readonly text: string;
}

export function pinning(): Pinning {
  const cores = allowedCores();
  const [first, ...others] = cores;
  if (first === undefined || others.length === 0)
    return { server: [], load: [], text: "one core for both, not pinned" };
  if (!succeeds("taskset", ["--version"]))
    return { server: [], load: [], text: "not pinned: taskset is not available" };
  const siblings = listOf(read(`/sys/devices/system/cpu/cpu${first}/topology/thread_siblings_list`));
  // The sibling thread of the same core would share its caches and units.
  const other = others.find((core) => !siblings.includes(core)) ?? others[0] ?? first;
  const text = `server pinned to core ${first}, load to core ${other}`;
  return { server: ["taskset", "-c", String(first)], load: ["taskset", "-c", String(other)], text };
}

function allowedCores(): readonly number[] {
  const [, list = ""] = /^Cpus_allowed_list:\s*(\S+)/m.exec(read("/proc/self/status")) ?? [];
  return listOf(list);
}

/** `0-2,5` -> 0, 1, 2, 5 */
function listOf(text: string): readonly number[] {
  return text
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [from = 0, to = from] = part.split("-").map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });
}

/** Describes the machine in one line. */
export function machineText(): string {
  const model = cpus()[0]?.model.trim() ?? "";
  const gib = Math.round(totalmem() / 2 ** 30);
  const name = model === "" || /^unknown$/i.test(model) ? process.arch : model;
  return `${availableParallelism()} cores (${name}), ${gib} GiB, ${process.platform} ${release()}, Node ${process.version}`;
}

/** Returns the resident memory of a process in KiB. */
export function residentKb(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`)) ?? [];
  if (kb === undefined) throw new Error(`no VmRSS for process ${pid}`);
  return Number(kb);
}

const EXTRA_FILES = 200; // open files of a process besides connections
const RAISED_FILES = ["prlimit", "--nofile=65536:65536"];

/** Returns the maximum number of connections of a process, and a command prefix that permits it. */
export function connectionLimit(): { readonly connections: number; readonly prefix: readonly string[] } {
  const [, soft = "0", hard = "0"] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(read("/proc/self/limits")) ?? [];
  const [command = "", ...args] = RAISED_FILES;
  if (succeeds(command, [...args, "true"])) return { connections: 65_536 - EXTRA_FILES, prefix: RAISED_FILES };
  // Node and the load generator raise their soft limit to the hard one.
  return { connections: (Number(hard) || Number(soft)) - EXTRA_FILES, prefix: [] };
}

function succeeds(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, [...args], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
