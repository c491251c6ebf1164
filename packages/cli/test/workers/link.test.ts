// The link between a primary and a worker: queues and waiting times are bounded.
import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { serialize } from "node:v8";
import { describe, test } from "node:test";
import { memoryPipe, VirtualClock } from "tungstate/testing";
import { Link, LinkError, type LinkOptions } from "../../src/workers/link.ts";
import type { Losses } from "../../src/workers/send-queue.ts";

const KIB = 1024;
const LIMITS = { queuedBytes: 64 * KIB, undroppable: 256 * KIB };

/** Functions of the far end. */
interface Far {
  echo(value: unknown): Promise<unknown>;
  never(): Promise<void>;
  failing(): void;
  count(text: string): void;
  other(text: string): void;
}

interface Setup {
  readonly near: Link<Far>;
  readonly nearStream: Duplex;
  readonly farStream: Duplex;
  readonly clock: VirtualClock;
  /** Counts received `count` notifications. */
  readonly counted: readonly string[];
  readonly losses: readonly Losses[];
  readonly overflows: () => number;
  /** Resumes reading at the far end. */
  readonly thaw: () => void;
}

/** `frozen`: the far end accepts nothing until told to. */
function setUp(options: LinkOptions & { readonly frozen?: boolean } = {}): Setup {
  const [nearStream, farStream] = memoryPipe();
  const clock = new VirtualClock();
  const time: LinkOptions = {
    now: () => clock.now(),
    after: (delay, callback) => clock.after(delay, callback),
  };
  const counted: string[] = [];
  const losses: Losses[] = [];
  let overflows = 0;
  const near = new Link<Far>(
    nearStream,
    {},
    {
      ...time,
      limits: LIMITS,
      droppable: new Set(["count"]),
      onLoss: (lost) => losses.push(lost),
      onOverflow: () => overflows++,
      ...options,
    },
  );
  const far = {
    echo: async (value: unknown) => value,
    never: () => new Promise<never>(() => undefined),
    failing: () => {
      throw Object.assign(new Error("no"), { code: "ENO", syscall: "listen", secret: "not sent" });
    },
    count: (text: string) => void counted.push(text),
    other: () => undefined,
  };
  const begin = (): void => void new Link<Record<never, never>>(farStream, far, time);
  if (options.frozen !== true) begin();
  return { near, nearStream, farStream, clock, counted, losses, overflows: () => overflows, thaw: begin };
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await tick();
}

describe("calls", () => {
  test("resolve with results of any kind and size, in any order", async () => {
    const { near } = setUp();
    const values = [undefined, null, 7n, { a: [1, "ü"], b: Uint8Array.of(1, 2) }, "x".repeat(1_000_000), new Date(5)];
    assert.deepEqual(await Promise.all(values.map((value) => near.call("echo", value))), values);
  });

  test("reject with the message of the remote error, without its stack", async () => {
    const { near } = setUp();
    await assert.rejects(near.call("failing"), (error) => {
      assert.ok(error instanceof Error);
      assert.deepEqual({ ...error }, { code: "ENO", syscall: "listen" });
      return error.message === "no";
    });
  });

  test("reject at their own deadline", async () => {
    const { near, clock } = setUp();
    const [ten, sixty] = [near.call("never"), near.callWithin(60_000, "never")];
    const rejected: string[] = [];
    ten.catch((error: Error) => rejected.push(`ten: ${error.name}: ${error.message}`));
    sixty.catch((error: Error) => rejected.push(`sixty: ${error.name}`));
    await clock.advance(9_000);
    assert.deepEqual(rejected, []);
    await clock.advance(2_000);
    await tick();
    assert.deepEqual(rejected, ["ten: LinkError: the other process did not reply in time: never"]);
    await clock.advance(50_000);
    await tick();
    assert.equal(rejected.at(-1), "sixty: LinkError");
    assert.equal(clock.pending, 0);
    assert.equal(await near.call("echo", "still works"), "still works");
  });

  test("reject when the other process has ended, and immediately after that", async () => {
    const { near, farStream } = setUp();
    const waiting = near.call("never");
    farStream.destroy();
    await assert.rejects(waiting, LinkError);
    await assert.rejects(near.call("echo", 1), /has ended/);
    near.note("count", "goes nowhere");
    await near.room();
    assert.equal(near.queuedBytes, 0);
  });

  test("reject immediately while too much is queued", async () => {
    const { near, thaw } = setUp({ frozen: true });
    const calls: Promise<unknown>[] = [];
    while (near.isTaking) {
      const call = near.call("echo", "x".repeat(KIB));
      call.catch(() => undefined);
      calls.push(call);
      await tick();
    }
    assert.ok(near.queuedBytes <= LIMITS.queuedBytes + 300 * KIB);
    await assert.rejects(near.call("echo", 1), /takes no more calls/);
    thaw();
    assert.equal((await Promise.all(calls)).length, calls.length);
    assert.equal(await near.call("echo", 2), 2);
  });
});

describe("droppable notifications", () => {
  const text = "x".repeat(KIB);

  test("arrive in order while the other end accepts them", async () => {
    const { near, counted, losses } = setUp();
    for (let number = 0; number < 1000; number++) {
      near.note("count", `${number}`);
      await near.room();
    }
    await until(() => counted.length === 1000);
    assert.deepEqual(
      counted,
      Array.from({ length: 1000 }, (_, number) => `${number}`),
    );
    assert.deepEqual(losses, []);
  });

  test("are dropped and counted beyond the limit, and the loss is reported ahead of later ones", async () => {
    let lost = 0;
    let reports = 0;
    const { near, counted, thaw } = setUp({
      frozen: true,
      onLoss(losses) {
        reports++;
        lost = losses.get("count") ?? 0;
        near.note("count", "lost");
      },
    });
    const sent = 2_000;
    for (let number = 0; number < sent; number++) {
      near.note("count", `${number} ${text}`);
      if (number % 10 === 9) await tick();
      assert.ok(near.queuedBytes <= LIMITS.queuedBytes + 300 * KIB, `${near.queuedBytes} bytes`);
    }
    assert.equal(reports, 0);
    thaw();
    await until(() => reports === 1);
    near.note("count", "behind");
    await until(() => counted.at(-1) === "behind");
    assert.equal(counted.at(-2), "lost");
    assert.ok(lost > sent / 2);
    assert.equal(counted.length - 2 + lost, sent);
  });

  test("do not affect the order of messages that must not be dropped", async () => {
    const { near, counted, thaw } = setUp({ frozen: true });
    const answers: Promise<unknown>[] = [];
    for (let number = 0; number < 500; number++) {
      near.note("count", text);
      if (number % 100 === 0) answers.push(near.call("echo", number).catch(() => undefined));
      await tick();
    }
    assert.ok(answers.length > 0);
    thaw();
    assert.equal((await Promise.all(answers))[0], 0);
    await until(() => near.queuedBytes === 0);
    assert.ok(counted.length < 500);
  });

  test("of one tick are not dropped if the other end accepts them", async () => {
    const { near, counted, losses } = setUp();
    // more than may be queued, but the queue was empty
    near.note("count", "x".repeat(2 * LIMITS.queuedBytes));
    await until(() => counted.length === 1);
    assert.deepEqual(losses, []);
  });
});

test("messages that must not be dropped are bounded, and the overflow is reported", async () => {
  const { near, overflows } = setUp({ frozen: true });
  for (let number = 0; overflows() === 0 && number < 10_000; number++) {
    near.note("other", "x".repeat(KIB));
    await tick();
  }
  assert.ok(overflows() > 0);
  assert.ok(near.queuedBytes <= LIMITS.undroppable + 300 * KIB, `${near.queuedBytes} bytes`);
});

describe("room", () => {
  test("waits while the other end is behind", async () => {
    const { near, thaw } = setUp({ frozen: true });
    // more than the pipe itself accepts
    near.note("other", "x".repeat(LIMITS.queuedBytes * 2));
    await tick();
    let hasRoom = false;
    const room = near.room().then(() => (hasRoom = true));
    await tick();
    assert.equal(hasRoom, false);
    thaw();
    await room;
  });

  test("does not wait for an end that accepts nothing for a second", async () => {
    const { near, clock } = setUp({ frozen: true });
    // more than the pipe itself accepts
    near.note("other", "x".repeat(LIMITS.queuedBytes * 2));
    await tick();
    let hasRoom = false;
    void near.room().then(() => (hasRoom = true));
    await clock.advance(900);
    await tick();
    assert.equal(hasRoom, false);
    await clock.advance(1_100);
    await tick();
    assert.equal(hasRoom, true);
    await near.room();
  });
});

test("a link with `pauses` stops reading while its replies are not accepted, then resumes", async () => {
  const [nearStream, farStream] = memoryPipe();
  let asked = 0;
  const large = (): string => {
    asked++;
    return "x".repeat(8 * KIB);
  };
  const primary = new Link<Record<never, never>>(nearStream, { large }, { limits: LIMITS, pauses: true });
  // a worker that does not read, and keeps calling
  const packet = (id: number): Buffer => {
    const payload = serialize([["call", id, "large", []]]);
    const header = Buffer.alloc(4);
    header.writeUInt32LE(payload.length);
    return Buffer.concat([header, payload]);
  };
  for (let id = 1; id <= 200; id++) {
    farStream.write(packet(id));
    await tick();
    assert.ok(primary.queuedBytes <= LIMITS.queuedBytes + 300 * KIB, `${primary.queuedBytes} bytes`);
  }
  const waiting = asked;
  assert.ok(waiting < 200, `${waiting} answers wait`);
  farStream.resume();
  await until(() => asked === 200 && primary.queuedBytes === 0);
});

test("messages are handled in slices of a few milliseconds", async () => {
  const [nearStream, farStream] = memoryPipe();
  const busy = (): void => {
    const until = performance.now() + 1;
    while (performance.now() < until) continue;
  };
  const near = new Link<{ busy(): void }>(nearStream, {});
  void new Link<Record<never, never>>(farStream, { busy });
  let ticks = 0;
  let finished = false;
  const count = (): void => {
    ticks++;
    if (!finished) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(Array.from({ length: 100 }, () => near.call("busy")));
  finished = true;
  assert.ok(ticks > 10, `${ticks} ticks`);
});

test("a packet may arrive in any chunks", async () => {
  const [nearStream, middle] = memoryPipe();
  const [other, farStream] = memoryPipe();
  middle.on("data", (chunk: Buffer) => {
    for (const byte of chunk) other.write(Uint8Array.of(byte));
  });
  other.on("data", (chunk: Buffer) => middle.write(chunk));
  const near = new Link<Far>(nearStream, {});
  void new Link<Record<never, never>>(farStream, { echo: async (value: unknown) => value });
  assert.deepEqual(await Promise.all([near.call("echo", "one"), near.call("echo", { two: 2 })]), ["one", { two: 2 }]);
});
