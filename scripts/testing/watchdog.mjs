// Watches the process of test files. Shortly before the runner ends a file that takes too long, it
// says which tests of the file are still running and what keeps the process alive, which the runner
// does not know. It ends the processes that files leave behind: one that has the runner's output
// open would keep the runner waiting for ever.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { afterEach, beforeEach } from "node:test";
import process from "node:process";

/**
 * For each file: it ends one that hangs, and leaves room for a machine that does other work as
 * well.
 */
export const TIMEOUT_MS = 600_000;

/** How long a process may live on when all of its tests have ended. */
const END_MS = 60_000;

const REPORT_BEFORE_MS = 2_000;

/** Its input ends with the process that started it, and so may it. */
function readsFromPipe(pid) {
  return /^(?:pipe|socket):/.test(readlinkSync(`/proc/${pid}/fd/0`));
}

/** What `read` returns; undefined where a process has ended meanwhile. */
function unlessEnded(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * The processes that `pid` started, and those that they started: from /proc, so none but on Linux.
 */
function startedBy(pid) {
  const threads = unlessEnded(() => readdirSync(`/proc/${pid}/task`)) ?? [];
  const children = threads.flatMap((thread) => {
    const list = unlessEnded(() => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")) ?? "";
    return list.split(" ").filter((child) => child !== "");
  });
  return children.flatMap((child) => {
    const command = unlessEnded(() => readFileSync(`/proc/${child}/cmdline`, "utf8").split("\0").join(" ").trim());
    const endsWithUs = unlessEnded(() => readsFromPipe(child)) ?? true;
    // one that has ended, but has not been waited for, has no command line
    const itself = command === undefined || command === "" ? [] : [{ pid: Number(child), command, endsWithUs }];
    return [...itself, ...startedBy(child)];
  });
}

/** Ends all processes that this one started. Returns what they were. */
function endChildren() {
  return startedBy("self").map(({ pid, command, endsWithUs }) => {
    unlessEnded(() => process.kill(pid, "SIGKILL"));
    return { endsWithUs, text: `process ${pid} (${command})` };
  });
}

/** The files of this process that were started. */
const files = [];
const running = new Map();
let timer;

/** Ends all processes that this one started, and says what is running and open. */
function report(state) {
  const tests = [...running.values()].map((name) => JSON.stringify(name)).join(", ") || "no test";
  const open = process.getActiveResourcesInfo().filter((kind) => kind !== "PipeWrap");
  const all = [...open, ...endChildren().map(({ text }) => text)].join(", ") || "nothing";
  console.error(`${state}: running: ${tests}; open: ${all}`);
}

// A timer and no signal handler: with one, a process in an endless loop could not be ended by the
// runner's SIGTERM.
export function fileStarts(name) {
  files.push(name);
  timer = setTimeout(() => report(`${name} is about to be ended`), TIMEOUT_MS - REPORT_BEFORE_MS).unref();
}

export function fileEnds() {
  clearTimeout(timer);
}

/** Ends the process, which fails, unless it soon ends by itself. */
export function allEnded() {
  setTimeout(() => {
    report(`the tests of ${files.join(", ")} have ended, but their process has not`);
    process.exit(1);
  }, END_MS).unref();
}

beforeEach((context) => running.set(context, context.name));
afterEach((context) => running.delete(context));
process.once("exit", () => {
  const left = endChildren().filter(({ endsWithUs }) => !endsWithUs);
  if (left.length === 0) return;
  console.error(`one of ${files.join(", ")} has left behind: ${left.map(({ text }) => text).join(", ")}`);
  process.exitCode ||= 1;
});
