import assert from "node:assert/strict";
import { test } from "node:test";
import { Program } from "../support/program.ts";

test("interfaces prints a table of interfaces and addresses", async () => {
  await using program = new Program("interfaces");
  assert.deepEqual(await program.run(), { code: 0, signal: null });
  assert.match(program.stdout, /^NAME +ADDRESS +KIND\n/);
  assert.match(program.stdout, /^lo +127\.0\.0\.1\/8 +this machine only$/m);
  assert.equal(program.stderr, "");
});

test("interfaces --json prints all properties", async () => {
  await using program = new Program("interfaces", "--json");
  assert.equal((await program.run()).code, 0);
  const all = JSON.parse(program.stdout) as { name: string; internal: boolean }[];
  assert.ok(all.some(({ name, internal }) => name === "lo" && internal));
});

test("--help and --version print to stdout; an unknown command fails", async () => {
  await using help = new Program("--help");
  await using command = new Program("help", "connect");
  await using version = new Program("--version");
  await using nothing = new Program("nonsense");
  assert.equal((await help.run()).code, 0);
  for (const name of ["serve", "connect", "interfaces"]) assert.match(help.stdout, new RegExp(`^  ${name} `, "m"));
  assert.equal((await command.run()).code, 0);
  for (const flag of ["--interface", "--bind-device", "--local-address", "--proxy", "--ca", "--insecure"]) {
    assert.match(command.stdout, new RegExp(`^  ${flag}\\b`, "m"));
  }
  assert.equal((await version.run()).code, 0);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal((await nothing.run()).code, 1);
  assert.match(nothing.stderr, /unknown command 'nonsense'/);
});
