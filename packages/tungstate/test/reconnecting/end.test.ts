import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { ReconnectOptions } from "../../src/reconnecting/options.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import type { ReconnectingConnection } from "../../src/reconnecting/types.ts";
import type { MessageData } from "../../src/connection/types.ts";
import { inWorld, settle, type World } from "./support.ts";

/** Brings a connection into each of its states. */
const states: Record<string, (world: World, options?: Partial<ReconnectOptions>) => Promise<ReconnectingConnection>> = {
  "before the first attempt": async (world, options) => world.start(options),
  async connecting(world, options) {
    const connection = world.start({ headers: () => new Promise(() => undefined), ...options });
    await settle();
    return connection;
  },
  async waiting(world, options) {
    world.otherwise = "REFUSED";
    const connection = world.start(options);
    await world.advance(50);
    assert.equal(connection.status.state, "waiting");
    return connection;
  },
  async open(world, options) {
    const connection = world.start(options);
    await settle();
    assert.equal(connection.status.state, "open");
    return connection;
  },
};

for (const [state, reach] of Object.entries(states)) {
  describe(`${state}:`, () => {
    test("close() ends it permanently", () =>
      inWorld(async (world) => {
        const connection = await reach(world);
        const readings = [connection, connection.withGaps(), connection.batches()].map(async (items) => {
          for await (const _ of items);
        });
        const info = await connection.close(1000, "done");
        assert.deepEqual(
          [info.code, info.clean, info.error],
          [state === "open" ? 1000 : 1006, state === "open", undefined],
        );
        assert.deepEqual([connection.state, connection.status], ["closed", { state: "closed", info }]);
        assert.deepEqual([await connection.close(), await connection.closed], [info, info]);
        await assert.rejects(connection.ready(), { code: "NOT_OPEN" });
        await Promise.all(readings);
        const made = world.attempts.length;
        await world.advance(60_000);
        assert.equal(world.attempts.length, made);
        assert.equal(world.clock.pending, 0);
      }));

    test("terminate() does, too", () =>
      inWorld(async (world) => {
        const connection = await reach(world);
        connection.terminate();
        const info = await connection.closed;
        assert.deepEqual([info.code, info.clean], [1006, false]);
        await settle();
        assert.equal(world.clock.pending, 0);
      }));

    test("its signal does, too", () =>
      inWorld(async (world) => {
        const controller = new AbortController();
        const connection = await reach(world, { signal: controller.signal });
        const ready = connection.ready().then(
          () => "open",
          () => "closed",
        );
        const errors: string[] = [];
        connection.on("error", ({ code }) => errors.push(code));
        controller.abort("enough");
        const { error } = await connection.closed;
        assert.deepEqual([error?.code, error?.cause, errors], ["CLOSED_BY_SIGNAL", "enough", ["CLOSED_BY_SIGNAL"]]);
        assert.equal(await ready, state === "open" ? "open" : "closed");
        await settle();
        assert.equal(world.clock.pending, 0);
        if (state === "open") assert.equal((await world.server.closed).clean, false);
      }));

    test("waiting messages are reported as dropped, and all pending calls are settled", () =>
      inWorld(async (world) => {
        const connection = await reach(world, { outbox: { size: 140, policy: "wait" }, writeBufferSize: 0 });
        if (state === "open") return; // then it is sent: see below
        const dropped: MessageData[] = [];
        connection.on("drop", (data) => dropped.push(data));
        connection.write("one");
        connection.write("two");
        const ends = [connection.send("three"), connection.flush(), connection.sendStream(["four"])];
        const rejected = ends.map((end) => assert.rejects(end, { code: "NOT_OPEN" }));
        await connection.close();
        await Promise.all(rejected);
        assert.deepEqual(dropped, ["one", "two"]);
        await assert.rejects(connection.flush(), { code: "NOT_OPEN" });
      }));
  });
}

describe("close() of an open connection", () => {
  test("sends what was written before, including the outbox", () =>
    inWorld(async (world) => {
      const connection = world.start({ outbox: { policy: "wait", size: 1_000 }, writeBufferSize: 100 });
      await settle();
      const got: number[] = [];
      world.server.on("message", ({ size }) => got.push(size));
      for (const size of [500, 600, 100]) connection.write("x".repeat(size));
      const waiting = connection.send("x".repeat(300));
      await connection.close();
      await waiting;
      assert.deepEqual(got, [500, 600, 100, 300]);
      assert.deepEqual(await world.server.closed.then(({ code, clean }) => [code, clean]), [1000, true]);
    }));

  test("accepts nothing more meanwhile", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      const closed = connection.close(4000, "moving");
      assert.deepEqual(
        [connection.state, connection.status.state, connection.writable, connection.write("late")],
        ["closing", "closing", false, false],
      );
      await assert.rejects(connection.send("late"), { code: "NOT_OPEN" });
      const { code, reason, clean, error } = await closed; // as the server answers
      assert.equal((await world.server.closed).reason, "moving");
      assert.deepEqual([code, reason, clean, error], [4000, "", true, undefined]);
    }));

  test("waits no longer than closeTimeout for a server that does not answer", () =>
    inWorld(async (world) => {
      const connection = world.start({ closeTimeout: 3_000 });
      await settle();
      world.newest.stream.goSilent();
      let closedAt = 0;
      void connection.close().then(() => (closedAt = world.clock.now()));
      await world.advance(5_000);
      assert.ok(closedAt >= 3_000 && closedAt <= 3_200, `${closedAt}`);
    }));

  test("with an invalid code throws, and changes nothing", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      assert.throws(() => connection.close(1006), { code: "INVALID_ARGUMENT" });
      assert.equal(connection.status.state, "open");
    }));

  test("await using closes", () =>
    inWorld(async (world) => {
      const connection = world.start();
      await settle();
      await connection[Symbol.asyncDispose]();
      assert.equal(connection.state, "closed");
    }));

  test("from within a listener of each event", () =>
    inWorld(async (world) => {
      for (const event of ["connecting", "open", "waiting", "gap"] as const) {
        world.answers.push("REFUSED", "open", "open");
        const connection = world.start();
        connection.on(event, () => void connection.close());
        await world.advance(1_500);
        if (event === "gap") {
          world.server.terminate();
          await world.advance(5_000);
        }
        assert.equal(connection.state, "closed", event);
        assert.equal(world.clock.pending, 0, event);
        world.answers.length = 0;
      }
    }));
});

describe("a listener that throws", () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  beforeEach(() => {
    warnings.length = 0;
    process.on("warning", onWarning);
  });
  afterEach(() => void process.off("warning", onWarning));

  test("closes with 1011, permanently", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const errors: unknown[] = [];
      connection.on("error", (error) => errors.push(error.cause));
      const thrown = new Error("oops");
      connection.on("message", () => {
        throw thrown;
      });
      await settle();
      world.server.write("a");
      const { error } = await connection.closed;
      assert.deepEqual([error?.code, errors], ["HANDLER_FAILED", [thrown]]);
      assert.equal((await world.server.closed).code, 1011);
      await world.advance(10_000);
      assert.equal(world.attempts.length, 1);
      assert.deepEqual(warnings, []);
    }));

  test("is reported as a warning without an error listener", () =>
    inWorld(async (world) => {
      world.otherwise = "REFUSED";
      const connection = world.start();
      connection.on("waiting", async () => {
        throw new Error("oops");
      });
      assert.equal((await connection.closed).error?.code, "HANDLER_FAILED");
      await settle();
      assert.deepEqual(
        warnings.map(({ message }) => message),
        ["oops"],
      );
    }));
});

describe("invalid options", () => {
  const wrong: [string, ReconnectOptions | Record<string, unknown>, RegExp][] = [
    [
      "backoff.initialDelay",
      { backoff: { initialDelay: 0 } },
      /backoff\.initialDelay must be an integer from 1 to 2147483647 \(ms\)/,
    ],
    [
      "backoff.maxDelay",
      { backoff: { maxDelay: -1 } },
      /backoff\.maxDelay must be an integer from 1 to 2147483647 \(ms\)/,
    ],
    [
      "backoff.resetAfter",
      { backoff: { resetAfter: 1.5 } },
      /backoff\.resetAfter must be an integer from 1 to 2147483647 \(ms\)/,
    ],
    ["outbox.size", { outbox: { size: -1 } }, /outbox\.size must be an integer/],
    [
      "outbox.policy",
      { outbox: { policy: "hope" } },
      /outbox\.policy must be one of "reject", "drop-oldest", "wait", got "hope"/,
    ],
    ["providerTimeout", { providerTimeout: 0 }, /providerTimeout must be an integer from 1 to 2147483647 \(ms\)/],
    ["retry", { retry: true }, /retry must be a function, got true/],
    ["random", { random: 4 }, /random must be a function/],
    ["connect", { connect: {} }, /connect must be a function/],
    ["watchNetworks", { watchNetworks: "yes" }, /watchNetworks must be true or false/],
    ["headers", { headers: { "bad name": "x" } }, /bad name/],
    ["timeout", { timeout: 0 }, /timeout must be an integer from 1 to 2147483647 \(ms\)/],
    ["maxRedirects", { maxRedirects: -1 }, /maxRedirects must be an integer/],
    ["localPort", { localPort: 70_000 }, /localPort/],
    ["tls", { tls: { pins: [] } }, /pins/],
    ["heartbeat", { heartbeat: { interval: 0 } }, /heartbeat\.interval/],
    ["signal", { signal: "stop" }, /signal must be an AbortSignal/],
    ["protocols", { protocols: ["a b"] }, /each of protocols must be a token/],
    ["origin", { origin: "a\nb" }, /origin must be a header value/],
    ["handshakeTimeout", { handshakeTimeout: 0 }, /handshakeTimeout must be an integer from 1 to 2147483647 \(ms\)/],
    ["handshakeLimits", { handshakeLimits: { maxHeaders: -1 } }, /maxHeaders/],
  ];
  for (const [name, options, message] of wrong) {
    test(name, () => {
      assert.throws(() => reconnecting("ws://127.0.0.1/", options), {
        code: "INVALID_ARGUMENT",
        message,
      });
    });
  }

  test("an invalid URL", () => {
    assert.throws(() => reconnecting("nonsense"), { code: "INVALID_URL" });
    assert.throws(() => reconnecting("ftp://server/"), { code: "INVALID_URL" });
  });
});
