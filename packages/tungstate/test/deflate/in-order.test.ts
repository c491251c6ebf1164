import {
  type DeflateEngine,
  type DeflateParams,
  type IncomingMessages,
  type Message,
  MessageCodec,
  type OutgoingMessages,
  PreparedMessage,
  Protocol,
  type ProtocolSink,
} from "@tungstate/protocol";
import fc from "fast-check";
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { constants, deflateRawSync } from "node:zlib";
import { connectionSettings } from "../../src/connection/options.ts";
import { type CompressionOptions, compressionSettings } from "../../src/deflate/settings.ts";
import { anyMessage, anyParams, jobCounts, NO_TAKEOVER, TAKEOVER } from "./support.ts";
import { newMessage } from "../support/messages.ts";
import { defaultRuntime } from "../../src/native/runtime.ts";
import { zlibEngine } from "../../src/deflate/engine.ts";

/** One end: a protocol with a codec. */
class End implements ProtocolSink {
  readonly core: Protocol;
  readonly codec: MessageCodec;
  readonly outgoing: OutgoingMessages;
  readonly incoming: IncomingMessages;
  readonly seen: string[] = [];
  readonly reading: boolean[] = [];
  readonly messages: Message[] = [];
  /** Number of messages that were decompressed. */
  compressed = 0;
  private changed: (() => void) | undefined;

  constructor(role: "client" | "server", params: DeflateParams, options: CompressionOptions, limits = {}) {
    const settings = compressionSettings(options);
    assert.ok(settings !== undefined);
    const connection = connectionSettings(role, { heartbeat: false, compression: options, ...limits });
    assert.ok(connection.deflate !== undefined);
    const engine = zlibEngine(defaultRuntime, settings);
    const counted: DeflateEngine = {
      ...engine,
      inflate: (...args) => {
        const inflated = engine.inflate(...args);
        if (inflated !== undefined) this.compressed++;
        return inflated;
      },
      inflateAsync: (...args) => {
        this.compressed++;
        return engine.inflateAsync(...args);
      },
    };
    this.codec = new MessageCodec(params, role, counted);
    this.core = new Protocol(connection.deflate.protocol, this, this.codec);
    const { outgoing, incoming } = this.core;
    assert.ok(outgoing !== undefined && incoming !== undefined);
    this.outgoing = outgoing;
    this.incoming = incoming;
  }

  onMessage(message: Message): void {
    this.messages.push(message);
    this.seen.push(message.text);
  }

  onReading(on: boolean): void {
    this.reading.push(on);
  }

  onOutput(): void {
    this.changed?.();
  }

  get failure(): { readonly code: string } | undefined {
    return this.core.error;
  }

  onPing(): void {
    this.seen.push("<ping>");
  }

  onPong(): void {}

  onStateChange(): void {}

  /** Everything sent so far and everything waiting, as bytes. */
  async bytes(): Promise<Uint8Array> {
    while (this.outgoing.busy) await new Promise<void>((resolve) => (this.changed = resolve));
    const { pieces } = this.core.output.take();
    return Array.isArray(pieces) ? Buffer.concat(pieces) : new Uint8Array(pieces);
  }

  /** Waits until all received messages were delivered. */
  async settled(): Promise<readonly string[]> {
    await new Promise<void>((resolve) => this.incoming.whenIdle(resolve));
    return this.seen;
  }

  close(): void {
    this.incoming.close();
    this.outgoing.close();
    this.codec.close();
  }
}

after(() => assert.deepEqual(jobCounts(defaultRuntime), { running: 0, waiting: 0 }));

const LARGE = "a large message ".repeat(1000);
const SMALL = { threshold: 0, asyncThreshold: 1024 };

describe("compressed messages, sent", () => {
  test("wait for one that is deflated asynchronously", async () => {
    const from = new End("server", TAKEOVER, SMALL);
    const to = new End("client", TAKEOVER, SMALL);
    const sent = ["first of all", LARGE, "a", "", "b".repeat(100), LARGE + "2", "c"];
    for (const text of sent) from.core.send(text);
    assert.equal(from.outgoing.busy, true);
    assert.equal(from.outgoing.heldSize, sent.slice(1).join("").length);
    from.core.ping();
    to.core.receive(await from.bytes(), 0);
    assert.equal(from.outgoing.heldSize, 0);
    // a ping is not delayed
    assert.deepEqual(await to.settled(), ["first of all", "<ping>", ...sent.slice(1)]);
    from.close();
    to.close();
  });

  test("keep the order of calls", async () => {
    const from = new End("server", NO_TAKEOVER, SMALL);
    const to = new End("client", NO_TAKEOVER, SMALL);
    from.core.send(LARGE);
    from.outgoing.inTurn(() => {
      from.core.close(1000, "", 0);
      return undefined;
    });
    assert.equal(from.core.state, "open");
    to.core.receive(await from.bytes(), 0);
    assert.equal(from.core.state, "closing");
    assert.deepEqual(await to.settled(), [LARGE]);
    assert.equal(to.core.closing.code, 1000);
    assert.throws(() => from.core.send("too late"), { code: "NOT_OPEN" });
    let done = false;
    from.outgoing.inTurn(() => {
      done = true;
      return undefined;
    });
    assert.ok(done);
    from.close();
    to.close();
  });

  test("count against maxWriteBufferSize while they wait", async () => {
    const from = new End("server", TAKEOVER, SMALL, { maxWriteBufferSize: 20_000 });
    const to = new End("client", TAKEOVER, SMALL);
    from.core.send(LARGE);
    assert.throws(() => from.core.send("x".repeat(20_001 - LARGE.length)), { code: "WRITE_BUFFER_FULL" });
    from.core.send("x".repeat(20_000 - LARGE.length));
    assert.throws(() => from.core.send("y"), { code: "WRITE_BUFFER_FULL" });
    to.core.receive(await from.bytes(), 0);
    assert.deepEqual(await to.settled(), [LARGE, "x".repeat(20_000 - LARGE.length)]);
    from.close();
    to.close();
  });

  test("do not reference a message that could not be sent", async () => {
    const from = new End("server", TAKEOVER, { threshold: 0 }, { maxWriteBufferSize: 600 });
    const to = new End("client", TAKEOVER, SMALL);
    const noise = Array.from({ length: 100 }, (_, at) => String((at * 7919) % 1009)).join();
    from.core.send("something waits");
    from.core.inTransit = 500;
    assert.throws(() => from.core.send(noise), { code: "WRITE_BUFFER_FULL" });
    from.core.inTransit = 0;
    from.core.send(noise);
    to.core.receive(await from.bytes(), 0);
    assert.deepEqual(await to.settled(), ["something waits", noise]);
    from.close();
    to.close();
  });

  test("do not interrupt a fragmented message", () => {
    const from = new End("server", NO_TAKEOVER, SMALL);
    from.core.beginMessage("text");
    from.core.sendFragment(Buffer.from("part"), false);
    assert.throws(() => from.core.send("x".repeat(100)), { code: "MESSAGE_IN_PROGRESS" });
    assert.throws(() => from.core.send(LARGE), { code: "MESSAGE_IN_PROGRESS" });
    from.close();
  });

  test("fragmented ones keep their place, and later ones wait for their end", async () => {
    const from = new End("server", TAKEOVER, SMALL);
    const to = new End("client", TAKEOVER, SMALL);
    const parts = ["first ", LARGE, "", "last"];
    let finish: () => void = () => {};
    const finished = new Promise<void>((resolve) => (finish = resolve));
    from.core.send(LARGE);
    from.outgoing.inTurn(async () => {
      from.core.beginMessage("text");
      for (const [index, part] of parts.entries()) {
        if (index === 2) await finished;
        from.core.sendFragment(Buffer.from(part), index === 3);
      }
    });
    from.core.send("behind");
    setImmediate(finish);
    to.core.receive(await from.bytes(), 0);
    assert.deepEqual(await to.settled(), [LARGE, parts.join(""), "behind"]);
    // the same if nothing waits
    from.outgoing.inTurn(() => Promise.resolve());
    from.core.send("and again");
    assert.equal(from.outgoing.busy, true);
    to.core.receive(await from.bytes(), 0);
    assert.equal((await to.settled()).at(-1), "and again");
    from.close();
    to.close();
  });

  test("fragments are deflated one by one, synchronously and asynchronously", async () => {
    const from = new End("server", TAKEOVER, SMALL);
    const to = new End("client", TAKEOVER, SMALL);
    const wire: Uint8Array[] = [];
    for (const [index, part] of ["first ", LARGE, "", "first again"].entries()) {
      const deflated = await from.outgoing.deflateFragment(Buffer.from(part), index === 3);
      assert.ok(deflated !== undefined);
      wire.push(new Uint8Array(deflated));
    }
    from.core.beginMessage("text", true);
    from.core.sendFragment(Buffer.concat(wire), true);
    from.core.send("first of the next");
    to.core.receive(await from.bytes(), 0);
    assert.deepEqual(await to.settled(), [`first ${LARGE}first again`, "first of the next"]);
    from.close();
    to.close();
  });

  test("binary ones, and those marked by the caller, are sent uncompressed", async () => {
    const from = new End("server", NO_TAKEOVER, { threshold: 0, binary: false });
    const to = new End("client", NO_TAKEOVER, {});
    const bytes = new Uint8Array(500).fill(65);
    from.core.send(bytes);
    from.core.send(new PreparedMessage(bytes));
    from.core.send(newMessage("binary", bytes, 0, bytes.length));
    from.core.send("A".repeat(500), false);
    from.core.send(new PreparedMessage("A".repeat(500)), false);
    to.core.receive(await from.bytes(), 0);
    assert.equal(to.compressed, 0);
    from.core.send("A".repeat(500));
    from.core.send(new PreparedMessage("A".repeat(500)));
    from.core.send(newMessage("text", bytes, 0, bytes.length));
    to.core.receive(await from.bytes(), 0);
    assert.equal(to.compressed, 3);
    assert.deepEqual(
      await to.settled(),
      Array.from({ length: 8 }, () => "A".repeat(500)),
    );
    from.close();
    to.close();
  });

  test("one compressed by the caller is sent unchanged, and later ones are decoded", async () => {
    for (const compress of [true, false]) {
      const from = new End("server", TAKEOVER, { ...SMALL, contextTakeover: true });
      const to = new End("client", TAKEOVER, { ...SMALL, contextTakeover: true });
      const own = "words of its own, ".repeat(20);
      const deflated = deflateRawSync(own, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
      const words = Array.from({ length: 6 }, (_, number) => `some words to refer to ${number}, `.repeat(9));
      for (const text of words) {
        from.core.send(text);
        from.core.send(new PreparedMessage(deflated, { type: "text", compressed: true }), compress);
      }
      to.core.receive(await from.bytes(), 0);
      assert.deepEqual(
        await to.settled(),
        words.flatMap((text) => [text, own]),
      );
      from.close();
      to.close();
    }
  });

  test("are dropped when the connection has ended", async () => {
    const from = new End("server", NO_TAKEOVER, SMALL);
    from.core.send(LARGE);
    from.core.send("x");
    from.core.streamClosed(0);
    from.close();
    assert.equal(from.outgoing.heldSize, 0);
    assert.equal(from.outgoing.busy, false);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(from.core.output.size, 0);
  });

  test("a broadcast is compressed once for each window size, and does not disturb contexts", async () => {
    const options = { ...SMALL, contextTakeover: true };
    const windows = [15, 15, 10, 10, 10] as const;
    const servers = windows.map((bits) => new End("server", { ...TAKEOVER, serverMaxWindowBits: bits }, options));
    const clients = windows.map((bits) => new End("client", { ...TAKEOVER, serverMaxWindowBits: bits }, options));
    for (const text of ["some words to refer to", LARGE, "not worth it", JSON.stringify(windows).repeat(20)]) {
      const prepared = new PreparedMessage(text);
      for (const [index, server] of servers.entries()) {
        server.core.send(`some words, number ${index}`);
        server.core.send(prepared);
        server.core.send(`some more words, number ${index}`);
      }
      const frames = await Promise.all(servers.map((server) => server.bytes()));
      for (const [index, client] of clients.entries()) {
        client.seen.length = 0;
        client.core.receive(frames[index], 0);
        const expected = [`some words, number ${index}`, text, `some more words, number ${index}`];
        assert.deepEqual(await client.settled(), expected);
      }
    }
    for (const end of [...servers, ...clients]) end.close();
  });
});

describe("compressed messages, received", () => {
  test("wait for one that is inflated asynchronously, and reading pauses meanwhile", async () => {
    const from = new End("server", TAKEOVER, { threshold: 50 });
    const to = new End("client", TAKEOVER, SMALL);
    const sent = ["plain", LARGE, "plain too", LARGE + "2", "compressed ".repeat(10), "plain again"];
    for (const text of sent) from.core.send(text);
    from.core.close(1000, "", 0);
    to.core.receive(await from.bytes(), 0);
    assert.deepEqual(to.seen, ["plain"]);
    assert.deepEqual(to.reading, [false]);
    assert.equal(to.core.state, "closing"); // its Close is not delayed
    assert.deepEqual(await to.settled(), sent);
    assert.deepEqual(to.reading, [false, true]);
    from.close();
    to.close();
  });

  test("one that fails ends the connection, including waiting ones", async () => {
    const from = new End("server", NO_TAKEOVER, {});
    for (const [limit, code] of [
      [10_000, "MESSAGE_TOO_BIG"],
      [2000, "MESSAGE_TOO_BIG"],
    ] as const) {
      const to = new End("client", NO_TAKEOVER, SMALL, { maxMessageSize: limit });
      from.core.send("x");
      from.core.send(LARGE);
      from.core.send("y");
      to.core.receive(await from.bytes(), 0);
      assert.deepEqual(await to.settled(), ["x"]);
      assert.equal(to.failure?.code, code);
      assert.equal(to.core.closing.error?.code, code);
      to.close();
    }
    from.close();
  });

  test("text is validated after inflating", async () => {
    const from = new End("server", NO_TAKEOVER, { threshold: 0 });
    for (const size of [40, 5000]) {
      const text = new Uint8Array(size).fill(65);
      text[size - 1] = 0xc3;
      from.core.send(newMessage("text", text, 0, size));
      from.core.send("behind it");
      const to = new End("client", NO_TAKEOVER, SMALL);
      to.core.receive(await from.bytes(), 0);
      assert.deepEqual(await to.settled(), []);
      assert.equal(to.failure?.code, "INVALID_UTF8");
      assert.equal(to.compressed > 0, true);
      to.close();
      // as bytes they are in order
      from.core.send(text);
      const bytes = new End("client", NO_TAKEOVER, SMALL);
      bytes.core.receive(await from.bytes(), 0);
      assert.equal((await bytes.settled()).length, 1);
      bytes.close();
    }
    from.close();
  });

  test("are not delivered after the end of the connection", async () => {
    const from = new End("server", NO_TAKEOVER, {});
    const to = new End("client", NO_TAKEOVER, SMALL);
    from.core.send(LARGE);
    from.core.send("x");
    to.core.receive(await from.bytes(), 0);
    to.close();
    assert.deepEqual(to.reading, [false, true]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(await to.settled(), []);
    from.close();
  });

  test("small ones do not share memory", async () => {
    const from = new End("server", NO_TAKEOVER, { threshold: 0 });
    const to = new End("client", NO_TAKEOVER, {});
    const sent = Array.from({ length: 300 }, (_, at) => `${at} `.repeat(30 + ((at * 37) % 900)));
    for (const text of sent) from.core.send(text);
    to.core.receive(await from.bytes(), 0);
    assert.deepEqual(
      to.messages.map((message) => message.text),
      sent,
    );
    from.close();
    to.close();
  });
});

test("any messages, with any parameters, chunks and kinds, arrive unchanged and in order", async () => {
  const kind = fc.constantFrom("text", "binary", "prepared", "message", "plain");
  const run = async (
    params: DeflateParams,
    role: "client" | "server",
    messages: readonly { bytes: Uint8Array; kind: string }[],
    chunk: number,
    asyncThreshold: number,
    maxFrameSize: number,
  ) => {
    const from = new End(role, params, { threshold: 20, asyncThreshold }, { maxFrameSize });
    const to = new End(role === "server" ? "client" : "server", params, SMALL);
    const sent: string[] = [];
    for (const { bytes, kind } of messages) {
      const text = Buffer.from(bytes).toString("latin1");
      sent.push(kind === "text" || kind === "plain" ? text : Buffer.from(bytes).toString());
      if (kind === "text" || kind === "plain") from.core.send(text, kind === "text");
      else if (kind === "binary") from.core.send(bytes);
      else if (kind === "message") from.core.send(newMessage("binary", bytes, 0, bytes.length));
      else from.core.send(new PreparedMessage(bytes));
    }
    const wire = await from.bytes();
    for (let at = 0; at < wire.length; at += chunk) {
      to.core.receive(wire.slice(at, at + chunk), 0);
      // reading pauses while messages wait
      if (to.reading.at(-1) === false) await to.settled();
    }
    assert.equal(to.failure, undefined);
    assert.deepEqual(await to.settled(), sent);
    from.close();
    to.close();
  };
  await fc.assert(
    fc.asyncProperty(
      anyParams,
      fc.constantFrom("client" as const, "server" as const),
      fc.array(fc.record({ bytes: anyMessage, kind }), { maxLength: 10 }),
      fc.integer({ min: 1, max: 5000 }),
      fc.constantFrom(1024, 65536),
      fc.constantFrom(200, 65536),
      run,
    ),
    { numRuns: 60 },
  );
});
