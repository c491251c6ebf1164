// Runs the tests that need nothing but Node.js, on any system: npm run test:anywhere. The others
// need Linux (network namespaces, /proc, the loopback addresses 127.0.0.2 and up) or programs such
// as openssl, Chromium and Redis: `npm test` runs all of them.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { commandLine } from "./command-line.mjs";
import { root } from "./workspaces.mjs";

commandLine({
  command: "npm run test:anywhere --",
  summary: "Runs the tests that need nothing but Node.js, on any system.",
});

const PARTS = [
  "packages/protocol/",
  "packages/create-tungstate/",
  ...[
    "broadcast/",
    "deflate/codec",
    "deflate/settings",
    "options/",
    "schedule/deadlines",
    "schedule/emitter",
    "schedule/flusher",
    "testing/memory-pipe",
    "testing/parse-conditions",
    "testing/virtual-clock",
  ].map((part) => `packages/tungstate/test/${part}`),
  ...[
    "broker/",
    "channels/",
    "json/",
    "memory/",
    "options/",
    "output/",
    "protocol/",
    "schedule/",
    "sessions/",
    "settings/",
    "tokens/",
  ].map((part) => `packages/hub/test/${part}`),
  "scripts/github/",
  "scripts/release/",
];

const { status, error } = spawnSync(process.execPath, ["scripts/test.mjs", ...PARTS], { cwd: root, stdio: "inherit" });
if (error !== undefined) throw error;
process.exit(status ?? 1);
