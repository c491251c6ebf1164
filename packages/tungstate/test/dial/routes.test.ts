import { invalidOption } from "@tungstate/protocol/internal";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { protocolError } from "@tungstate/protocol";
import { Routes } from "../../src/dial/routes.ts";
import { ConnectError, connectError } from "../../src/errors.ts";

const discard = (): void => undefined;

describe("Routes", () => {
  test("one without a name if no interface is requested", async () => {
    const routes = new Routes({});
    assert.deepEqual(routes.list, [{ interface: undefined }]);
    const refused = connectError("REFUSED");
    await assert.rejects(
      routes.take(() => Promise.reject(refused), { discard }),
      (error: unknown) => error === refused,
    );
  });

  test("in order, and failed ones move to the end", async () => {
    const routes = new Routes({ interface: ["a", "b", "c", "a"] });
    const tried: (string | undefined)[] = [];
    const take = (good: readonly string[]): Promise<string> =>
      routes.take(
        async (route) => {
          tried.push(route.interface);
          if (route.interface !== undefined && good.includes(route.interface))
            return await Promise.resolve(route.interface);
          throw connectError("UNREACHABLE", undefined, { tried: route });
        },
        { discard },
      );
    assert.equal(await take(["b", "c"]), "b");
    assert.equal(await take(["b", "c"]), "b");
    assert.equal(await take(["a", "c"]), "c");
    assert.deepEqual(tried.splice(0), ["a", "b", "b", "b", "c"]);
    assert.deepEqual(
      routes.list.map((route) => route.interface),
      ["c", "a", "b"],
    );
    routes.failed("c");
    routes.failed("no such route");
    assert.deepEqual(
      routes.list.map((route) => route.interface),
      ["a", "b", "c"],
    );
    await assert.rejects(take([]), (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, "UNREACHABLE");
      assert.equal(
        error.message,
        "no route to the host: 3 routes failed: UNREACHABLE on a; UNREACHABLE on b; UNREACHABLE on c",
      );
      return true;
    });
    assert.deepEqual(
      routes.list.map((route) => route.interface),
      ["a", "b", "c"],
    );
  });

  test("raced: the first to complete wins, not the first to connect", async () => {
    const routes = new Routes({ interface: ["slow", "fast"], interfaceStrategy: "race", attemptDelay: 0 });
    const ended: string[] = [];
    const winner = await routes.take(
      (route, signal) =>
        new Promise<string>((resolve, reject) => {
          if (route.interface === "fast") setImmediate(() => resolve("fast"));
          signal.addEventListener("abort", () => {
            ended.push(String(route.interface));
            reject(signal.reason as Error);
          });
        }),
      { discard },
    );
    assert.equal(winner, "fast");
    assert.deepEqual(ended, ["slow"]);
    assert.deepEqual(
      routes.list.map((route) => route.interface),
      ["slow", "fast"],
      "who lost a race did not fail",
    );
  });

  test("a programming error is not hidden by another route", async () => {
    const routes = new Routes({ interface: ["a", "b"] });
    for (const mistake of [new TypeError("undefined is not a function"), invalidOption("family", "4 or 6", 5)]) {
      let attempts = 0;
      const taking = routes.take(() => (attempts++, Promise.reject(mistake)), { discard });
      await assert.rejects(taking, (error: unknown) => error === mistake);
      assert.equal(attempts, 1);
    }
  });

  test("the failure that got furthest is reported", async () => {
    const routes = new Routes({ interface: ["a", "b", "c"] });
    const errors = {
      a: connectError("REFUSED", undefined, { tried: { interface: "a" } }),
      b: connectError("TLS_EXPIRED", undefined, { tried: { host: "b.example", remotePort: 443 } }),
      c: connectError("NO_SUCH_INTERFACE", "c"),
    };
    const taking = routes.take((route) => Promise.reject(errors[route.interface as "a"]), { discard });
    await assert.rejects(taking, (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.deepEqual([error.code, error.step], ["TLS_EXPIRED", "tls"]);
      assert.deepEqual(error.attempts, [errors.a, errors.b, errors.c]);
      assert.equal(error.cause, errors.b);
      return true;
    });
    const handshake = protocolError("UNEXPECTED_STATUS", "503");
    const other = new Routes({ interface: ["a", "b"] });
    const refusedLast = other.take((route) => Promise.reject(route.interface === "a" ? handshake : errors.a), {
      discard,
    });
    await assert.rejects(refusedLast, (error: unknown) => error === handshake);
  });

  test("an abort is not a failure of a route", async () => {
    const routes = new Routes({ interface: ["a", "b"] });
    const controller = new AbortController();
    const taking = routes.take(
      (_route, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("ended")))),
      { discard, signal: controller.signal },
    );
    controller.abort();
    await assert.rejects(taking, { code: "ABORTED" });
    assert.deepEqual(
      routes.list.map((route) => route.interface),
      ["a", "b"],
    );
  });
});
