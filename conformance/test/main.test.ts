import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

function run(...args: readonly string[]): {
  readonly status: number | null;
  readonly out: string;
  readonly error: string;
} {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, main, ...args], {
    encoding: "utf8",
  });
  return { status, out: stdout, error: stderr };
}

test("the command prints a table and the cases that are not OK, and compares with the golden files", () => {
  const { status, out, error } = run("--target", "ws", "--role", "server", "--cases", "1.1.1,6.4.1");
  assert.equal(status, 0, error);
  assert.match(out, /ws as server/);
  assert.match(out, /^1 framing +1 +1 +0 +0 +0 +0$/m);
  assert.match(out, /^6 UTF-8 +1 +0 +0 +1 +0 +0$/m);
  assert.match(out, /^6\.4\.1 NON-STRICT: expected checkpoint A, saw checkpoint A, checkpoint B$/m);
});

test("an invalid argument is rejected in one line", () => {
  for (const [args, said] of [
    [["--target", "other"], `--target must be one of tungstate, tungstate-http2, ws, got "other"`],
    [["--role", "peer"], `--role must be one of server, client, both, got "peer"`],
    [["--groups", "1-7,8"], "--groups: expected numbers and ranges such as 1-7,9,10, got 8"],
    [["--cases", "1.1.9"], "--cases: unknown case 1.1.9"],
    [["--groups", "1", "--cases", "1.1.1"], "--groups and --cases cannot be combined"],
    [["--messages", "0"], `--messages must be an integer of at least 1, got "0"`],
  ] as const) {
    const { status, error } = run(...args);
    assert.equal(status, 2);
    assert.equal(error.trim(), `npm run conformance --: ${said} (--help lists the options)`);
  }
});
