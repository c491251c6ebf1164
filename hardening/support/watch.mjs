// Loaded into a process with `--import`. Writes the state of its event loop and memory to a file in
// WATCH_FOLDER, a line every 100 ms.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import process from "node:process";

const LOOK = 5; // ms
const REPORT = 100; // ms

const folder = process.env.WATCH_FOLDER;
if (folder === undefined) throw new Error("WATCH_FOLDER is not set");
const file = join(folder, `${process.pid}.watch`);

const cpuNow = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

let at = performance.now();
let cpu = cpuNow();
let tick = 0;
let lag = 0;

setInterval(() => {
  const [now, used] = [performance.now(), cpuNow()];
  const late = Math.max(0, now - at - LOOK);
  // other processes also delay timers: the loop itself took at most the CPU time of the process
  tick = Math.max(tick, Math.min(late, used - cpu));
  lag = Math.max(lag, late);
  at = now;
  cpu = used;
}, LOOK).unref();

setInterval(() => {
  const { rss, heapUsed } = process.memoryUsage();
  appendFileSync(file, `${JSON.stringify({ at: Date.now(), tick, lag, cpu, parent: process.ppid, rss, heapUsed })}\n`);
  tick = lag = 0;
}, REPORT).unref();
