import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { client } from "../../src/client/client.ts";
import { connect as connectTo } from "../../src/client/connect.ts";
import { accept } from "../../src/server/accept.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import {
  type ConditionedStream,
  conditions,
  type ConditionsOptions,
  memoryPipe,
  VirtualClock,
} from "../../src/testing/index.ts";
import { selfSigned } from "../support/pairs.ts";

interface Arrival {
  readonly at: number;
  readonly text: string;
}

interface Setting {
  readonly clock: VirtualClock;
  /** Lets written data enter the stream, then advances by `ms`. */
  readonly advance: (ms: number) => Promise<void>;
  /** Under conditions. */
  readonly near: ConditionedStream;
  readonly far: Duplex;
  /** What has arrived at each end, and when. */
  readonly atNear: Arrival[];
  readonly atFar: Arrival[];
}

function setUp(options: ConditionsOptions): Setting {
  const clock = new VirtualClock();
  const [below, far] = memoryPipe();
  const near = conditions(below, { clock, ...options });
  const listen = (stream: Duplex): Arrival[] => {
    const arrivals: Arrival[] = [];
    stream.on("data", (chunk) => arrivals.push({ at: clock.now(), text: String(chunk) }));
    stream.on("end", () => arrivals.push({ at: clock.now(), text: "end" }));
    stream.on("error", (error: NodeJS.ErrnoException) => {
      arrivals.push({ at: clock.now(), text: error.code ?? error.message });
    });
    return arrivals;
  };
  const advance = async (ms: number): Promise<void> => {
    await clock.advance(0);
    await clock.advance(ms);
  };
  return { clock, advance, near, far, atNear: listen(near), atFar: listen(far) };
}

describe("a stream under conditions", () => {
  test("is unchanged without conditions", async () => {
    const { clock, advance, near, far, atNear, atFar } = setUp({});
    near.write("there");
    far.write("back");
    near.end();
    await advance(0);
    far.end();
    await advance(0);
    assert.deepEqual(
      atFar.map(({ text }) => text),
      ["there", "end"],
    );
    assert.deepEqual(
      atNear.map(({ text }) => text),
      ["back", "end"],
    );
    assert.ok(near.closed && far.closed);
    assert.equal(clock.pending, 0);
  });

  test("latency: bytes and the end arrive that much later, in each direction", async () => {
    const { advance, near, far, atNear, atFar } = setUp({ latency: 200 });
    near.write("a");
    await advance(100);
    near.end("b");
    far.end("c");
    await advance(99);
    assert.deepEqual([atFar, atNear], [[], []]);
    await advance(1);
    assert.deepEqual(atFar, [{ at: 200, text: "a" }]);
    await advance(100);
    assert.deepEqual(atFar.slice(1), [
      { at: 300, text: "b" },
      { at: 300, text: "end" },
    ]);
    assert.deepEqual(atNear, [
      { at: 300, text: "c" },
      { at: 300, text: "end" },
    ]);
  });

  test("jitter: later by at most that, in order, reproducible with a seed", async () => {
    const run = async (seed: number): Promise<Arrival[]> => {
      const { advance, near, atFar } = setUp({ latency: 100, jitter: 50, seed });
      for (let count = 0; count < 20; count++) {
        near.write(String.fromCharCode(65 + count));
        await advance(20);
      }
      await advance(200);
      return atFar;
    };
    const [first, again, another] = [await run(7), await run(7), await run(8)];
    assert.equal(first.map(({ text }) => text).join(""), "ABCDEFGHIJKLMNOPQRST");
    first.forEach(({ at, text }) => {
      const late = at - (text.charCodeAt(0) - 65) * 20;
      assert.ok(late >= 100 && late <= 150, `${text}: ${late} ms`);
    });
    assert.deepEqual(again, first);
    assert.notDeepEqual(another, first);
  });

  test("bandwidth: that many bytes a second, with back pressure", async () => {
    const { clock, advance, near, atFar } = setUp({ bandwidth: 10_000 });
    const size = 200_000;
    let drained = 0;
    near.on("drain", () => (drained = clock.now()));
    assert.equal(near.write("x".repeat(size)), false);
    await advance(10_000);
    const half = atFar.reduce((sum, { text }) => sum + text.length, 0);
    assert.ok(Math.abs(half - size / 2) < 3_000, `${half} bytes after half of the time`);
    await advance(9_999);
    assert.ok(atFar.reduce((sum, { text }) => sum + text.length, 0) < size);
    await advance(1);
    assert.equal(
      atFar.reduce((sum, { text }) => sum + text.length, 0),
      size,
    );
    // what is still in transit then fits the line and the buffer before it
    assert.ok(drained > 13_000 && drained < 14_000, `drained at ${drained}`);
  });

  test("chunking: chunks of one size, or of random sizes", async () => {
    const one = setUp({ chunking: 3 });
    one.near.write("abcdefgh");
    one.far.write("ijkl");
    await one.advance(0);
    assert.deepEqual(
      one.atFar.map(({ text }) => text),
      ["abc", "def", "gh"],
    );
    assert.deepEqual(
      one.atNear.map(({ text }) => text),
      ["ijk", "l"],
    );

    const random = setUp({ chunking: { min: 2, max: 5 } });
    random.near.write("x".repeat(1_000));
    await random.advance(0);
    const sizes = random.atFar.map(({ text }) => text.length);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      1_000,
    );
    assert.deepEqual(
      [...new Set(sizes.slice(0, -1))].toSorted((a, b) => a - b),
      [2, 3, 4, 5],
    );
  });

  test("stall: a lost segment delays what follows it", async () => {
    const { advance, near, atFar } = setUp({ latency: 10, stall: { chance: 0.1, duration: 300 }, seed: 3 });
    for (let count = 0; count < 200; count++) {
      near.write(".");
      await advance(1);
    }
    await advance(1_000);
    assert.equal(atFar.map(({ text }) => text).join(""), ".".repeat(200));
    const times = [...new Set(atFar.map(({ at }) => at))];
    const pauses = times.slice(1).filter((at, index) => at - (times[index] ?? 0) > 50);
    // within a stall others are hidden
    assert.ok(pauses.length >= 1 && pauses.length <= 3, `${pauses.length} pauses`);
  });

  test("stall: manual", async () => {
    const { advance, near, atFar } = setUp({ latency: 10 });
    near.write("a");
    near.stall(500);
    near.write("b");
    await advance(499);
    assert.deepEqual(atFar, []);
    await advance(1);
    assert.deepEqual(
      atFar.map(({ at }) => at),
      [500, 500],
    );
    near.write("c");
    await advance(10);
    assert.deepEqual(atFar.at(-1), { at: 510, text: "c" });
  });

  for (const halfOpen of [1_000, { after: 1_000 }, { afterBytes: 4 }]) {
    test(`half-open: nothing is delivered, and nothing reports it (${JSON.stringify(halfOpen)})`, async () => {
      const { clock, advance, near, far, atNear, atFar } = setUp({ halfOpen });
      near.write("ab");
      far.write("cd");
      await advance(1_000);
      for (const stream of [near, far]) assert.ok(stream.write("lost"));
      far.end();
      await advance(100_000);
      assert.deepEqual([atFar, atNear], [[{ at: 0, text: "ab" }], [{ at: 0, text: "cd" }]]);
      assert.ok(!near.destroyed && near.writable && near.readable);
      near.destroy();
      await advance(0);
      assert.ok(far.destroyed);
      assert.equal(clock.pending, 0);
    });
  }

  for (const reset of [1_000, { afterBytes: 3 }]) {
    test(`reset: both ends are notified (${JSON.stringify(reset)})`, async () => {
      const { clock, advance, near, atNear, atFar } = setUp({ reset });
      near.write("ab");
      await advance(999);
      assert.equal(atNear.length, 0);
      near.write("c");
      await advance(1);
      assert.deepEqual(
        atNear.map(({ text }) => text),
        ["ECONNRESET"],
      );
      assert.equal(atFar.at(-1)?.text, "ECONNRESET");
      assert.ok(near.destroyed);
      assert.equal(clock.pending, 0);
    });
  }

  test("direction: the other one is unchanged", async () => {
    for (const direction of ["in", "out"] as const) {
      const { advance, near, far, atNear, atFar } = setUp({ latency: 50, direction });
      near.write("a");
      far.write("b");
      await advance(50);
      assert.deepEqual([atNear[0]?.at, atFar[0]?.at], direction === "in" ? [50, 0] : [0, 50]);
    }
  });

  test("an underlying stream that fails ends the one above", async () => {
    const { advance, far, near, atNear } = setUp({ latency: 50 });
    far.destroy();
    await advance(0);
    assert.deepEqual(
      atNear.map(({ text }) => text),
      ["ECONNRESET"],
    );
    assert.ok(near.destroyed);
  });

  test("a written buffer may be reused at once", async () => {
    const { advance, near, atFar } = setUp({ latency: 50 });
    const bytes = Buffer.from("first");
    near.write(bytes);
    bytes.write("again");
    await advance(50);
    assert.equal(atFar[0]?.text, "first");
  });

  test("under any conditions, bytes arrive unchanged, in order, then the end", async () => {
    const time = fc.integer({ min: 0, max: 400 });
    const bad = fc.record({
      latency: time,
      jitter: time,
      bandwidth: fc.option(fc.integer({ min: 1_000, max: 1_000_000 }), { nil: Infinity }),
      chunking: fc.option(fc.integer({ min: 1, max: 3_000 }), { nil: 100_000 }),
      stall: fc.double({ min: 0, max: 1, noNaN: true }),
      seed: fc.integer(),
    });
    const writes = fc.array(fc.tuple(fc.integer({ min: 1, max: 5_000 }), time), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(bad, writes, async (options, steps) => {
        const { clock, advance, near, far, atNear, atFar } = setUp(options);
        let text = "";
        for (const [size, wait] of steps) {
          const part = String.fromCharCode(65 + (text.length % 26)).repeat(size);
          text += part;
          near.write(part);
          far.write(part);
          await advance(wait);
        }
        near.end();
        far.end();
        await advance(120_000);
        for (const arrivals of [atNear, atFar]) {
          assert.equal(
            arrivals
              .slice(0, -1)
              .map((arrival) => arrival.text)
              .join(""),
            text,
          );
          assert.equal(arrivals.at(-1)?.text, "end");
        }
        assert.equal(clock.pending, 0);
      }),
      { numRuns: 25 },
    );
  });

  test("invalid options are rejected", () => {
    const wrong: [ConditionsOptions, RegExp][] = [
      [{ latency: -1 }, /latency must be milliseconds, 0 at least, got -1/],
      [{ jitter: Number.NaN }, /jitter/],
      [{ bandwidth: 0 }, /bandwidth must be bytes per second, 1 at least, got 0/],
      [{ chunking: 0 }, /chunking/],
      [{ chunking: { min: 5, max: 4 } }, /chunking\.max must be 5 at least, got 4/],
      [{ stall: 2 }, /stall must be a chance from 0 to 1, got 2/],
      [{ stall: { chance: 0.1, duration: -1 } }, /stall\.duration/],
      [{ halfOpen: -1 }, /halfOpen\.after/],
      [{ reset: { afterBytes: 0 } }, /reset\.afterBytes/],
      [{ seed: 0.5 }, /seed must be an integer/],
    ];
    for (const [options, message] of wrong) {
      const [below] = memoryPipe();
      assert.throws(() => conditions(below, options), { code: "INVALID_ARGUMENT", message });
    }
    const [below] = memoryPipe();
    assert.throws(() => conditions(below, JSON.parse(`{"direction":"up"}`)), { code: "INVALID_ARGUMENT" });
  });
});

describe("WebSocket under conditions", () => {
  test("single bytes", async () => {
    const [below, other] = memoryPipe();
    const near = conditions(below, { chunking: 1 });
    const [one, two] = await Promise.all([client("ws://localhost/", near), accept(other)]);
    two.on("message", (message) => two.write(message));
    one.write("x".repeat(500));
    for await (const message of one) {
      assert.equal(message.text.length, 500);
      break;
    }
    await one.close();
    assert.equal((await two.closed).clean, true);
  });

  test("a dead link is detected by the heartbeat", async () => {
    const clock = new VirtualClock();
    const [below, other] = memoryPipe();
    const near = conditions(below, { clock, halfOpen: 60_000 });
    const options = { clock, heartbeat: { interval: 10_000, timeout: 5_000 } };
    const [one, two] = await Promise.all([client("ws://localhost/", near, options), accept(other, { clock })]);
    let endedAt = 0;
    void one.closed.then(() => (endedAt = clock.now()));
    await clock.advance(60_000);
    assert.equal(one.state, "open");
    await clock.advance(30_000);
    const info = await one.closed;
    assert.deepEqual([info.code, info.error?.code], [1006, "HEARTBEAT_TIMEOUT"]);
    // a deadline is up to 50 ms late
    assert.ok(endedAt >= 65_000 && endedAt <= 65_100, `${endedAt}`);
    await two.closed;
  });

  test("on sockets", async () => {
    const server = createServer((socket) => {
      accept(conditions(socket, { latency: 5, chunking: 7 })).then(
        (connection) => connection.on("message", (message) => connection.write(message)),
        () => undefined, // the second one, which is reset
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const connected = (): Socket => connect((server.address() as AddressInfo).port, "127.0.0.1");
    const near = conditions(connected(), { latency: 5, jitter: 5 });
    const one = await client("ws://localhost/", near);
    one.write("x".repeat(100_000));
    for await (const message of one) {
      assert.equal(message.text.length, 100_000);
      break;
    }
    assert.ok((await one.ping()) >= 20);
    await one.close();

    const raw = connected();
    const reset = conditions(raw, {});
    await once(raw, "connect");
    reset.reset();
    const [error] = (await once(reset, "error").catch((caught: unknown) => [caught])) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    server.close();
    await once(server, "close");
  });
});

describe("connect with wrap", () => {
  const { key, cert } = selfSigned();
  for (const tls of [undefined, { key, cert }]) {
    test(`puts conditions below ${tls === undefined ? "the handshake" : "TLS"}`, async () => {
      const server = new WebSocketServer();
      server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
      const address = await server.listen(tls === undefined ? {} : { tls });
      const { port } = address as AddressInfo;
      let wrapped: ConditionedStream | undefined;
      const connection = await connectTo(`${tls === undefined ? "ws" : "wss"}://localhost:${port}/`, {
        tls: { ca: cert },
        wrap: (stream) => (wrapped = conditions(stream, { chunking: 5 })),
      });
      connection.write("hello");
      for await (const message of connection) {
        assert.equal(message.text, "hello");
        break;
      }
      assert.equal(connection.route?.remotePort, port);
      wrapped?.reset();
      assert.equal((await connection.closed).error?.code, "CONNECTION_LOST");
      await server.close();
    });
  }

  test("must be a function", async () => {
    const wrap = true as unknown as (stream: Duplex) => Duplex;
    const refused = { code: "INVALID_ARGUMENT", message: /wrap must be a function, got true/ };
    await assert.rejects(connectTo("ws://localhost:9/", { wrap }), refused);
  });

  test("one that returns no stream leaves no socket behind", async () => {
    const server = new WebSocketServer();
    const { port } = (await server.listen()) as AddressInfo;
    const wraps = [
      () => {
        throw new TypeError("oops");
      },
      () => undefined as unknown as Duplex,
    ];
    for (const [at, wrap] of wraps.entries()) {
      let dialed: Duplex | undefined;
      const failure = connectTo(`ws://localhost:${port}/`, { wrap: (stream) => ((dialed = stream), wrap()) });
      await assert.rejects(
        failure,
        at === 0 ? { name: "TypeError" } : { code: "INVALID_ARGUMENT", message: /wrap must return a Duplex/ },
      );
      assert.equal(dialed?.destroyed, true);
    }
    await server.close();
  });
});
