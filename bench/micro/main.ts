// Entry point of npm run bench:micro; `--help` lists the options.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandLine, integer, number, text } from "../../scripts/command-line.mjs";
import { BUILT } from "../load/build.ts";
import { compileScripts } from "../runner/compile.ts";

const { only, rounds, ms, node } = commandLine({
  command: "npm run bench:micro --",
  summary: "Measures masking, UTF-8 validation, views, text, frames and channels separately, in nanoseconds.",
  options: {
    only: text({ argument: "names", help: "parts of names of measurements (default: all)", byDefault: "" }),
    rounds: integer({ least: 1, help: "rounds", byDefault: 7 }),
    ms: number({ least: 0.1, help: "milliseconds of each round", byDefault: 5 }),
    node: text({ argument: "path", help: "Node.js binary to measure", byDefault: process.execPath }),
  },
});
await compileScripts([fileURLToPath(new URL("run.ts", import.meta.url))], join(BUILT, "micro"));
const { status } = spawnSync(node, [join(BUILT, "micro", "run.mjs"), only, String(rounds), String(ms)], {
  stdio: "inherit",
});
process.exitCode = status ?? 1;
