import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { availableMemory } from "../../src/native/platform.ts";
import { ledgerOf, MemoryBudget, sharedMemoryBudget } from "../../src/connection/memory-budget.ts";
import { type BudgetEntry, MemoryLedger } from "../../src/connection/memory-ledger.ts";
import { client } from "../../src/client/client.ts";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { take } from "../support/connected.ts";
import { frame, Raw, upgradeRequest } from "../support/raw.ts";
import { serve, turns } from "../support/server.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

class Held implements BudgetEntry {
  held = 0;
  before: BudgetEntry | undefined;
  after: BudgetEntry | undefined;
  released = 0;
  onRelease = (): void => undefined;
  private readonly ledger: MemoryLedger;
  constructor(budget: MemoryBudget | MemoryLedger) {
    this.ledger = budget instanceof MemoryBudget ? ledgerOf(budget) : budget;
  }
  release(): number {
    this.released++;
    this.onRelease();
    this.ledger.hold(this, 0);
    return 1;
  }
}

describe("a memory budget", () => {
  test("sums the bytes of its entries", () => {
    const budget = new MemoryBudget(1000);
    const [a, b, c] = [new Held(budget), new Held(budget), new Held(budget)];
    ledgerOf(budget).hold(a, 100);
    ledgerOf(budget).hold(b, 200);
    ledgerOf(budget).hold(c, 50);
    ledgerOf(budget).hold(b, 0);
    ledgerOf(budget).hold(a, 20);
    assert.deepEqual(budget.use, {
      limit: 1000,
      held: 70,
      peak: 350,
      entries: 2,
      underPressure: false,
      ended: 0,
      parts: {},
    });
    for (const each of [c, a]) ledgerOf(budget).hold(each, 0);
    assert.deepEqual(budget.use, {
      limit: 1000,
      held: 0,
      peak: 350,
      entries: 0,
      underPressure: false,
      ended: 0,
      parts: {},
    });
    assert.deepEqual([a.released, b.released, c.released], [0, 0, 0]);
  });

  test("is under pressure above three quarters, until five eighths", () => {
    const budget = new MemoryBudget(800);
    const entry = new Held(budget);
    for (const [bytes, short] of [
      [600, false],
      [601, true],
      [501, true],
      [500, false],
      [600, false],
    ] as const) {
      ledgerOf(budget).hold(entry, bytes);
      assert.equal(budget.underPressure, short, String(bytes));
    }
  });

  test("beyond the limit closes the largest entries until seven eighths are left; at the limit none", () => {
    const budget = new MemoryBudget(800);
    const entries = [100, 300, 150, 250].map((bytes) => {
      const entry = new Held(budget);
      ledgerOf(budget).hold(entry, bytes);
      return entry;
    });
    assert.equal(budget.use.held, 800);
    assert.deepEqual(
      entries.map((each) => each.released),
      [0, 0, 0, 0],
    );
    const last = new Held(budget);
    ledgerOf(budget).hold(last, 1);
    assert.deepEqual(
      [...entries, last].map((each) => each.released),
      [0, 1, 0, 0, 0],
    );
    assert.deepEqual([budget.use.held, budget.use.ended], [501, 1]);
  });

  test("may be changed in callbacks while it closes entries", () => {
    const budget = new MemoryBudget(100);
    const [large, other] = [new Held(budget), new Held(budget)];
    large.onRelease = () => ledgerOf(budget).hold(other, 500);
    ledgerOf(budget).hold(large, 101);
    assert.deepEqual([large.released, other.released], [1, 0]);
    ledgerOf(budget).hold(other, 501); // the next time it grows
    assert.deepEqual([budget.use.held, other.released], [0, 1]);
  });

  test("after a second under pressure, a new connection makes the largest entries release memory until five eighths are left", () => {
    let now = 5_000;
    const budget = new MemoryLedger(800, () => now);
    const entries = Array.from({ length: 4 }, () => new Held(budget));
    const [small, large, larger, largest] = entries;
    assert.ok(small !== undefined && large !== undefined && larger !== undefined && largest !== undefined);
    assert.equal(budget.admits(), true);
    for (const [entry, bytes] of [
      [small, 10],
      [large, 190],
      [larger, 200],
      [largest, 250],
    ] as const)
      budget.hold(entry, bytes);
    assert.equal(budget.admits(), false);
    now += 999;
    budget.hold(small, 11);
    assert.equal(budget.admits(), false);
    assert.deepEqual(
      entries.map(({ released }) => released),
      [0, 0, 0, 0],
    );
    now += 1;
    assert.equal(budget.admits(), true);
    assert.deepEqual(
      entries.map(({ released }) => released),
      [0, 0, 0, 1],
    );
    // the next shortage lasts as long
    budget.hold(largest, 250);
    assert.equal(budget.admits(), false);
  });

  test("without a limit is never under pressure", () => {
    const budget = new MemoryBudget(Infinity);
    const entry = new Held(budget);
    ledgerOf(budget).hold(entry, Number.MAX_SAFE_INTEGER);
    assert.deepEqual([budget.underPressure, entry.released], [false, 0]);
  });

  test("must be an integer of at least 1", () => {
    for (const wrong of [0, -1, 1.5, Number.NaN, -Infinity]) {
      assert.throws(() => new MemoryBudget(wrong), { code: "INVALID_ARGUMENT" });
      assert.throws(() => new WebSocketServer({ memoryBudget: wrong }), { code: "INVALID_ARGUMENT" });
    }
    for (const wrong of ["1000", {}, null]) {
      assert.throws(() => new WebSocketServer({ memoryBudget: wrong as unknown as number }), {
        code: "INVALID_ARGUMENT",
      });
    }
  });

  test("counts components by name, together with connections", () => {
    const budget = new MemoryBudget(1000);
    const connection = new Held(budget);
    const [queues, more, bodies] = [budget.part("queues"), budget.part("queues"), budget.part("bodies")];
    ledgerOf(budget).hold(connection, 100);
    queues.add(30);
    more.set(20);
    bodies.add(7);
    queues.add(-10);
    assert.deepEqual([budget.use.held, budget.use.entries], [147, 4]);
    assert.deepEqual(budget.use.parts, { queues: 40, bodies: 7 });
    for (const part of [queues, more, bodies]) part.set(0);
    assert.deepEqual([budget.use.held, budget.use.parts], [100, {}]);
  });

  test("asks caches before it is under pressure, and only for the excess over three quarters", () => {
    const budget = new MemoryBudget(80 * MiB);
    const asked: number[] = [];
    const cache = budget.part("history", {
      cache: true,
      release: (excess) => {
        asked.push(excess);
        cache.add(-Math.min(excess, cache.held));
        return 0;
      },
    });
    const connection = new Held(budget);
    cache.set(40 * MiB);
    ledgerOf(budget).hold(connection, 20 * MiB);
    assert.deepEqual(asked, [], "at three quarters nothing is asked for");
    ledgerOf(budget).hold(connection, 30 * MiB);
    assert.deepEqual([asked, cache.held, budget.underPressure], [[10 * MiB], 30 * MiB, false]);
    ledgerOf(budget).hold(connection, 30 * MiB + 1);
    assert.deepEqual([asked[1], budget.underPressure], [1 * MiB, false], "in steps that are not too small");
    ledgerOf(budget).hold(connection, 62 * MiB);
    assert.deepEqual(
      [cache.held, budget.underPressure, connection.released],
      [5 * MiB, true, 0],
      "a sixteenth is its own",
    );
  });

  test("asks the largest component before a smaller connection", () => {
    const budget = new MemoryBudget(1000);
    const connection = new Held(budget);
    const queues = budget.part("queues", {
      release: (excess) => {
        queues.add(-excess);
        return 3;
      },
    });
    ledgerOf(budget).hold(connection, 400);
    queues.set(700);
    assert.deepEqual([queues.held, connection.released, budget.use.ended], [475, 0, 3]);
  });

  test("defaults to half of the memory, shared by all", () => {
    const [one, other] = [new WebSocketServer(), new WebSocketServer()];
    assert.equal(one.stats.memory.limit, sharedMemoryBudget.limit);
    assert.deepEqual(one.stats.memory, other.stats.memory);
    assert.ok(sharedMemoryBudget.limit > 64 * MiB && sharedMemoryBudget.limit < 2 ** 47);
    assert.equal(sharedMemoryBudget.limit, Math.floor(availableMemory() / 2));
  });
});

describe("charged are", () => {
  test("unread messages, until they are read", async (t) => {
    const served = await serve(t, { memoryBudget: 1e9 });
    const { memory: before } = served.server.stats;
    const [near, far] = await served.pair();
    for (let number = 0; number < 10; number++) await near.send(Buffer.alloc(1000));
    const counted = 10 * (1000 + 96);
    while (served.server.stats.memory.held < counted) await turns(1);
    await turns(2);
    const { held } = served.server.stats.memory;
    assert.ok(held >= counted && held <= counted + 2 * 16 * KiB, `${held} bytes`); // with blocks that are not full
    assert.deepEqual({ ...served.server.stats.memory, peak: 0 }, { ...before, held, entries: 1, peak: 0 });
    await take(far, 10);
    assert.deepEqual({ ...served.server.stats.memory, peak: 0 }, { ...before, peak: 0 });
  });

  test("fragments of an incomplete message, and nothing of a delivered one", async (t) => {
    const served = await serve(t, { memoryBudget: 1e9 });
    const raw = Raw.to(t, served).send(upgradeRequest());
    await raw.head();
    await served.until(() => served.accepted.length === 1);
    const got: number[] = [];
    served.accepted[0]?.connection.on("message", (message) => got.push(message.size));
    raw.send(frame(2, Buffer.alloc(5000), { fin: false }));
    while (served.server.stats.memory.held < 5000) await turns(1);
    raw.send(frame(0, Buffer.alloc(3000), { fin: false }));
    while (served.server.stats.memory.held < 8000) await turns(1);
    raw.send(frame(0, Buffer.alloc(10), { fin: true }));
    while (got.length === 0) await turns(1);
    assert.deepEqual([got[0], served.server.stats.memory.held], [8010, 0]);
  });

  test("output that a peer does not read, until it reads it, and nothing of an ended connection", async () => {
    const server = new WebSocketServer({ memoryBudget: 1e9 });
    const held = (): number => server.stats.memory.held;
    for (const end of ["read", "drop"] as const) {
      const [near, far] = memoryPipe();
      const accepted = server.accept(far);
      const raw = new Raw(near).send(upgradeRequest());
      await raw.head();
      const connection = await accepted;
      assert.ok(connection !== undefined);
      near.pause();
      for (let number = 0; number < 20; number++) connection.write(Buffer.alloc(100_000));
      await turns(3);
      assert.ok(held() > 1_500_000, `${held()} bytes`);
      assert.equal(held(), connection.bufferedAmount);
      if (end === "read") {
        near.resume();
        await connection.flush();
        await turns(2);
        assert.equal(held(), 0);
      }
      connection.terminate();
      await connection.closed;
      assert.deepEqual([held(), server.stats.memory.entries], [0, 0]);
      near.destroy();
    }
  });

  test("compressed messages waiting to be inflated", async () => {
    const budget = new MemoryBudget(1e9);
    const [near, far] = memoryPipe();
    const [sender, receiver] = await Promise.all([
      client("ws://localhost/", near, { compression: true, memoryBudget: Infinity }),
      accept(far, { compression: { asyncThreshold: 1024 }, memoryBudget: budget }),
    ]);
    const random = Buffer.from(Array.from({ length: 40_000 }, (_, at) => (at * 2_654_435_761) >>> 24));
    const received = new Promise<void>((resolve) => receiver.once("message", () => resolve()));
    await sender.send(random);
    while (budget.use.held === 0) await turns(1);
    await received;
    await turns(2);
    assert.ok(budget.use.peak > 1000 && budget.use.peak < 45_000, `${budget.use.peak} bytes`);
    assert.equal(budget.use.held, 0);
    for (const each of [sender, receiver]) each.terminate();
    await Promise.all([sender.closed, receiver.closed]);
  });
});

describe("a server whose budget is under pressure", () => {
  test("rejects handshakes with 503, on accepted streams too, and accepts them later", async (t) => {
    const budget = new MemoryBudget(100_000);
    const served = await serve(t, { memoryBudget: budget });
    const [near, far] = await served.pair({ memoryBudget: Infinity });
    await near.send(Buffer.alloc(75_000 - 96));
    while (budget.use.held < 75_000) await turns(1);
    // at three quarters there is no pressure
    const [, second] = await served.pair({ memoryBudget: Infinity });
    await near.send("");
    while (!budget.underPressure) await turns(1);
    const answer = await Raw.to(t, served).send(upgradeRequest()).answer();
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "5"]);
    assert.equal(served.refused[0]?.code, "SERVER_OVERLOADED");
    const [here, there] = memoryPipe();
    const refused = assert.rejects(accept(there, { memoryBudget: budget }), { code: "SERVER_OVERLOADED" });
    const raw = await new Raw(here).send(upgradeRequest()).answer();
    assert.deepEqual([raw.status, raw.headers["retry-after"]], [503, "5"]);
    await refused;
    here.destroy();
    await take(far, 2);
    await served.pair();
    assert.equal(second.state, "open");
  });

  test("stops reading for connections with waiting messages, and resumes when they are read", async (t) => {
    const budget = new MemoryBudget(10_000_000);
    const other = new Held(budget);
    const served = await serve(t, { memoryBudget: budget });
    const [near, far] = await served.pair({ memoryBudget: Infinity });
    ledgerOf(budget).hold(other, 7_600_000);
    for (let number = 0; number < 50; number++) near.write(Buffer.alloc(100_000));
    while (budget.use.entries < 2) await turns(1);
    await turns(20);
    // the bytes of one read, and the message that it starts
    assert.ok(budget.use.held < 7_600_000 + 500_000, `${budget.use.held} bytes`);
    assert.equal(other.released, 0);
    assert.equal((await take(far, 50)).length, 50);
  });
});

describe("beyond the budget", () => {
  test("the largest sender of fragments is closed with 1013, and the others continue", async (t) => {
    const served = await serve(t, { memoryBudget: 60_000 });
    const raws = [1, 2].map(() => Raw.to(t, served).send(upgradeRequest()));
    for (const raw of raws) await raw.head();
    await served.until(() => served.accepted.length === 2);
    const [large, small] = raws;
    assert.ok(large !== undefined && small !== undefined);
    small.send(frame(2, Buffer.alloc(10_000), { fin: false }));
    for (let number = 0; number < 6; number++)
      large.send(frame(number === 0 ? 2 : 0, Buffer.alloc(10_000), { fin: false }));
    const frames = await large.frames();
    assert.deepEqual(
      frames.map((each) => each.payload.readUInt16BE(0)),
      [1013],
    );
    assert.equal(served.server.stats.memory.ended, 1);
    const closed = served.accepted.map(({ connection }) => connection.state);
    assert.equal(closed.filter((state) => state === "open").length, 1);
    const other = served.accepted.find(({ connection }) => connection.state === "open")?.connection;
    small.send(frame(0, "end"));
    assert.ok(other !== undefined);
    assert.equal((await take(other, 1))[0]?.length, 10_003);
  });

  test("a peer that does not read is terminated immediately, with its output", async () => {
    const budget = new MemoryBudget(1_000_000);
    const server = new WebSocketServer({ memoryBudget: budget });
    const [near, far] = memoryPipe();
    const accepted = server.accept(far);
    await new Raw(near).send(upgradeRequest()).head();
    const connection = await accepted;
    near.pause();
    const errors: string[] = [];
    connection?.on("error", (error) => errors.push(error.code));
    for (let number = 0; number < 20; number++) connection?.write(Buffer.alloc(100_000));
    const info = await connection?.closed;
    assert.deepEqual([info?.error?.code, errors], ["OUT_OF_BUDGET", ["OUT_OF_BUDGET"]]);
    assert.deepEqual(
      { ...budget.use, peak: 0 },
      { limit: 1e6, held: 0, peak: 0, entries: 0, underPressure: false, ended: 1, parts: {} },
    );
    near.destroy();
  });

  test("a connection that does not read its messages loses them, with an error", async (t) => {
    const served = await serve(t, { memoryBudget: 50_000, receiveQueueSize: 100_000 });
    const [near, far] = await served.pair({ memoryBudget: Infinity });
    for (let number = 0; number < 3; number++) near.write(Buffer.alloc(20_000));
    const info = await far.closed;
    assert.equal(info.error?.code, "OUT_OF_BUDGET");
    const left: unknown[] = [];
    for await (const message of far) left.push(message);
    assert.deepEqual(left, []);
    assert.equal((await near.closed).code, 1013);
  });
});
