import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HandshakeRejectedError } from "../../src/client/client.ts";
import type { Attempt, Ending } from "../../src/reconnecting/core/types.ts";
import type { ReconnectingConnection } from "../../src/reconnecting/types.ts";
import { inWorld, settle } from "./support.ts";

/** Records all state events of a connection. */
function reported(connection: ReconnectingConnection): string[] {
  const log: string[] = [];
  connection
    .on("connecting", ({ attempt, after }) =>
      log.push(`connecting ${attempt}${after === undefined ? "" : `, ${why(after)}`}`),
    )
    .on("open", (_connection, gap) => log.push(gap === undefined ? "open" : "open again"))
    .on("gap", ({ attempts, duration }) => log.push(`gap ${attempts} ${duration}`))
    .on("waiting", ({ delay, attempt }) => log.push(`waiting ${delay} for ${attempt}`))
    .on("error", ({ code }) => log.push(`error ${code}`))
    .on("close", ({ code }) => log.push(`close ${code}`));
  return log;
}

function why(ending: Ending): string {
  return ending.type === "closed" ? String(ending.info.code) : ending.error.code;
}

describe("a connection that reconnects", () => {
  test("connects at once, and reports its state", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const log = reported(connection);
      assert.deepEqual([connection.state, connection.status.state], ["connecting", "connecting"]);
      assert.equal(connection.writable, true);
      const current = await connection.ready();
      await settle();
      assert.deepEqual(log, ["connecting 1", "open"]);
      assert.deepEqual([connection.status.state, connection.current, connection.state], ["open", current, "open"]);
      assert.equal(await connection.ready(), current);
    }));

  test("replaces a lost connection", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const log = reported(connection);
      await world.advance(20_000);
      world.server.terminate();
      await settle();
      assert.equal(connection.current, undefined);
      assert.equal(connection.status.state, "waiting");
      assert.deepEqual([connection.state, connection.writable], ["waiting", true]);
      await world.advance(999);
      assert.equal(world.attempts.length, 1);
      await world.advance(1);
      assert.deepEqual(log, [
        "connecting 1",
        "open",
        "waiting 1000 for 1",
        "connecting 1, 1006",
        "gap 1 1000",
        "open again",
      ]);
      assert.deepEqual(world.attempts, [0, 21_000]);
    }));

  test("failed attempts are delayed more and more, and the delay restarts after a stable connection", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED", "UNREACHABLE", "TLS_EXPIRED", "HANDSHAKE_TIMEOUT", { status: 502 });
      const connection = world.start();
      const log = reported(connection);
      await world.advance(32_000);
      const waits = log.filter((line) => line.startsWith("waiting"));
      assert.deepEqual(
        waits,
        [1_000, 2_000, 4_000, 8_000, 15_000].map((wait, at) => `waiting ${wait} for ${at + 2}`),
      );
      assert.equal(connection.status.state, "open");
      await world.advance(10_000);
      world.server.terminate();
      await settle();
      assert.equal(log.at(-1), "waiting 1000 for 1");
    }));

  test("a short connection does not reset the delay", () =>
    inWorld(async (world) => {
      const connection = world.start();
      const log = reported(connection);
      for (const wait of [1_000, 2_000, 4_000]) {
        await world.advance(100);
        world.server.terminate();
        await world.advance(wait);
      }
      assert.deepEqual(
        log.filter((line) => line.startsWith("waiting")),
        ["waiting 1000 for 2", "waiting 2000 for 3", "waiting 4000 for 4"],
      );
    }));

  test("1012: back in 5 to 30 seconds", () =>
    inWorld(async (world) => {
      for (const [random, wait] of [
        [0, 5_000],
        [0.999_999, 30_000],
      ] as const) {
        world.random = random;
        const log = reported(world.start());
        await settle();
        void world.server.close(1012);
        await settle();
        assert.equal(log.at(-1), `waiting ${wait} for 2`);
      }
    }));

  test("503 with Retry-After delays the next attempt until then", () =>
    inWorld(async (world) => {
      world.random = 0;
      world.answers.push({ status: 503, headers: { "Retry-After": "20" } });
      world.start();
      await world.advance(19_999);
      assert.equal(world.attempts.length, 1);
      await world.advance(1);
      assert.deepEqual(world.attempts, [0, 20_000]);
    }));

  test("404 ends it with the server's response", () =>
    inWorld(async (world) => {
      world.answers.push({ status: 404, body: "nothing here\n" });
      const connection = world.start();
      const log = reported(connection);
      await assert.rejects(
        connection.ready(),
        (error) => error instanceof HandshakeRejectedError && error.response.status === 404,
      );
      const { code, clean, error } = await connection.closed;
      assert.deepEqual([code, clean, error?.code], [1006, false, "UNEXPECTED_STATUS"]);
      assert.deepEqual(log, ["connecting 1", "error UNEXPECTED_STATUS", "close 1006"]);
      assert.deepEqual([connection.state, connection.write("late")], ["closed", false]);
      await assert.rejects(connection.send("late"), { code: "NOT_OPEN" });
      await world.advance(100_000);
      assert.equal(world.attempts.length, 1);
    }));

  test("1008 ends it with an error, 1000 without one", () =>
    inWorld(async (world) => {
      for (const [code, error, lines] of [
        [1008, "FATAL_CLOSE", ["error FATAL_CLOSE", "close 1008"]],
        [1000, undefined, ["close 1000"]],
      ] as const) {
        const connection = world.start();
        const log = reported(connection);
        await settle();
        void world.server.close(code, "enough");
        const info = await connection.closed;
        assert.deepEqual([info.code, info.reason, info.clean, info.error?.code], [code, "enough", true, error]);
        assert.deepEqual(log.slice(2), lines);
      }
    }));

  test("retry overrides the decision, in both directions", () =>
    inWorld(async (world) => {
      const asked: string[] = [];
      world.answers.push({ status: 404 });
      const stubborn = world.start({
        retry: (ending, attempt) => {
          asked.push(`${attempt} ${why(ending)}`);
          return ending.type === "failed" ? true : undefined;
        },
      });
      await world.advance(1_000);
      assert.equal(stubborn.status.state, "open");
      void world.server.close(1000);
      await stubborn.closed;
      assert.deepEqual(asked, ["1 UNEXPECTED_STATUS", "2 1000"]);

      const quick = world.start({ retry: ({ type }, attempt) => (type === "closed" ? false : attempt < 3) });
      await settle();
      void world.server.close(4001, "other place");
      const info = await quick.closed;
      assert.deepEqual([info.code, info.error?.code], [4001, "FATAL_CLOSE"]);
      assert.match(info.error?.message ?? "", /4001 other place/);

      world.otherwise = "REFUSED";
      const few = world.start({ retry: (_ending, attempt) => attempt < 3 });
      const log = reported(few);
      await world.advance(10_000);
      assert.equal((await few.closed).error?.code, "REFUSED");
      assert.equal(log.filter((line) => line.startsWith("connecting")).length, 3);
    }));

  test("a throwing retry function ends it", () =>
    inWorld(async (world) => {
      world.answers.push("REFUSED");
      const connection = world.start({
        retry: () => {
          throw new Error("oops");
        },
      });
      const log = reported(connection);
      const { error } = await connection.closed;
      assert.deepEqual([error?.code, error?.message.includes("oops")], ["HANDLER_FAILED", true]);
      assert.deepEqual(log, ["connecting 1", "error HANDLER_FAILED", "close 1006"]);
    }));
});

describe("functions for url and headers", () => {
  test("protocols may be a function, which is called before each attempt", () =>
    inWorld(async (world) => {
      const attempts: number[] = [];
      const connection = world.start({
        protocols: ({ attempt }) => {
          attempts.push(attempt);
          return Promise.resolve([`v${attempts.length}`, "other"]);
        },
      });
      await settle();
      assert.deepEqual(world.newest.request.protocols, ["v1", "other"]);
      world.server.terminate();
      await world.advance(30_000);
      assert.deepEqual(world.newest.request.protocols, ["v2", "other"]);
      assert.deepEqual(attempts, [1, 2]);
      assert.equal(connection.state, "open");
    }));

  test("are called before each attempt, with its reason", () =>
    inWorld(async (world) => {
      const asked: Attempt[] = [];
      let token = 0;
      const connection = world.start({ headers: async () => ({ authorization: `Bearer ${++token}` }) }, (attempt) => {
        asked.push(attempt);
        return `ws://server/${asked.length}`;
      });
      await connection.ready();
      await world.advance(10_000);
      void world.server.close(1001);
      await world.advance(1_000);
      assert.deepEqual(
        world.served.map(({ request }) => [request.path, request.headers.get("authorization")]),
        [
          ["/1", "Bearer 1"],
          ["/2", "Bearer 2"],
        ],
      );
      assert.deepEqual(
        asked.map(({ attempt, after }) => [attempt, after && why(after)]),
        [
          [1, undefined],
          [1, "1001"],
        ],
      );
    }));

  test("other credentials are tried once after a rejection", () =>
    inWorld(async (world) => {
      world.answers.push({ status: 401 }, "open", { status: 401 }, { status: 403 });
      const refused: unknown[] = [];
      const connection = world.start({
        headers: ({ after }) => {
          refused.push(after?.type === "failed" && after.error instanceof HandshakeRejectedError);
          return {};
        },
      });
      const log = reported(connection);
      await world.advance(1_000);
      assert.equal(connection.status.state, "open");
      await world.advance(10_000);
      world.server.terminate();
      await world.advance(10_000);
      assert.deepEqual(refused, [false, true, false, true]);
      assert.deepEqual(log.slice(-2), ["error UNEXPECTED_STATUS", "close 1006"]);
    }));

  test("without such a function 401 is the end", () =>
    inWorld(async (world) => {
      world.answers.push({ status: 401 });
      const { error } = await world.start({ headers: { authorization: "Bearer 1" } }).closed;
      assert.equal(error?.code, "UNEXPECTED_STATUS");
    }));

  test("one that fails, or takes too long, is a failed attempt", () =>
    inWorld(async (world) => {
      let signal: AbortSignal | undefined;
      const connection = world.start({
        providerTimeout: 500,
        headers: (attempt) => {
          if (attempt.attempt === 1) throw new Error("no token");
          if (attempt.attempt > 2) return {};
          ({ signal } = attempt);
          return new Promise(() => undefined);
        },
      });
      const endings: Ending[] = [];
      connection.on("waiting", ({ after }) => endings.push(after));
      await world.advance(1_500);
      assert.equal(signal?.aborted, true);
      assert.deepEqual(endings.map(why), ["PROVIDER_FAILED", "PROVIDER_TIMEOUT"]);
      const [first] = endings;
      assert.ok(first?.type === "failed" && first.error.cause instanceof Error);
      assert.match(first.error.message, /no token/);
      await world.advance(2_000);
      assert.equal(connection.status.state, "open");
    }));

  test("an invalid URL ends it", () =>
    inWorld(async (world) => {
      const { error } = await world.start({}, () => "nonsense").closed;
      assert.equal(error?.code, "INVALID_URL");
    }));
});

describe("dead links", () => {
  test("are detected by the heartbeat, and replaced", () =>
    inWorld(async (world) => {
      const connection = world.start({ heartbeat: { interval: 10_000, timeout: 5_000 } });
      const log = reported(connection);
      await world.advance(1_000);
      world.newest.stream.goSilent();
      await world.advance(40_000);
      assert.ok(log.includes("open again"), log.join("; "));
      assert.equal(connection.status.state, "open");
    }));
});

const ETHERNET = { netmask: "255.255.255.0", mac: "02:00:00:00:00:01", family: "IPv4", internal: false } as const;
const LOOPBACK = { ...ETHERNET, address: "127.0.0.1", cidr: "127.0.0.1/8", internal: true } as const;

describe("a change of networks", () => {
  test("ends a delay when there is a new address", () =>
    inWorld(async (world) => {
      world.interfaces = { lo: [LOOPBACK] };
      world.random = 0.9;
      world.otherwise = "UNREACHABLE";
      const connection = world.start();
      const offline: boolean[] = [];
      connection.on("waiting", (waiting) => offline.push(waiting.offline));
      await world.advance(40_000);
      const { status } = connection;
      assert.ok(status.state === "waiting" && status.delay > 20_000);
      const before = world.attempts.length;
      world.otherwise = "open";
      world.interfaces = { lo: [LOOPBACK], eth0: [{ ...ETHERNET, address: "192.168.1.7", cidr: null }] };
      await world.advance(1_000);
      assert.equal(world.attempts.length, before + 1);
      assert.equal(connection.status.state, "open");
      assert.ok(offline.every(Boolean));
      world.server.terminate();
      await settle();
      assert.equal(offline.at(-1), false);
    }));

  test("an address that disappears, a link-local one and the same one again do not end a delay", () =>
    inWorld(async (world) => {
      const eth0 = [{ ...ETHERNET, address: "192.168.1.7", cidr: null }];
      world.interfaces = { eth0, wlan0: [{ ...ETHERNET, address: "10.0.0.7", cidr: null }] };
      world.random = 0.99;
      world.otherwise = "UNREACHABLE";
      world.start({ backoff: { initialDelay: 30_000 } });
      await world.advance(2_000);
      world.interfaces = { eth0 };
      await world.advance(2_000);
      const linkLocal = { ...ETHERNET, address: "fe80::1", cidr: null, family: "IPv6", scopeid: 3 } as const;
      world.interfaces = { eth0, veth0: [linkLocal] };
      await world.advance(2_000);
      world.interfaces = { veth0: [linkLocal], eth0 };
      await world.advance(2_000);
      assert.deepEqual(world.attempts, [0]);
    }));

  test("only requested interfaces count", () =>
    inWorld(async (world) => {
      world.random = 0.99;
      world.otherwise = "UNREACHABLE";
      world.start({ interface: ["wwan0"], backoff: { initialDelay: 30_000 } });
      await world.advance(2_000);
      const eth0 = [{ ...ETHERNET, address: "192.168.1.7", cidr: null }];
      world.interfaces = { eth0 };
      await world.advance(2_000);
      assert.equal(world.attempts.length, 1);
      world.interfaces = { eth0, wwan0: [{ ...ETHERNET, address: "100.64.0.1", cidr: null }] };
      await world.advance(2_000);
      assert.equal(world.attempts.length, 2);
    }));

  test("networks that change continually do not cause a storm of attempts", () =>
    inWorld(async (world) => {
      world.random = 0.99;
      world.otherwise = "UNREACHABLE";
      world.start({ backoff: { initialDelay: 30_000 } });
      for (let count = 0; count < 100; count++) {
        world.interfaces = { eth0: [{ ...ETHERNET, address: `10.0.0.${count}`, cidr: null }] };
        await world.advance(100);
      }
      assert.ok(world.attempts.length <= 11, `${world.attempts.length} attempts in 10 s`);
      assert.ok(world.attempts.every((at, index) => index === 0 || at - (world.attempts[index - 1] ?? 0) >= 1_000));
    }));

  test("a delay requested by the server is kept", () =>
    inWorld(async (world) => {
      world.random = 0.9;
      world.answers.push({ status: 503, headers: { "Retry-After": "20" } });
      const connection = world.start({ backoff: { initialDelay: 30_000 } });
      await world.advance(5_000);
      world.interfaces = { eth0: [{ ...ETHERNET, address: "192.168.1.7", cidr: null }] };
      connection.retryNow();
      await world.advance(14_900);
      assert.deepEqual(world.attempts, [0]);
      await world.advance(100);
      assert.deepEqual(world.attempts, [0, 20_000]);
    }));

  test("can be disabled", () =>
    inWorld(async (world) => {
      world.otherwise = "UNREACHABLE";
      world.start({ watchNetworks: false, backoff: { initialDelay: 30_000 } });
      await world.advance(2_000);
      world.interfaces = { eth0: [{ ...ETHERNET, address: "192.168.1.7", cidr: null }] };
      await world.advance(5_000);
      assert.deepEqual([world.attempts.length, world.clock.pending], [1, 1]);
    }));

  test("retryNow skips the delay", () =>
    inWorld(async (world) => {
      world.answers.push("UNREACHABLE");
      const connection = world.start({ backoff: { initialDelay: 30_000 } });
      connection.retryNow(); // there is no delay
      await world.advance(300);
      connection.retryNow();
      await world.advance(0);
      assert.deepEqual(world.attempts, [0, 300]);
    }));
});
