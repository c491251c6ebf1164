import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConnectError, connectError } from "../../src/errors.ts";
import { race, type RaceOptions } from "../../src/dial/race.ts";

/** Candidates whose attempts the test completes. */
function course() {
  const begun: string[] = [];
  const aborted: string[] = [];
  const lanes = new Map<string, PromiseWithResolvers<string>>();
  const attempt = (name: string, signal: AbortSignal): Promise<string> => {
    const lane = withResolvers<string>();
    begun.push(name);
    lanes.set(name, lane);
    signal.addEventListener("abort", () => aborted.push(name));
    signal.addEventListener("abort", () => lane.reject(signal.reason as Error));
    return lane.promise;
  };
  const lane = (name: string): PromiseWithResolvers<string> => {
    const found = lanes.get(name);
    assert.ok(found, `${name} has not been begun`);
    return found;
  };
  return { begun, aborted, attempt, lane };
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const asText = (error: unknown): string => (error as Error).message;

function options(changes: Partial<RaceOptions<string>> = {}): RaceOptions<string> {
  return { stagger: Infinity, signal: new AbortController().signal, discard: () => undefined, ...changes };
}

describe("race", () => {
  test("starts the next candidate when the last has failed, and keeps each failure", async () => {
    const { begun, attempt, lane } = course();
    const result = race(["a", "b", "c"], attempt, asText, options());
    assert.deepEqual(begun, ["a"]);
    lane("a").reject(new Error("no a"));
    await turn();
    assert.deepEqual(begun, ["a", "b"]);
    lane("b").reject(new Error("no b"));
    await turn();
    lane("c").reject(new Error("no c"));
    assert.deepEqual(await result, { won: false, failures: ["no a", "no b", "no c"] });
  });

  test("stops at the first success", async () => {
    const { begun, attempt, lane } = course();
    const result = race(["a", "b", "c"], attempt, asText, options());
    lane("a").reject(new Error("no a"));
    await turn();
    lane("b").resolve("done");
    assert.deepEqual(await result, { won: true, value: "done" });
    assert.deepEqual(begun, ["a", "b"]);
  });

  test("starts the next candidate in parallel to one that takes longer than the delay", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { begun, aborted, attempt, lane } = course();
    const result = race(["a", "b", "c"], attempt, asText, options({ stagger: 250 }));
    t.mock.timers.tick(249);
    assert.deepEqual(begun, ["a"]);
    t.mock.timers.tick(1);
    assert.deepEqual(begun, ["a", "b"]);
    lane("b").resolve("b was faster");
    assert.deepEqual(await result, { won: true, value: "b was faster" });
    assert.deepEqual(aborted, ["a"]);
    t.mock.timers.tick(1000);
    assert.deepEqual(begun, ["a", "b"]);
  });

  test("a failure starts the next one immediately, and restarts the delay", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { begun, attempt, lane } = course();
    const result = race(["a", "b", "c"], attempt, asText, options({ stagger: 250 }));
    t.mock.timers.tick(100);
    lane("a").reject(new Error("no a"));
    await Promise.resolve().then(() => Promise.resolve());
    assert.deepEqual(begun, ["a", "b"]);
    t.mock.timers.tick(200);
    assert.deepEqual(begun, ["a", "b"]);
    t.mock.timers.tick(50);
    assert.deepEqual(begun, ["a", "b", "c"]);
    lane("c").resolve("c");
    assert.deepEqual(await result, { won: true, value: "c" });
  });

  test("waits for running attempts before it fails", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { attempt, lane } = course();
    const result = race(["a", "b"], attempt, asText, options({ stagger: 250 }));
    t.mock.timers.tick(250);
    lane("b").reject(new Error("no b"));
    await Promise.resolve().then(() => Promise.resolve());
    lane("a").resolve("a after all");
    assert.deepEqual(await result, { won: true, value: "a after all" });
  });

  test("discards late successes, and ignores late failures", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { attempt, lane } = course();
    const discarded: string[] = [];
    const result = race(
      ["a", "b", "c"],
      attempt,
      asText,
      options({ stagger: 1, discard: (late) => discarded.push(late) }),
    );
    t.mock.timers.tick(1);
    t.mock.timers.tick(1);
    lane("b").resolve("first");
    lane("a").resolve("second"); // at the same time, so that the abort is too late for it
    assert.deepEqual(await result, { won: true, value: "first" });
    await turn();
    assert.deepEqual(discarded, ["second"]);
  });

  test("an abort ends the race and every attempt, and leaves no listener on the signal", async () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...given: Parameters<typeof add>) => (listeners++, add(...given));
    signal.removeEventListener = (...given: Parameters<typeof remove>) => (listeners--, remove(...given));

    const won = course();
    const first = race(["a"], won.attempt, asText, options({ signal }));
    won.lane("a").resolve("done");
    await first;
    assert.equal(listeners, 0);

    const { aborted, attempt } = course();
    const result = race(["a", "b"], attempt, asText, options({ signal }));
    controller.abort(new Error("enough"));
    await assert.rejects(result, (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, "ABORTED");
      assert.equal((error.cause as Error).message, "enough");
      return true;
    });
    assert.equal(listeners, 0);
    assert.deepEqual(aborted, ["a"]);
  });

  test("an abort rejects with the error of an attempt, when all have ended", async () => {
    const controller = new AbortController();
    const lanes = [withResolvers<string>(), withResolvers<string>()];
    const discarded: string[] = [];
    const begun = withResolvers<void>();
    const attempt = (index: number): Promise<string> => {
      if (index === 1) begun.resolve();
      return (lanes[index] ?? lanes[0]).promise;
    };
    const result = race([0, 1], attempt, asText, {
      stagger: 1,
      signal: controller.signal,
      discard: (late) => discarded.push(late),
    });
    await begun.promise;
    controller.abort();
    let settled = false;
    void result.catch(() => (settled = true));
    lanes[0]?.resolve("late");
    await turn();
    assert.equal(settled, false);
    lanes[1]?.reject(connectError("ABORTED", "at its second step", { step: "proxy" }));
    await assert.rejects(result, /at its second step/);
    assert.deepEqual(discarded, ["late"]);
  });

  test("an error rethrown by `failed` ends the race", async () => {
    const { begun, attempt, lane } = course();
    const result = race<string, string, string>(
      ["a", "b"],
      attempt,
      (error) => {
        throw error;
      },
      options(),
    );
    lane("a").reject(new TypeError("a mistake"));
    await assert.rejects(result, /a mistake/);
    assert.deepEqual(begun, ["a"]);
  });

  test("without candidates there are no failures", async () => {
    assert.deepEqual(await race([], course().attempt, asText, options()), { won: false, failures: [] });
  });
});
