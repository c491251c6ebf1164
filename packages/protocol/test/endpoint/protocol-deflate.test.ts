import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DeflateJob } from "../../src/deflate/engine.ts";
import { protocolError, type WebSocketError } from "../../src/errors.ts";
import { ProtocolConfig } from "../../src/endpoint/options.ts";
import { Protocol } from "../../src/endpoint/protocol.ts";
import type { ProtocolSink } from "../../src/endpoint/sink.ts";
import { toHex, utf8 } from "../support/bytes.ts";
import { codecWith, IDENTITY } from "../support/codec.ts";
import { handlerFailed, optionsOf } from "../support/endpoint.ts";
import { type FrameSpec, type Role, ROLES } from "../support/frames.ts";
import { framesTo } from "../support/receiving.ts";
import { runtime } from "../support/runtime.ts";
import { drainFrames, showFrame } from "../support/sent.ts";

const LONG = "a message that is processed asynchronously";
const NOW = 1000;

/** A protocol whose messages of more than 10 bytes wait until `finish` is called. */
class Slow implements ProtocolSink {
  readonly role: Role;
  readonly protocol: Protocol;
  readonly events: string[] = [];
  room = true;
  private readonly jobs: (() => void)[] = [];
  private readonly ticks: (() => void)[] = [];
  /** The result of asynchronous decompression. */
  private readonly failure: WebSocketError | undefined;

  constructor(role: Role, failure?: WebSocketError) {
    this.role = role;
    this.failure = failure;
    const later = <R>(result: R | undefined): DeflateJob<R> => ({
      result: new Promise((resolve) => this.jobs.push(() => resolve(result))),
      cancel: () => undefined,
    });
    const engine = {
      ...IDENTITY,
      asyncThreshold: 10,
      deflateAsync: (payload: Uint8Array) => later(IDENTITY.deflate(payload, 15, undefined)),
      inflateAsync: ([chunk]: readonly Uint8Array[]) => later(this.failure ?? new Uint8Array(chunk)),
      nextTick: (callback: () => void) => void this.ticks.push(callback),
    };
    const config = new ProtocolConfig(runtime(), { ...optionsOf(role), compression: true, closeTimeout: 100 });
    this.protocol = new Protocol(config, this, codecWith(role, engine));
  }

  onMessage(message: { readonly text: string }): void {
    this.events.push(message.text);
  }
  onStateChange(): void {
    this.events.push(this.protocol.state);
  }
  onReading(on: boolean): void {
    this.events.push(`reading ${on}`);
  }
  onOutput(): void {
    this.events.push("output");
  }
  hasRoom(): boolean {
    return this.room;
  }
  overflows(): boolean {
    return true;
  }

  receive(...frames: FrameSpec[]): void {
    this.protocol.receive(framesTo(this.role, frames), NOW);
  }

  /** Ends all asynchronous jobs. */
  async finish(): Promise<void> {
    for (const job of this.jobs.splice(0)) job();
    await new Promise((resolve) => setTimeout(resolve, 0)); // pages have no setImmediate()
  }

  nextTick(): void {
    for (const tick of this.ticks.splice(0)) tick();
  }

  sent(): string[] {
    this.protocol.flushControlFrames();
    return drainFrames(this.protocol.output, this.role).map(showFrame);
  }
}

const SENT = `text ${toHex(utf8(LONG))} rsv 4 fin`;
const message = (text: string): FrameSpec => ({ opcode: 1, rsv: 4, payload: utf8(text) });
const CLOSE: FrameSpec = { opcode: 8, payload: Uint8Array.of(3, 232) };
const errorFrame = (closeCode: number): string => `close 0${closeCode.toString(16)} fin`;

for (const role of ROLES) {
  describe(`a Close of a ${role} that compresses asynchronously`, () => {
    test("follows the messages before it, and nothing is accepted meanwhile", async () => {
      const end = new Slow(role);
      const { protocol } = end;
      protocol.send(LONG);
      protocol.close(1000, "", NOW);
      protocol.close(1001, "", NOW);
      assert.deepEqual([protocol.state, protocol.accepts, protocol.pollTimeout()], ["open", false, NOW + 100]);
      assert.throws(() => protocol.send("too late"), { code: "NOT_OPEN" });
      assert.deepEqual(end.sent(), []);
      await end.finish();
      assert.deepEqual(end.sent(), [SENT, "close 03e8 fin"]);
      assert.deepEqual(end.events, ["closing", "output"]);
    });

    test("follows them as the answer to the peer's Close, which comes before or after ours", async () => {
      for (const ours of [false, true]) {
        const end = new Slow(role);
        end.protocol.send(LONG);
        if (ours) end.protocol.close(1001, "", NOW);
        end.receive(CLOSE);
        if (!ours) end.protocol.send("an answer");
        assert.deepEqual(end.sent(), []);
        assert.equal(end.protocol.accepts, false);
        assert.deepEqual([end.protocol.state, end.protocol.pollTimeout()], ["closing", NOW + 100]);
        await end.finish();
        const answer = ours ? [] : [`text ${toHex(utf8("an answer"))} rsv 4 fin`];
        assert.deepEqual(end.sent(), [SENT, ...answer, "close 03e8 fin"]);
        assert.equal(end.protocol.closing.clean, true);
      }
    });

    test("follows them after an error of the application, and not after one of the peer", async () => {
      for (const drain of [true, false]) {
        const end = new Slow(role);
        end.protocol.send(LONG);
        end.protocol.fail(handlerFailed(), NOW, drain);
        const close = errorFrame(1011);
        assert.deepEqual(end.sent(), drain ? [] : [close]);
        end.protocol.outputSent(NOW + 50);
        assert.equal(end.protocol.pollTimeout(), NOW + (drain ? 150 : 100));
        await end.finish();
        assert.deepEqual(end.sent(), drain ? [SENT, close] : []);
      }
    });

    test("does not wait for a message in fragments whose source has not ended", () => {
      const end = new Slow(role);
      end.protocol.outgoing?.inTurn(() => new Promise(() => undefined));
      assert.deepEqual([end.protocol.outgoing?.busy, end.protocol.outgoing?.isCompressing], [true, false]);
      end.receive(CLOSE);
      assert.deepEqual(end.sent(), ["close 03e8 fin"]);
    });
  });

  describe(`the end of the stream of a ${role} that compresses asynchronously`, () => {
    test("of the peer's half: earlier messages are sent before the state is closed", async () => {
      for (const closed of [false, true]) {
        const end = new Slow(role);
        end.protocol.send(LONG);
        if (closed) end.receive(CLOSE);
        end.protocol.receiveEnd(NOW);
        assert.throws(() => end.protocol.send("x"), { code: "NOT_OPEN" });
        assert.equal(end.protocol.state, closed ? "closing" : "open");
        assert.equal(end.protocol.pollTimeout(), NOW + 100);
        await end.finish();
        assert.deepEqual(end.sent(), closed ? [SENT, "close 03e8 fin"] : [SENT]);
        assert.equal(end.protocol.state, "closed");
        assert.equal(end.protocol.error?.code, closed ? undefined : "CONNECTION_LOST");
      }
    });

    test("of both halves: the state is closed at once, once", async () => {
      const end = new Slow(role);
      end.protocol.send(LONG);
      end.protocol.receiveEnd(NOW);
      end.protocol.streamClosed(NOW + 1);
      assert.deepEqual([end.protocol.state, end.protocol.pollTimeout()], ["closed", Infinity]);
      await end.finish();
      assert.deepEqual(end.events, ["closed", "output"]);
    });
  });

  describe(`messages that a ${role} decompresses`, () => {
    test("asynchronously delay later ones and pongs; nothing is to be read meanwhile", async () => {
      const end = new Slow(role);
      end.receive(message("first"), message(LONG), { opcode: 9 }, { opcode: 1, payload: utf8("last") });
      assert.deepEqual(end.events, ["first", "reading false"]);
      assert.equal(end.protocol.messagesReceived, 3);
      assert.equal(end.protocol.incoming?.isBusy, true);
      await end.finish();
      assert.deepEqual(end.events, ["first", "reading false", LONG, "last", "reading true"]);
    });

    test("asynchronously end the connection if they are invalid: the deadline starts with the next time", async () => {
      for (const poll of [true, false]) {
        const end = new Slow(role, protocolError("INVALID_DEFLATE"));
        end.receive(message(LONG));
        await end.finish();
        assert.equal(end.protocol.error?.code, "INVALID_DEFLATE");
        assert.deepEqual(end.sent(), [errorFrame(1007)]);
        assert.equal(end.protocol.isEnding, true);
        assert.ok(end.protocol.pollTimeout() < 0);
        if (poll) assert.equal(end.protocol.handleTimeout(NOW + 5), true);
        else end.protocol.outputSent(NOW + 5);
        assert.equal(end.protocol.pollTimeout(), NOW + 105);
        end.protocol.outputSent(NOW + 50);
        assert.equal(end.protocol.handleTimeout(NOW + 105), false);
      }
    });

    test("wait without room, and later ones are dropped if the sink overflows", () => {
      const end = new Slow(role);
      end.room = false;
      end.receive(message("waits"));
      assert.deepEqual(end.events, []);
      assert.ok(end.protocol.incoming !== undefined && end.protocol.incoming.heldSize >= 5);
      end.receive(message("dropped"));
      end.room = true;
      end.protocol.incoming?.resume();
      assert.deepEqual(end.events, ["waits"]);
      let empty = false;
      end.protocol.incoming?.whenEmpty(() => (empty = true));
      assert.ok(empty);
    });

    test("continue in the next tick after 1 MiB", () => {
      const end = new Slow(role);
      for (let at = 0; at < 2100; at++) end.receive(message("a"));
      assert.equal(end.events.at(-1), "reading false");
      assert.ok(end.events.length < 2100);
      end.nextTick();
      assert.equal(end.events.filter((event) => event === "a").length, 2100);
    });
  });
}
