// cluster.mjs N SCRIPT: runs a server of this folder as N workers with node:cluster. Prints
// "workers PID PID ..." before the line of the workers.
import cluster, { type Worker } from "node:cluster";
import process from "node:process";
import { createInterface } from "node:readline";

const [count, exec] = process.argv.slice(2);
if (!(Number(count) >= 1) || exec === undefined) throw new Error("expected a number of workers and a script");

cluster.setupPrimary({ exec, args: [], stdio: ["ignore", "pipe", "inherit", "ipc"] });
// the ratio to fewer workers would be wrong
cluster.on("exit", () => process.exit(1));
const workers = Array.from({ length: Number(count) }, () => cluster.fork());
const [line] = await Promise.all(workers.map(firstLine));
process.stdout.write(`workers ${workers.map((worker) => worker.process.pid).join(" ")}\n${line}\n`);

function firstLine({ process: { stdout } }: Worker): Promise<string> {
  return new Promise((resolve) => {
    if (stdout !== null) createInterface({ input: stdout }).once("line", resolve);
  });
}
