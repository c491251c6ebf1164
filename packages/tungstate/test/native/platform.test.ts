import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { availableMemory, platform } from "../../src/native/platform.ts";

const MiB = 1024 * 1024;

test("the runtime of this process is known, with its version", () => {
  const { bun, deno, node } = process.versions as Readonly<Record<string, string | undefined>>;
  const expected =
    bun !== undefined
      ? { name: "Bun", version: bun }
      : deno !== undefined
        ? { name: "Deno", version: deno }
        : { name: "Node.js", version: node };
  assert.deepEqual(platform, expected);
});

describe("the memory that a process may use", () => {
  const throws = (): number => {
    throw new Error("not permitted");
  };
  const table: readonly [name: string, limits: readonly (() => number | undefined)[], expected: number][] = [
    ["is the smallest limit", [() => 3 * MiB, () => 2 * MiB, () => 5 * MiB], 2 * MiB],
    ["ignores limits that are not there", [() => undefined, () => 0, () => 7 * MiB], 7 * MiB],
    ["ignores limits that cannot be read", [throws, () => 9 * MiB], 9 * MiB],
    ["is 128 MiB if no limit is known", [throws, () => 0, () => undefined], 128 * MiB],
  ];
  for (const [name, limits, expected] of table) {
    test(name, () => assert.equal(availableMemory(limits), expected));
  }
});

test(
  "clients and servers need no permission but that of the network",
  { skip: platform.name !== "Deno" && "permissions of Deno" },
  async () => {
    const script = fileURLToPath(new URL("../support/only-network.ts", import.meta.url));
    const args = ["run", "--no-prompt", "--no-check", "--allow-net", script];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    assert.deepEqual([stdout, stderr], ['["hello","hello"]\n', ""]);
  },
);
