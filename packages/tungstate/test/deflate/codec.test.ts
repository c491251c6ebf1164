import { type DeflateParams, WebSocketError } from "@tungstate/protocol";
import fc from "fast-check";
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import zlib from "node:zlib";
import { defaultRuntime } from "../../src/native/runtime.ts";
import { ZlibPool } from "../../src/native/zlib-pool.ts";
import { MAX_FINAL_BLOCKS } from "../../src/deflate/synchronous.ts";
import {
  anyMessage,
  anyParams,
  bytesOf,
  codec,
  fromHex,
  jobCounts,
  kept,
  LivePeer,
  NO_TAKEOVER,
  received,
  TAKEOVER,
  toHex,
} from "./support.ts";

const MiB = 1024 * 1024;

/**
 * All ways to inflate: synchronously by a pooled stream or by public functions, and asynchronously.
 */
const WAYS = [
  { way: "a pooled stream", keep: true, later: false },
  { way: "public functions", keep: false, later: false },
  { way: "another thread", keep: true, later: true },
] as const;

/**
 * A payload that is processed asynchronously if requested: split into many empty pieces, it is too
 * large for synchronous work.
 */
function arrived(bytes: Uint8Array, later: boolean) {
  const payload = received(bytes);
  return later ? { ...payload, size: 2 ** 30 } : payload;
}

for (const { way, keep, later } of WAYS) {
  describe(`inflating with ${way}`, () => {
    const resources = { zlib: new ZlibPool(keep), deflateJobs: defaultRuntime.deflateJobs };
    const newCodec = (params?: DeflateParams) => {
      resources.zlib.evict();
      return codec(params, "server", undefined, resources);
    };

    // RFC 7692 §7.2.3, consecutive messages of a connection with context takeover
    const VECTORS: readonly [section: string, messages: readonly [hex: string, text: string][]][] = [
      ["7.2.3.1, a message", [["f248cdc9c90700", "Hello"]]],
      [
        "7.2.3.2, sharing the window",
        [
          ["f248cdc9c90700", "Hello"],
          ["f200110000", "Hello"],
        ],
      ],
      ["7.2.3.3, a block without compression", [["000500faff48656c6c6f00", "Hello"]]],
      ["7.2.3.4, a final block", [["f348cdc9c9070000", "Hello"]]],
      ["7.2.3.5, two blocks", [["f24805000000ffffcac9c90700", "Hello"]]],
      ["7.2.3.6, an empty message", [["00", ""]]],
      ["final blocks and an empty one", [["f348cdc9c90700f348cdc9c9070000", "HelloHello"]]],
      [
        "a final block and nothing behind it",
        [
          ["f348cdc9c90700", "Hello"],
          ["f348cdc9c9070000", "Hello"],
        ],
      ],
      [
        "the window across a final block",
        [
          ["f348cdc9c9070000", "Hello"],
          ["f200110000", "Hello"],
        ],
      ],
      ["blocks without data at the end", [["f248cdc9c907000000ffff000000ffff00", "Hello"]]],
      [
        "nothing but blocks without data",
        [
          ["000000ffff000000ffff00", ""],
          ["0300", ""],
          ["0200", ""],
          ["0300030000", ""],
        ],
      ],
    ];
    for (const [name, messages] of VECTORS) {
      test(name, async () => {
        const one = newCodec(TAKEOVER);
        for (const [hex, text] of messages) {
          const inflated = await kept(one.inflate(arrived(fromHex(hex), later), 100));
          assert.ok(inflated instanceof Uint8Array, String(inflated));
          assert.equal(Buffer.from(inflated).toString(), text);
        }
        one.close();
      });
    }

    const BROKEN: readonly [string, string][] = [
      ["a block of the reserved type", "06"],
      ["a length that does not match its complement", "000500faff48656c6c6f0005"],
      ["a block that is cut off", "f248cdc9"],
      ["a block without compression that is cut off", "000500faff4865"],
      ["a reference to before the beginning", "f200110000"],
      ["a tail that was not cut off", "f248cdc9c907000000ffff"],
      ["no data at all", ""],
      ["something behind a final block", "f348cdc9c90700ff"],
      ["a text that was not deflated", "48656c6c6f"],
    ];
    for (const [name, hex] of BROKEN) {
      test(`rejects ${name}`, async () => {
        const one = newCodec();
        const error = await kept(one.inflate(arrived(fromHex(hex), later), 1000));
        assert.ok(error instanceof WebSocketError, String(error));
        assert.equal(error.code, "INVALID_DEFLATE");
        assert.equal(error.closeCode, 1007);
        // and is not affected
        const inflated = await kept(one.inflate(arrived(fromHex("f248cdc9c90700"), later), 1000));
        assert.ok(inflated instanceof Uint8Array);
        assert.equal(Buffer.from(inflated).toString(), "Hello");
        one.close();
      });
    }

    test("counts the output against the limit", async () => {
      for (const size of [1, 2, 1000, 65536]) {
        const deflated = zlib.deflateRawSync(Buffer.alloc(size, 7), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
        const payload = arrived(deflated.subarray(0, -4), later);
        for (const [limit, allowed] of [
          [size - 1, false],
          [size, true],
          [size + 1, true],
          [Infinity, true],
        ] as const) {
          const one = newCodec();
          const inflated = await kept(one.inflate(payload, limit));
          if (allowed) {
            assert.ok(inflated instanceof Uint8Array, `${size} bytes within ${limit}: ${String(inflated)}`);
            assert.equal(inflated.length, size);
          } else {
            assert.ok(inflated instanceof WebSocketError);
            assert.equal(inflated.code, "MESSAGE_TOO_BIG");
            assert.equal(inflated.closeCode, 1009);
          }
          one.close();
        }
      }
    });

    test("accepts a limited number of final blocks", async () => {
      const one = newCodec();
      const blocks = (count: number) => arrived(fromHex("0300".repeat(count) + "00"), later);
      const most = await kept(one.inflate(blocks(MAX_FINAL_BLOCKS), 10));
      assert.ok(most instanceof Uint8Array, String(most));
      assert.equal(most.length, 0);
      const more = await kept(one.inflate(blocks(MAX_FINAL_BLOCKS + 1), 10));
      assert.ok(more instanceof WebSocketError);
      assert.equal(more.code, "INVALID_DEFLATE");
      one.close();
    });

    test("exposes nothing of another connection's messages", async () => {
      const one = newCodec(TAKEOVER);
      const other = newCodec(TAKEOVER);
      assert.ok((await kept(one.inflate(arrived(fromHex("f248cdc9c90700"), later), 100))) instanceof Uint8Array);
      const peeked = await kept(other.inflate(arrived(fromHex("f200110000"), later), 100));
      assert.ok(peeked instanceof WebSocketError);
      assert.equal(peeked.code, "INVALID_DEFLATE");
      one.close();
      other.close();
    });
  });
}

describe("deflating", () => {
  const similar = (index: number) => bytesOf(JSON.stringify({ index, name: "a name", values: [1, 2, 3, index * 7] }));

  for (const keep of [true, false]) {
    test(`equals zlib's output, with ${keep ? "a pooled stream" : "public functions"}`, () => {
      const resources = { zlib: new ZlibPool(keep), deflateJobs: defaultRuntime.deflateJobs };
      const one = codec(NO_TAKEOVER, "server", { threshold: 0, level: 6, memLevel: 7 }, resources);
      for (let index = 0; index < 20; index++) {
        const message = bytesOf(JSON.stringify(Array.from({ length: index * 10 + 5 }, (_, at) => ({ at, index }))));
        const expected = zlib.deflateRawSync(message, { memLevel: 7, finishFlush: zlib.constants.Z_SYNC_FLUSH });
        assert.equal(toHex(one.deflate(message) as Uint8Array), toHex(expected.subarray(0, -4)));
      }
    });
  }

  test("does not change messages that do not become smaller, are below the threshold, or empty", async () => {
    let state = 1;
    const noise = new Uint8Array(70_000).map(() => (state = Math.imul(state, 1664525) + 1013904223) >>> 24);
    const one = codec(TAKEOVER, "server", { threshold: 100, asyncThreshold: 2000 });
    assert.equal(one.deflate(noise.subarray(0, 500)), undefined);
    const later = one.deflate(noise);
    assert.ok(later instanceof Promise);
    assert.equal(await later, undefined);
    const text = "x".repeat(100);
    assert.equal(one.deflate(text.slice(1)), undefined);
    assert.equal(one.deflate(bytesOf(text.slice(1))), undefined);
    assert.ok(one.deflate(text) instanceof Uint8Array);
    assert.ok(one.deflate(bytesOf(text)) instanceof Uint8Array);
    // the threshold counts bytes, not characters
    assert.ok(one.deflate("ä".repeat(50)) instanceof Uint8Array);
    assert.equal(one.deflate("ä".repeat(49)), undefined);
    const none = codec(TAKEOVER, "server", { threshold: 0 });
    assert.equal(none.deflate(""), undefined);
    assert.equal(none.deflate(new Uint8Array(0)), undefined);
    assert.equal(jobCounts(defaultRuntime).running, 0);
  });

  test("text and its bytes give the same output, synchronously and asynchronously", async () => {
    const texts = ["abc".repeat(100), "äöü".repeat(300), "\u{1f600}!".repeat(400), "a".repeat(999), "ä".repeat(999)];
    for (const text of texts) {
      const one = codec(NO_TAKEOVER, "client", { threshold: 0, asyncThreshold: 1024 });
      assert.equal(
        toHex((await kept(one.deflate(text))) ?? assert.fail()),
        toHex((await kept(one.deflate(bytesOf(text)))) ?? assert.fail()),
      );
    }
  });

  test("with context takeover, similar messages become smaller, and others do not", async () => {
    const size = async (params: DeflateParams, asyncThreshold: number) => {
      const one = codec(params, "server", { threshold: 0, asyncThreshold });
      const pad = asyncThreshold === 1024 ? JSON.stringify(Array.from({ length: 300 }, (_, at) => at * 3)) : "";
      let last = 0;
      for (let index = 0; index < 5; index++) {
        const deflated = await kept(one.deflate(Buffer.concat([similar(index), bytesOf(pad)])));
        assert.ok(deflated !== undefined);
        last = deflated.length;
      }
      one.close();
      return last;
    };
    for (const asyncThreshold of [65536, 1024]) {
      assert.ok((await size(TAKEOVER, asyncThreshold)) < (await size(NO_TAKEOVER, asyncThreshold)) / 2);
    }
  });

  test("with context takeover, short messages become smaller that would not alone", async () => {
    const one = codec(TAKEOVER, "server", { threshold: 0 });
    const peer = new LivePeer("inflate", 15);
    let grown = 0;
    let last = Infinity;
    for (let index = 0; index < 40; index++) {
      const message = bytesOf(`{"tick":${1000 + index * 7}}`);
      const deflated = await kept(one.deflate(message));
      assert.ok(deflated !== undefined, "it was sent as it is");
      assert.equal(toHex(await peer.inflate(deflated)), toHex(message));
      if (deflated.length >= message.length) grown++;
      last = deflated.length;
      assert.ok(deflated.length <= message.length + 5);
    }
    assert.ok(grown > 0 && grown < 3, `${grown} of them grew`);
    assert.ok(last < 10, `${last} bytes`);
    one.close();
    peer.close();
  });

  test("with context takeover, incompressible messages are soon sent uncompressed", () => {
    let state = 1;
    const noise = () => new Uint8Array(100).map(() => (state = Math.imul(state, 1664525) + 1013904223) >>> 24);
    const one = codec(TAKEOVER, "server", { threshold: 0 });
    let sent = 0;
    for (let index = 0; index < 100; index++) if (one.deflate(noise()) !== undefined) sent++;
    assert.ok(sent <= 6, `${sent} of them`);
    assert.equal(one.deflate(Buffer.concat([noise(), noise()])), undefined);
  });

  test("fragments that do not become smaller are sent as stored blocks", () => {
    const one = codec(NO_TAKEOVER, "server", { threshold: 1000 });
    assert.equal(toHex(one.deflateFragment(bytesOf("Hello"), true) as Uint8Array), "000500faff48656c6c6f00");
    assert.equal(toHex(one.deflateFragment(bytesOf("Hello"), false) as Uint8Array), "000500faff48656c6c6f000000ffff");
    assert.equal(toHex(one.deflateFragment(new Uint8Array(0), false) as Uint8Array), "");
    assert.equal(toHex(one.deflateFragment(new Uint8Array(0), true) as Uint8Array), "00");
  });
});

describe("round trips", () => {
  type Step = {
    readonly kind: "message" | "text" | "fragments" | "fresh" | "plain" | "dropped";
    readonly bytes: Uint8Array;
  };
  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom<Step["kind"]>("message", "message", "text", "fragments", "fresh", "plain", "dropped"),
      bytes: anyMessage,
    }),
    { maxLength: 12 },
  );

  const fresh = zlib.constants.Z_SYNC_FLUSH;

  /**
   * Runs each step through `sender` and passes the output to `wire`; undefined for an uncompressed
   * message.
   */
  async function send(
    sender: ReturnType<typeof codec>,
    list: readonly Step[],
    wire: (payload: Uint8Array | undefined, message: Uint8Array) => Promise<void>,
  ): Promise<void> {
    for (const { kind, bytes } of list) {
      switch (kind) {
        case "message":
          await wire(await kept(sender.deflate(bytes)), bytes);
          break;
        case "text": {
          const text = Buffer.from(bytes).toString("latin1");
          await wire(await kept(sender.deflate(text)), bytesOf(text));
          break;
        }
        case "fragments": {
          const third = Math.floor(bytes.length / 3);
          const parts = [bytes.subarray(0, third), bytes.subarray(third, 2 * third), bytes.subarray(2 * third)];
          const deflated: Uint8Array[] = [];
          for (const [index, part] of parts.entries()) {
            deflated.push((await kept(sender.deflateFragment(part, index === 2))) ?? assert.fail());
          }
          await wire(Buffer.concat(deflated), bytes);
          break;
        }
        case "fresh": {
          const windowBits = Math.max(9, sender.deflateWindowBits);
          const payload = zlib.deflateRawSync(bytes, { windowBits, finishFlush: fresh }).subarray(0, -4);
          sender.sentWithoutContext(bytes);
          await wire(bytes.length === 0 ? Uint8Array.of(0) : payload, bytes);
          break;
        }
        case "plain":
          await wire(undefined, bytes);
          break;
        case "dropped":
          await kept(sender.deflate(bytes));
          sender.resetDeflate();
          break;
      }
    }
  }

  for (const role of ["server", "client"] as const) {
    test(`from a ${role}, between two of ours, for any parameters`, async () => {
      const run = async (
        params: DeflateParams,
        list: readonly Step[],
        asyncThreshold: number,
        cuts: readonly number[],
      ) => {
        const sender = codec(params, role, { threshold: 0, asyncThreshold });
        const receiver = codec(params, role === "server" ? "client" : "server", { threshold: 0, asyncThreshold: 1024 });
        let cut = 0;
        await send(sender, list, async (payload, message) => {
          if (payload === undefined) return;
          const at = cuts.length === 0 ? 0 : cuts[cut++ % cuts.length] % (payload.length + 1);
          const pieces = received(payload.subarray(0, at), payload.subarray(at));
          const inflated = await kept(receiver.inflate(pieces, message.length));
          assert.ok(inflated instanceof Uint8Array, String(inflated));
          assert.equal(toHex(inflated), toHex(message));
        });
        sender.close();
        receiver.close();
      };
      await fc.assert(fc.asyncProperty(anyParams, steps, fc.constantFrom(1024, 65536), fc.array(fc.nat()), run), {
        numRuns: 60,
      });
    });
  }

  test("to an endpoint that keeps a live inflater with the negotiated window", async () => {
    const run = async (params: DeflateParams, list: readonly Step[], asyncThreshold: number) => {
      const sender = codec(params, "server", { threshold: 0, asyncThreshold });
      const peer = new LivePeer("inflate", params.serverMaxWindowBits);
      await send(sender, list, async (payload, message) => {
        if (payload === undefined) return;
        assert.equal(toHex(await peer.inflate(payload)), toHex(message));
      });
      sender.close();
      peer.close();
    };
    await fc.assert(fc.asyncProperty(anyParams, steps, fc.constantFrom(1024, 65536), run), { numRuns: 60 });
  });

  test("from an endpoint that keeps a live deflater", async () => {
    const run = async (windowBits: 9 | 10 | 15, messages: readonly Uint8Array[], asyncThreshold: number) => {
      const receiver = codec({ ...TAKEOVER, clientMaxWindowBits: windowBits }, "server", { asyncThreshold });
      const peer = new LivePeer("deflate", windowBits);
      for (const message of messages) {
        const payload = await peer.deflate(message);
        const inflated = await kept(receiver.inflate(received(payload), message.length));
        assert.ok(inflated instanceof Uint8Array, String(inflated));
        assert.equal(toHex(inflated), toHex(message));
      }
      receiver.close();
      peer.close();
    };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(9, 10, 15),
        fc.array(anyMessage, { maxLength: 10 }),
        fc.constantFrom(1024, 65536),
        run,
      ),
      { numRuns: 60 },
    );
  });
});

describe("the cost of one connection", () => {
  /** Deflates `count` MiB of zeros: 1 GiB of them is 1 MiB. */
  function bomb(count: number): Uint8Array {
    const piece = zlib.deflateRawSync(Buffer.alloc(MiB), { level: 9, finishFlush: zlib.constants.Z_FULL_FLUSH });
    return Buffer.concat([...Array.from({ length: count }, () => piece), Uint8Array.of(0)]);
  }

  test("a bomb of 1 GiB is rejected in the memory of the limit", async () => {
    const limit = 16 * MiB;
    const payload = bomb(1024);
    assert.ok(payload.length < 2 * MiB, String(payload.length));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers - before)), 1);
    const one = codec();
    // the same across many fragments, which are joined while compressed
    const pieces = Array.from({ length: Math.ceil(payload.length / 1000) }, (_, at) =>
      payload.subarray(at * 1000, at * 1000 + 1000),
    );
    const result = await kept(one.inflate(received(...pieces), limit));
    clearInterval(watch);
    assert.ok(result instanceof WebSocketError);
    assert.equal(result.code, "MESSAGE_TOO_BIG");
    assert.ok(most < 2 * limit, `${most} bytes`);
    one.close();
    assert.deepEqual(jobCounts(defaultRuntime), { running: 0, waiting: 0 });
  });

  test("a small bomb does not block the event loop: it is inflated asynchronously and rejected there", async () => {
    const payload = bomb(12);
    assert.ok(payload.length < 65536);
    const one = codec();
    const result = one.inflate(received(payload), 8 * MiB);
    assert.ok(result instanceof Promise);
    const error = await result;
    assert.ok(error instanceof WebSocketError);
    assert.equal(error.code, "MESSAGE_TOO_BIG");
    // if the limit is below the synchronous threshold, it is rejected immediately
    const soon = one.inflate(received(payload), 1000);
    assert.ok(soon instanceof WebSocketError);
    assert.equal(soon.code, "MESSAGE_TOO_BIG");
    one.close();
  });

  test("closing ends its running and queued jobs", async () => {
    const payload = received(bomb(64));
    const codecs = Array.from({ length: 6 }, () => codec());
    const results = codecs.map((one) => kept(one.inflate(payload, 65 * MiB)));
    const large = new Uint8Array(MiB).fill(1);
    const deflated = codecs.map((one) => kept(one.deflate(large)));
    assert.deepEqual(jobCounts(defaultRuntime), { running: 2, waiting: 10 });
    for (const one of codecs) one.close();
    assert.deepEqual(jobCounts(defaultRuntime), { running: 0, waiting: 0 });
    assert.deepEqual(
      await Promise.all(results),
      Array.from(codecs, () => undefined),
    );
    assert.deepEqual(
      await Promise.all(deflated),
      Array.from(codecs, () => undefined),
    );
    // a closed one starts no others
    assert.equal(await codecs[0].inflate(payload, 65 * MiB), undefined);
    assert.equal(await codecs[0].deflate(large), undefined);
    assert.equal(await codecs[0].deflateFragment(large, true), undefined);
    assert.deepEqual(jobCounts(defaultRuntime), { running: 0, waiting: 0 });
  });

  test("jobs continue when others are cancelled", async () => {
    const payload = received(bomb(4));
    const codecs = Array.from({ length: 5 }, () => codec());
    const results = codecs.map((one) => kept(one.inflate(payload, 4 * MiB)));
    codecs[1].close();
    codecs[3].close();
    const sizes = (await Promise.all(results)).map((one) => (one instanceof Uint8Array ? one.length : one));
    assert.deepEqual(sizes, [4 * MiB, undefined, 4 * MiB, undefined, 4 * MiB]);
    assert.deepEqual(jobCounts(defaultRuntime), { running: 0, waiting: 0 });
  });

  test("a message must wait for the previous one", async () => {
    const one = codec();
    const large = new Uint8Array(MiB);
    const pending = one.deflate(large);
    assert.throws(() => one.deflate("a text"), { code: "INVALID_STATE" });
    assert.throws(() => one.sentWithoutContext(large), { code: "INVALID_STATE" });
    const inflating = one.inflate(received(bomb(1)), MiB);
    assert.throws(() => one.inflate(received(bomb(1)), MiB), { code: "INVALID_STATE" });
    assert.ok((await pending) instanceof Uint8Array);
    assert.ok((await inflating) instanceof Uint8Array);
    one.close();
  });
});
