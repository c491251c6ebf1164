// npm run bench:micro -- [--only mask,utf8] [--rounds 7] [--ms 5] [--node PATH]
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BUILT } from "../load/build.ts";
import { compileScripts } from "../runner/compile.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "7" },
    ms: { type: "string", default: "5" },
    node: { type: "string", default: process.execPath },
  },
});
const { only, rounds, ms, node } = values;
for (const [name, value] of Object.entries({ rounds, ms })) {
  if (!(Number(value) > 0)) {
    console.error(`--${name}: expected a number above 0, got ${value}`);
    process.exit(1);
  }
}
await compileScripts([fileURLToPath(new URL("run.ts", import.meta.url))], join(BUILT, "micro"));
const { status } = spawnSync(node, [join(BUILT, "micro", "run.mjs"), only, rounds, ms], { stdio: "inherit" });
process.exitCode = status ?? 1;
