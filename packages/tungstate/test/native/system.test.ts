import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { loadSystem } from "../../src/native/system.ts";
import { isNode } from "../../src/native/platform.ts";
import { skipPortable } from "../support/portable.ts";

/** Echoes over TCP and prints the events. */
const ECHO = fileURLToPath(new URL("../support/echo.ts", import.meta.url));

interface Ran {
  readonly kind: string;
  readonly echoed: number;
  readonly codes: readonly number[];
  readonly warnings: string;
}

async function run(before: string): Promise<Ran> {
  const preload = `data:text/javascript,${encodeURIComponent(before)}`;
  const env = { ...process.env, NODE_OPTIONS: "", NODE_V8_COVERAGE: undefined };
  const args = ["--import", preload, ...process.execArgv, ECHO];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env, timeout: 540_000 });
  return { ...(JSON.parse(stdout) as Omit<Ran, "warnings">), warnings: stderr };
}

const FINE = { echoed: 20, codes: [1000, 1000] };

describe("the handles of sockets", { skip: !isNode && "other runtimes have none" }, () => {
  test("are used if Node has them", { skip: skipPortable }, async () => {
    assert.ok(loadSystem() !== undefined);
    const { warnings, ...ran } = await run("");
    assert.deepEqual(ran, { ...FINE, kind: "HandleTransport" });
    assert.equal(warnings, "");
  });

  const without: readonly [name: string, code: string][] = [
    ["process.binding throws", "process.binding = () => { throw new Error('not permitted') }"],
    ["a request is of another kind", "const b = process.binding; process.binding = (n) => ({ ...b(n), WriteWrap: 5 })"],
    [
      "the state is elsewhere",
      "const b = process.binding; process.binding = (n) => ({ ...b(n), streamBaseState: undefined })",
    ],
  ];
  for (const [name, code] of without) {
    test(`are not used if ${name}: sockets work through their public interface`, async () => {
      const { warnings, ...ran } = await run(code);
      assert.deepEqual(ran, { ...FINE, kind: "DuplexTransport" });
      assert.equal(warnings, "");
    });
  }

  test("are not used if a method is missing", async () => {
    const code = `
      const { TCP } = process.binding("tcp_wrap");
      TCP.prototype.useUserBuffer = undefined;
    `;
    const { warnings, ...ran } = await run(code);
    assert.deepEqual(ran, { ...FINE, kind: "DuplexTransport" });
    assert.equal(warnings, "");
  });
});
