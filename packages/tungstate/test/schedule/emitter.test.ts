import assert from "node:assert/strict";
import { type EventEmitter, once } from "node:events";
import { describe, test } from "node:test";
import { Emitter } from "../../src/schedule/emitter.ts";

interface Events {
  number: [value: number];
  error: [error: unknown];
}

class Numbers extends Emitter<Events> {
  readonly thrown: unknown[] = [];

  tell(value: number): boolean {
    return this.emit("number", value);
  }

  fail(error: unknown): boolean {
    return this.emit("error", error);
  }

  protected override onThrow(error: unknown): void {
    this.thrown.push(error);
  }
}

describe("an emitter", () => {
  test("calls its listeners in order, and reports whether there are any", () => {
    const numbers = new Numbers();
    const seen: string[] = [];
    assert.equal(numbers.tell(0), false);
    numbers.on("number", (value) => seen.push(`a${value}`)).on("number", (value) => seen.push(`b${value}`));
    assert.equal(numbers.tell(1), true);
    assert.deepEqual(seen, ["a1", "b1"]);
    assert.equal(numbers.listenerCount("number"), 2);
    assert.equal(numbers.listenerCount("error"), 0);
  });

  test("once calls once, also when it emits again; off removes listeners of on and once", () => {
    const numbers = new Numbers();
    const seen: number[] = [];
    const listener = (value: number): void => void seen.push(value);
    numbers.once("number", (value) => {
      seen.push(value);
      numbers.tell(2);
    });
    numbers.tell(1);
    assert.deepEqual(seen, [1]);
    numbers.once("number", listener).off("number", listener).tell(3);
    numbers.on("number", listener).removeListener("number", listener).tell(4);
    assert.deepEqual(seen, [1]);
    numbers.off("number", listener);
    // the last one added runs first, as in Node's emitters
    numbers.on("number", listener).on("number", listener).off("number", listener);
    assert.equal(numbers.listenerCount("number"), 1);
  });

  test("listeners added or removed during an event count from the next one", () => {
    const numbers = new Numbers();
    const seen: string[] = [];
    const second = (value: number): void => void seen.push(`second ${value}`);
    numbers.on("number", (value) => {
      seen.push(`first ${value}`);
      numbers.off("number", second).on("number", () => void seen.push("third"));
    });
    numbers.on("number", second);
    numbers.tell(1);
    assert.deepEqual(seen, ["first 1", "second 1"]);
  });

  test("a listener that throws or rejects stops no other one", async () => {
    const numbers = new Numbers();
    let calls = 0;
    const first = new Error("thrown");
    const second = new Error("rejected");
    numbers.on("number", () => {
      throw first;
    });
    numbers.on("number", async () => {
      throw second;
    });
    // as of another realm, or of a library's own promises
    const third = new Error("thenable");
    numbers.on("number", () => ({ then: (_done: unknown, failed: (error: unknown) => void) => failed(third) }));
    numbers.on("number", () => void calls++);
    const fourth = new Error("rejected, of once");
    numbers.once("number", async () => {
      throw fourth;
    });
    assert.equal(numbers.tell(1), true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(calls, 1);
    assert.deepEqual(new Set(numbers.thrown), new Set([first, second, third, fourth]));
  });

  test("an error without a listener is not thrown", () => {
    assert.equal(new Numbers().fail(new Error("unheard")), false);
  });

  test("inherited properties are not listeners, and an event may have their names", () => {
    const numbers = new Numbers();
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"] as unknown as "number"[]) {
      const listener = (): void => undefined;
      assert.equal(numbers.listenerCount(name), 0);
      numbers.off(name, listener).on(name, listener);
      assert.equal(numbers.listenerCount(name), 1);
      assert.equal(numbers.off(name, listener).listenerCount(name), 0);
    }
  });

  test("a listener must be a function", () => {
    for (const wrong of [undefined, null, "f", {}]) {
      const numbers = new Numbers();
      assert.throws(() => numbers.on("number", wrong as never), {
        message: /listener for "number" must be a function, got /,
      });
      assert.throws(() => numbers.once("number", wrong as never), { message: /must be a function, got / });
    }
  });

  test("events.once works as with Node's", async () => {
    const numbers = new Numbers();
    const wanted = once(numbers as unknown as EventEmitter, "number");
    numbers.tell(7);
    assert.deepEqual(await wanted, [7]);
    const failing = once(numbers as unknown as EventEmitter, "number");
    numbers.fail(new Error("first"));
    await assert.rejects(failing, /first/);
    assert.deepEqual([numbers.listenerCount("number"), numbers.listenerCount("error")], [0, 0]);
  });
});
