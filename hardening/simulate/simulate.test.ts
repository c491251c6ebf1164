import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { availableParallelism } from "node:os";
import { runSeeds } from "./pool.ts";
import { Session } from "./sessions.ts";
import { Truth } from "./subscriber.ts";
import { Dice, Finding } from "./world.ts";
import type { Report } from "./worker.ts";

describe("the simulation", () => {
  test("of some seeds finds no failure; a seed repeats its run, another seed has another run", async () => {
    const reports: Report[] = [];
    await runSeeds({ from: 1, count: 40, twiceEvery: 10, workers: availableParallelism() }, (report) => {
      reports.push(report);
      return true;
    });
    for (const { seed, failure, same, tail } of reports) {
      assert.equal(failure, undefined, `npm run simulate -- --seed ${seed}\n${tail.slice(-20).join("\n")}`);
      assert.notEqual(same, false, `seed ${seed} is not the same twice`);
    }
    assert.equal(new Set(reports.map(({ hash }) => hash)).size, reports.length);
    // the run contains events
    for (const what of [
      "connections closed",
      "connections lost",
      "deaths of nodes",
      "messages in fragments",
      "pings answered",
      "losses reported to a subscriber",
      "messages received",
      "messages dropped by an outbox",
      "publications lost by the broker",
      "publications received",
      "publications recovered",
      "publications rejected",
    ]) {
      const times = reports.reduce((sum, { counts }) => sum + (counts.get(what) ?? 0), 0);
      assert.ok(times > 0, `there were no ${what}`);
    }
  });
});

describe("the model detects", () => {
  const END = { reason: "", clean: true, error: undefined };

  function session(): Session {
    const made = new Session("a session");
    made.client.sent.push("one", "two");
    return made;
  }

  test("a message that is missing, duplicated or different", () => {
    for (const wrong of [["two"], ["one", "one"], ["one", "two", "two"], ["else"]]) {
      const made = session();
      assert.throws(() => {
        for (const text of wrong) made.got("server", text);
      }, Finding);
    }
  });

  test("a message that did not arrive although the connection closed cleanly", () => {
    const made = session();
    made.got("server", "one");
    made.client.closing = 1000;
    made.server.read = true;
    made.closed("client", { ...END, code: 1000 });
    made.closed("server", { ...END, code: 1000 });
    assert.throws(() => made.checkArrivals(), /got 1 of 2/);
    made.got("server", "two");
    made.checkArrivals();
  });

  test("a close code that nobody sent", () => {
    const made = session();
    made.server.closing = 1012;
    made.closed("server", { ...END, code: 1012 });
    assert.throws(() => made.closed("client", { ...END, code: 1000 }), Finding);
  });

  test("a store that skips an offset", () => {
    const truth = new Truth();
    truth.publication("red", "epoch", 1, "a");
    assert.throws(() => truth.publication("red", "epoch", 3, "c"), Finding);
  });
});

test("generators with the same seed return the same values, within the range", () => {
  const [one, same, other] = [new Dice(7), new Dice(7), new Dice(8)];
  const throws = (dice: Dice): number[] => Array.from({ length: 200 }, () => dice.whole(1, 6));
  const first = throws(one);
  assert.deepEqual(throws(same), first);
  assert.notDeepEqual(throws(other), first);
  assert.deepEqual(
    [...new Set(first)].toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6],
  );
});
