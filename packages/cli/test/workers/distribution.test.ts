// The distribution of connections among workers: no connection waits for a worker that does not
// answer.
import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, test } from "node:test";
import { VirtualClock } from "tungstate/testing";
import { Distribution, type Recipient } from "../../src/workers/distribution.ts";

/** A worker that accepts offers, or does not answer. */
class FakeWorker implements Recipient {
  aliveAt = 0;
  isServing = true;
  /** Whether offers stay unanswered. */
  hangs = false;
  /** Whether it confirms what it is handed. */
  confirms = true;
  readonly handed: number[] = [];
  distribution: Distribution | undefined;

  offer(): Promise<void> {
    return this.hangs ? new Promise(() => undefined) : Promise.resolve();
  }

  hand(id: number): void {
    this.handed.push(id);
    if (this.confirms) this.distribution?.confirm(this, id);
  }
}

function setUp(count: number) {
  const clock = new VirtualClock();
  const workers = Array.from({ length: count }, () => new FakeWorker());
  const distribution = new Distribution({
    recipients: () => workers,
    now: () => clock.now(),
    after: (delay, callback) => clock.after(delay, callback),
  });
  for (const worker of workers) worker.distribution = distribution;
  const add = (number = 1): Socket[] => {
    const sockets = Array.from({ length: number }, () => new Socket());
    for (const socket of sockets) distribution.add(socket);
    return sockets;
  };
  return { clock, workers, distribution, add };
}

describe("connections are distributed among workers", () => {
  test("in turn, and the primary's descriptor is closed when the worker confirms", async () => {
    const { clock, workers, distribution, add } = setUp(3);
    const sockets = add(9);
    await clock.advance(0);
    assert.deepEqual(
      workers.map(({ handed }) => handed.length),
      [3, 3, 3],
    );
    assert.ok(sockets.every(({ destroyed }) => destroyed));
    assert.equal(distribution.size, 0);
  });

  test("a worker that is not serving gets none", async () => {
    const { clock, workers, add } = setUp(2);
    const [first, second] = workers;
    assert.ok(first !== undefined && second !== undefined);
    first.isServing = false;
    add(4);
    await clock.advance(0);
    assert.deepEqual([first.handed.length, second.handed.length], [0, 4]);
  });

  test("what a worker does not accept within 500 ms goes to another one, and nothing else goes to it until it answers a ping", async () => {
    const { clock, workers, add } = setUp(2);
    const [first, second] = workers;
    assert.ok(first !== undefined && second !== undefined);
    first.hangs = true;
    add(4);
    await clock.advance(0);
    await clock.advance(500);
    assert.deepEqual([first.handed.length, second.handed.length], [0, 4]);
    add(4);
    await clock.advance(0);
    assert.equal(second.handed.length, 8);
    first.hangs = false;
    first.aliveAt = clock.now() + 1;
    add(2);
    await clock.advance(0);
    assert.deepEqual([first.handed.length, second.handed.length], [1, 9]);
  });

  test("while no worker answers connections wait, for 10 s", async () => {
    const { clock, workers, distribution, add } = setUp(1);
    const [only] = workers;
    assert.ok(only !== undefined);
    only.hangs = true;
    const [early] = add();
    await clock.advance(0);
    await clock.advance(9_000);
    const [late] = add();
    await clock.advance(1_500);
    assert.equal(early?.destroyed, true);
    assert.equal(late?.destroyed, false);
    only.hangs = false;
    only.aliveAt = clock.now();
    await clock.advance(100);
    assert.equal(only.handed.length, 1);
    assert.equal(distribution.size, 0);
  });

  test("a connection that was handed to a worker that ends is closed; one that was offered goes to another worker", async () => {
    const { clock, workers, distribution, add } = setUp(2);
    const [first, second] = workers;
    assert.ok(first !== undefined && second !== undefined);
    second.isServing = false;
    first.confirms = false;
    const [handed] = add();
    await clock.advance(0);
    assert.equal(handed?.destroyed, false);
    first.hangs = true;
    const [offered] = add();
    await clock.advance(0);
    distribution.forget(first);
    workers.shift();
    second.isServing = true;
    assert.equal(handed?.destroyed, true);
    await clock.advance(500);
    assert.equal(second.handed.length, 1);
    assert.equal(offered?.destroyed, true); // by its confirmation
    assert.equal(distribution.size, 0);
  });

  test("no more than 1,024 connections wait; closing drops them", async () => {
    const { clock, workers, distribution, add } = setUp(1);
    for (const worker of workers) worker.hangs = true;
    const sockets = add(1_030);
    await clock.advance(0);
    assert.equal(sockets.filter(({ destroyed }) => destroyed).length, 6);
    distribution.close();
    const [late] = add();
    assert.ok(sockets.every(({ destroyed }) => destroyed) && late?.destroyed === true);
    assert.equal(distribution.size, 0);
  });
});
