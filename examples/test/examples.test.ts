import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));

async function run(name: string, ...args: string[]): Promise<string[]> {
  const command = [...process.execArgv, `examples/${name}.ts`, ...args];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, command, { cwd: root, timeout: 540_000 });
  assert.equal(stderr, "");
  return stdout.trimEnd().split("\n");
}

const expected: Readonly<Record<string, readonly string[]>> = {
  echo: ["text hello", "binary Uint8Array(3) [ 1, 2, 3 ]"],
  broadcast: ["ann", "bob", "cy"].map((name) => `${name} received: good morning, everyone`),
  generator: ["I repeat everything, until you say bye", "ONE", "TWO", "bye", "closed with 1000"],
  "custom-stream": ["over a Unix socket", "over a channel", "the channel carried it"],
  "handshake-by-hand": [
    "request for /chat, complete after 153 interruptions",
    "half a response: more",
    "all of it: open",
    "server got: hello, server",
    "client got: hello, client",
    "server: 1000 that was all true",
  ],
};

for (const [name, lines] of Object.entries(expected)) {
  test(`examples/${name}.ts prints what its page says`, async () => {
    assert.deepEqual((await run(name)).toSorted(), lines.toSorted());
  });
}

test("examples/never-stalls.ts: 100,000 packets in order, read in three ways, with no more than two buffers waiting", async () => {
  const lines = await run("never-stalls");
  assert.equal(lines.length, 3);
  for (const [at, way] of ["oneLoop", "twoTasks", "stopsForAWhile"].entries()) {
    const parts = /^(\w+): 100000 packets in order, 100000 notes; at most (\d+) KiB waited, memory \+(\d+) MiB$/.exec(
      lines[at] ?? "",
    );
    assert.ok(parts !== null, lines[at]);
    assert.equal(parts[1], way);
    assert.ok(Number(parts[2]) <= 256, `${parts[2]} KiB waited`);
    assert.ok(Number(parts[3]) < 150, `memory grew by ${parts[3]} MiB`);
  }
});
