import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { protocolError } from "@tungstate/protocol";
import { Roads } from "../../src/dial/routes.ts";
import { ConnectError, connectError } from "../../src/errors.ts";

const discard = (): void => undefined;

describe("Roads", () => {
  test("one without a name where no interface is asked for", async () => {
    const roads = new Roads({});
    assert.deepEqual(roads.list, [{ interface: undefined }]);
    const refused = connectError("REFUSED");
    await assert.rejects(
      roads.take(() => Promise.reject(refused), { discard }),
      (error: unknown) => error === refused,
    );
  });

  test("in order, and what failed goes to the end", async () => {
    const roads = new Roads({ interface: ["a", "b", "c", "a"] });
    const tried: (string | undefined)[] = [];
    const take = (good: readonly string[]): Promise<string> =>
      roads.take(
        async (road) => {
          tried.push(road.interface);
          if (road.interface !== undefined && good.includes(road.interface))
            return await Promise.resolve(road.interface);
          throw connectError("UNREACHABLE", undefined, { tried: road });
        },
        { discard },
      );
    assert.equal(await take(["b", "c"]), "b");
    assert.equal(await take(["b", "c"]), "b");
    assert.equal(await take(["a", "c"]), "c");
    assert.deepEqual(tried.splice(0), ["a", "b", "b", "b", "c"]);
    assert.deepEqual(
      roads.list.map((road) => road.interface),
      ["c", "a", "b"],
    );
    roads.failed("c");
    roads.failed("no such road");
    assert.deepEqual(
      roads.list.map((road) => road.interface),
      ["a", "b", "c"],
    );
    await assert.rejects(take([]), (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, "UNREACHABLE");
      assert.equal(
        error.message,
        "there is no way to the host: 3 roads failed: UNREACHABLE on a; UNREACHABLE on b; UNREACHABLE on c",
      );
      return true;
    });
    assert.deepEqual(
      roads.list.map((road) => road.interface),
      ["a", "b", "c"],
    );
  });

  test("raced: the first that comes to its end wins, not the first that connects", async () => {
    const roads = new Roads({ interface: ["slow", "fast"], interfaceStrategy: "race", raceDelay: 0 });
    const ended: string[] = [];
    const winner = await roads.take(
      (road, signal) =>
        new Promise<string>((resolve, reject) => {
          if (road.interface === "fast") setImmediate(() => resolve("fast"));
          signal.addEventListener("abort", () => {
            ended.push(String(road.interface));
            reject(signal.reason as Error);
          });
        }),
      { discard },
    );
    assert.equal(winner, "fast");
    assert.deepEqual(ended, ["slow"]);
    assert.deepEqual(
      roads.list.map((road) => road.interface),
      ["slow", "fast"],
      "who lost a race did not fail",
    );
  });

  test("a mistake in a program is not hidden by another road", async () => {
    const roads = new Roads({ interface: ["a", "b"] });
    for (const mistake of [new TypeError("undefined is not a function"), protocolError("INVALID_ARGUMENT", "no")]) {
      let attempts = 0;
      const taking = roads.take(() => (attempts++, Promise.reject(mistake)), { discard });
      await assert.rejects(taking, (error: unknown) => error === mistake);
      assert.equal(attempts, 1);
    }
  });

  test("the failure that got furthest speaks for all", async () => {
    const roads = new Roads({ interface: ["a", "b", "c"] });
    const errors = {
      a: connectError("REFUSED", undefined, { tried: { interface: "a" } }),
      b: connectError("TLS_EXPIRED", undefined, { tried: { host: "b.example", remotePort: 443 } }),
      c: connectError("NO_SUCH_INTERFACE", "c"),
    };
    const taking = roads.take((road) => Promise.reject(errors[road.interface as "a"]), { discard });
    await assert.rejects(taking, (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.deepEqual([error.code, error.step], ["TLS_EXPIRED", "tls"]);
      assert.deepEqual(error.attempts, [errors.a, errors.b, errors.c]);
      assert.equal(error.cause, errors.b);
      return true;
    });
    const handshake = protocolError("UNEXPECTED_STATUS", "503");
    const other = new Roads({ interface: ["a", "b"] });
    const refusedLast = other.take((road) => Promise.reject(road.interface === "a" ? handshake : errors.a), {
      discard,
    });
    await assert.rejects(refusedLast, (error: unknown) => error === handshake);
  });

  test("an abort is no failure of a road", async () => {
    const roads = new Roads({ interface: ["a", "b"] });
    const controller = new AbortController();
    const taking = roads.take(
      (_road, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("ended")))),
      { discard, signal: controller.signal },
    );
    controller.abort();
    await assert.rejects(taking, { code: "ABORTED" });
    assert.deepEqual(
      roads.list.map((road) => road.interface),
      ["a", "b"],
    );
  });
});
