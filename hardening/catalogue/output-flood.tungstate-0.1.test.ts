// Tungstate 0.1: 61 KB from a server that inflate to 60 MiB of U+0001 took tungstate connect 3.5 GB
// and 19 s of CPU time: it built one string of all escapes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, test, type TestContext } from "node:test";
import { serve } from "./support/ends.ts";
import { BIN } from "./support/program.ts";

const SIZE = 60 * 1024 * 1024;
const MAX_MEMORY = 400 * 1024; // KiB; Node itself takes 60,000, the message 61,440
const SHOWN = "\\x01";

/** Prints the resources used by the process as its last line on stderr. */
const REPORT_USE = `data:text/javascript,${encodeURIComponent(
  'import { writeSync } from "node:fs"; process.on("exit", () => writeSync(2, `used ${process.resourceUsage().maxRSS}\\n`));',
)}`;

interface Run {
  readonly status: number | null;
  readonly size: number;
  /** The end of stdout, in bytes. */
  readonly end: string;
  readonly stderr: string;
  /** Maximum resident memory in KiB. */
  readonly memory: number;
}

/** Runs `tungstate connect` against a server that sends compressed messages. */
async function show(
  t: TestContext,
  messages: readonly (string | Uint8Array)[],
  ...flags: readonly string[]
): Promise<Run> {
  const served = await serve(t, { compression: true });
  const args = ["--max-old-space-size=128", `--import=${REPORT_USE}`, BIN, "connect", "--compress", ...flags];
  const child = spawn(process.execPath, [...args, `ws://127.0.0.1:${served.port}/`], { stdio: "pipe" });
  t.after(() => child.kill("SIGKILL"));
  let size = 0;
  let end = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    size += text.length;
    end = (end + text).slice(-100);
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const connection = await served.connection();
  for (const message of messages) await connection.send(message);
  await connection.close(1000);
  const status = await ended;
  return { status, size, end, stderr, memory: Number(/used (\d+)/.exec(stderr)?.[1]) };
}

describe("cli: tungstate connect prints a small message that inflates to a large one in bounded memory", () => {
  const text = "\u0001".repeat(SIZE);

  test("control characters, all of them", async (t) => {
    const { status, size, memory, end } = await show(t, [text], "--max-line", String(1024 ** 3));
    assert.deepEqual([status, size], [0, SIZE * SHOWN.length + 1]);
    assert.ok(end.endsWith(`${SHOWN}\n`));
    assert.ok(memory < MAX_MEMORY, `${memory} KiB`);
  });

  test("control characters, truncated by default and reported on both streams", async (t) => {
    const { status, end, stderr, memory } = await show(t, [text, text, "next"]);
    assert.equal(status, 0);
    assert.match(end, /\\x01 \[truncated: \d+ more bytes\]\nnext\n$/);
    assert.equal(
      stderr.match(/message [12]: printed \d+ of 62914560 bytes: --max-line is 16777216 bytes\n/g)?.length,
      2,
    );
    assert.ok(memory < MAX_MEMORY, `${memory} KiB`);
  });

  test("binary messages", async (t) => {
    const { status, size, memory } = await show(t, [new Uint8Array(SIZE)], "--max-line", String(1024 ** 3));
    assert.deepEqual([status, size], [0, "base64:".length + (SIZE / 3) * 4 + 1]);
    assert.ok(memory < MAX_MEMORY, `${memory} KiB`);
  });
});
