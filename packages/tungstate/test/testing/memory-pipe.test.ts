import assert from "node:assert/strict";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { turns } from "../support/server.ts";

/** Collects everything received. Not by iteration, which destroys the stream at its end. */
async function all(stream: Duplex): Promise<string> {
  let text = "";
  stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(stream, "end");
  return text;
}

describe("a memory pipe", () => {
  test("copies bytes in both directions", async () => {
    const [left, right] = memoryPipe();
    const bytes = Buffer.from("before");
    left.write(bytes);
    bytes.write("behind");
    right.end("answer");
    left.end("!");
    assert.deepEqual(await Promise.all([all(left), all(right)]), ["answer", "before!"]);
  });

  test("ends one direction, and continues in the other", async () => {
    const [left, right] = memoryPipe();
    left.end("question");
    assert.equal(await all(right), "question");
    assert.equal(right.writable, true);
    right.write("an ");
    await turns(2);
    right.end("answer");
    assert.equal(await all(left), "an answer");
    await turns(1);
    assert.deepEqual([left.destroyed, right.destroyed], [true, true]);
  });

  test("makes a writer wait for a slow reader, in bounded memory", async () => {
    const [left, right] = memoryPipe();
    let written = 0;
    const writing = (async () => {
      for (; written < 500; written++) {
        if (!left.write("x".repeat(10_000))) await once(left, "drain");
      }
      left.end();
    })();
    await turns(20);
    assert.ok(written < 20, `${written} written`);
    assert.equal((await all(right)).length, 5_000_000);
    await writing;
    right.end();
    left.resume();
  });

  test("destroying one end resets the other, whose writes fail with EPIPE", async () => {
    const [left, right] = memoryPipe();
    left.write(Buffer.alloc(100_000));
    const written = new Promise<Error | null | undefined>((resolve) => left.write("more", resolve));
    const failed = once(left, "error");
    await turns(2);
    right.destroy();
    assert.match(String(await written), /EPIPE/);
    assert.match(String((await failed)[0]), /EPIPE|ECONNRESET/);

    const [idle, other] = memoryPipe();
    const reset = once(idle, "error");
    other.destroy();
    assert.equal(((await reset)[0] as NodeJS.ErrnoException).code, "ECONNRESET");
  });

  test("an end that has sent and read everything closes without a reset", async () => {
    const [left, right] = memoryPipe();
    left.end("bye");
    right.end("bye");
    await Promise.all([all(left), all(right)]);
    left.destroy();
    await turns(2);
    assert.equal(right.errored, null);
  });
});
