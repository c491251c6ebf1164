// Runs tests without the private APIs of Node.js: npm run test:portable --
// packages/tungstate/test/tls
import { spawnSync } from "node:child_process";
import process from "node:process";
import { commandLine } from "./command-line.mjs";
import { root } from "./workspaces.mjs";

const { operands: parts } = commandLine({
  command: "npm run test:portable --",
  summary: "Runs tests without the private APIs of Node.js.",
  operands: { name: "part", help: "only files whose path contains one of these parts (default: packages/)" },
});
const preload = `--import=${new URL("testing/portable.mjs", import.meta.url).href}`;
const run = spawnSync(process.execPath, ["scripts/test.mjs", ...(parts.length === 0 ? ["packages/"] : parts)], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    NODE_OPTIONS: [process.env.NODE_OPTIONS, preload].filter(Boolean).join(" "),
    // tests of private APIs are skipped
    TUNGSTATE_TEST_PORTABLE: "1",
  },
});
if (run.error !== undefined) throw run.error;
process.exit(run.status ?? 1);
