import assert from "node:assert/strict";
import { test } from "node:test";
import { LineWriter, type Sink } from "../../src/logging/line-writer.ts";

/** A sink that accepts nothing until told to. */
class SlowSink implements Sink {
  readonly writes: string[] = [];
  atOnce = "";
  private done: (() => void) | undefined;

  write(bytes: string, done: (error?: Error | null) => void): void {
    assert.equal(this.done, undefined, "one write at a time");
    this.writes.push(bytes);
    this.done = done;
  }

  writeNow(bytes: string): void {
    this.atOnce += bytes;
  }

  /** Completes the write in progress. */
  take(): boolean {
    const { done } = this;
    this.done = undefined;
    done?.();
    return done !== undefined;
  }

  takeAll(): string {
    while (this.take()) continue;
    return this.writes.join("");
  }
}

const options = { maxBytes: 100, dropped: (count: number) => `dropped ${count}\n` };
const line = (number: number): string => `line ${String(number).padStart(4, "0")}\n`; // 10 bytes

test("LineWriter writes lines in order, with one write at a time and many lines in each", () => {
  const sink = new SlowSink();
  const writer = new LineWriter(sink, options);
  for (let number = 0; number < 5; number++) writer.write(line(number));
  assert.deepEqual(sink.writes, [line(0)]);
  sink.take();
  assert.deepEqual(sink.writes.slice(1), [[1, 2, 3, 4].map(line).join("")]);
  sink.takeAll();
  writer.write(line(5));
  assert.equal(sink.takeAll(), [0, 1, 2, 3, 4, 5].map(line).join(""));
});

test("LineWriter drops and counts lines beyond the limit, and reports the number when there is room", () => {
  const sink = new SlowSink();
  const writer = new LineWriter(sink, options);
  for (let number = 0; number < 25; number++) writer.write(line(number));
  assert.equal(writer.droppedLines, 15);
  const kept = Array.from({ length: 10 }, (_, number) => line(number)).join("");
  assert.equal(sink.takeAll(), `${kept}dropped 15\n`);
  writer.write(line(25));
  assert.equal(sink.takeAll(), `${kept}dropped 15\n${line(25)}`);
  assert.equal(writer.droppedLines, 15);
});

test("LineWriter counts bytes, not characters", () => {
  const sink = new SlowSink();
  const writer = new LineWriter(sink, options);
  writer.write(`${"ü".repeat(49)}\n`); // 99
  writer.write("\n"); // 100
  writer.write("\n");
  assert.equal(writer.droppedLines, 1);
});

test("LineWriter writes whole lines: at most 4,096 bytes, or a single longer line", () => {
  const sink = new SlowSink();
  const writer = new LineWriter(sink, { ...options, maxBytes: 1_000_000 });
  const long = `${"x".repeat(9_000)}\n`;
  for (let number = 0; number < 1_000; number++) writer.write(line(number));
  writer.write(long);
  writer.write(line(0));
  sink.takeAll();
  for (const bytes of sink.writes) {
    assert.ok(bytes.endsWith("\n"));
    assert.ok(bytes.length <= 4096 || bytes === long, String(bytes.length));
  }
});

test("flush resolves when everything is written, or at its timeout", async () => {
  const sink = new SlowSink();
  const writer = new LineWriter(sink, options);
  await writer.flush(1_000_000);
  writer.write(line(0));
  writer.write(line(1));
  const flushed = writer.flush(1_000_000);
  sink.takeAll();
  await flushed;
  writer.write(line(2));
  await writer.flush(1);
  assert.equal(sink.writes.length, 3);
});

test("flushNow writes queued lines and the number of dropped ones", () => {
  const sink = new SlowSink();
  const writer = new LineWriter(sink, options);
  for (let number = 0; number < 11; number++) writer.write(line(number));
  writer.flushNow();
  const rest = Array.from({ length: 9 }, (_, number) => line(number + 1)).join("");
  assert.equal(sink.atOnce, `${rest}dropped 1\n`);
});
