import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { client } from "../../src/client/client.ts";
import type { ConnectionOptions } from "../../src/connection/options.ts";
import { accept } from "../../src/server/accept.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import type { CloseInfo, WebSocketConnection } from "../../src/connection/types.ts";
import { turns } from "../support/server.ts";

/** One end of a stream whose output is split again: sizes from `cuts`, repeatedly. */
function cut(inner: Duplex, cuts: readonly number[]): Duplex {
  let next = 0;
  const outer = new Duplex({
    read: () => void inner.resume(),
    write: (chunk: Buffer, _encoding, done) => void inner.write(chunk, done),
    final: (done) => void inner.end(done),
    destroy: (error, done) => {
      inner.destroy();
      done(error);
    },
  });
  inner.on("data", (chunk: Buffer) => {
    let room = true;
    for (let at = 0; at < chunk.length;) {
      const size = cuts[next++ % cuts.length] ?? 1;
      room = outer.push(chunk.subarray(at, at + size));
      at += size;
    }
    if (!room) inner.pause();
  });
  inner.on("end", () => outer.push(null));
  inner.on("error", (error) => outer.destroy(error));
  inner.on("close", () => outer.destroy());
  return outer;
}

type Side = 0 | 1;

type Step =
  | { readonly kind: "write" | "send" | "parts"; readonly side: Side; readonly size: number; readonly text: boolean }
  | { readonly kind: "ping" | "pause" | "resume" | "flush" | "turn"; readonly side: Side };

const side = fc.constantFrom<Side>(0, 1);
const size = fc.oneof({ weight: 4, arbitrary: fc.nat(300) }, fc.constantFrom(125, 126, 4096, 5000, 66_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom("write", "send", "parts" as const), side, size, text: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("ping", "pause", "resume", "flush", "turn" as const), side }),
  },
);

const ending = fc.record({
  side,
  how: fc.constantFrom("close", "both", "terminate" as const),
  code: fc.integer({ min: 4000, max: 4999 }),
});

interface Setting {
  readonly steps: readonly Step[];
  readonly cuts: readonly number[];
  readonly options: ConnectionOptions;
  readonly ending: { readonly side: Side; readonly how: "close" | "both" | "terminate"; readonly code: number };
}

const setting: fc.Arbitrary<Setting> = fc.record({
  steps: fc.array(step, { maxLength: 40, size: "max" }),
  cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 100, max: 70_000 })), {
    minLength: 1,
    maxLength: 5,
  }),
  options: fc.record({
    receiveQueueSize: fc.constantFrom(0, 1000, 1_000_000),
    writeBufferSize: fc.constantFrom(0, 1000, 100_000),
    maxFrameSize: fc.constantFrom(125, 1000, 1_000_000),
    compression: fc.constantFrom(false, true, { contextTakeover: true }, { asyncThreshold: 1024 }),
    heartbeat: fc.constant(false as const),
  }),
  ending,
});

function content(number: number, length: number, text: boolean): string | Uint8Array {
  if (text) return `${number} ä€𝄞 `.repeat(1 + (length >> 4)).slice(0, length);
  return Uint8Array.from({ length }, (_, at) => (at * (number + 1)) & 0xff);
}

/** A connection, with the messages sent and received on it. */
class End {
  readonly connection: WebSocketConnection;
  readonly sent: (string | Uint8Array)[] = [];
  readonly received: (string | Uint8Array)[] = [];
  readonly waits: Promise<unknown>[] = [];
  private order: Promise<unknown> = Promise.resolve();

  constructor(connection: WebSocketConnection) {
    this.connection = connection;
    connection.on("message", (message) => void this.received.push(message.data));
  }

  do(what: Step): void {
    const { connection } = this;
    switch (what.kind) {
      case "pause":
        connection.pause();
        break;
      case "resume":
        connection.resume();
        break;
      case "ping":
        this.wait(connection.ping());
        break;
      case "flush":
        this.wait(connection.flush());
        break;
      case "turn":
        break;
      default: {
        const data = content(this.sent.length, what.size, what.text);
        this.sent.push(data);
        // a fragmented message must end before another one starts
        this.order = this.order.then(() => this.put(what, data));
        this.order.catch(() => undefined); // checked at the end
      }
    }
  }

  private async put(
    what: Step & { readonly kind: "write" | "send" | "parts" },
    data: string | Uint8Array,
  ): Promise<void> {
    const { connection } = this;
    if (what.kind === "write") connection.write(data);
    else if (what.kind === "send") await connection.send(data);
    else await connection.sendStream(halves(data), what.text ? "text" : "binary");
  }

  /** Whether the connection has accepted all requests. */
  async written(): Promise<void> {
    await this.order;
    await this.connection.flush();
  }

  private wait(promise: Promise<unknown>): void {
    this.waits.push(promise.then(() => "done").catch((error: { code?: string }) => error.code));
  }
}

function halves(data: string | Uint8Array): (string | Uint8Array)[] {
  const middle = data.length >> 1;
  return typeof data === "string"
    ? [data.slice(0, middle), data.slice(middle)]
    : [data.subarray(0, middle), data.subarray(middle)];
}

async function pair({ cuts, options }: Setting): Promise<[End, End]> {
  const [near, far] = memoryPipe();
  const all = { ...options, closeTimeout: 20_000 };
  const connections = await Promise.all([client("ws://localhost/", cut(near, cuts), all), accept(cut(far, cuts), all)]);
  return [new End(connections[0]), new End(connections[1])];
}

function same(
  actual: readonly (string | Uint8Array)[],
  expected: readonly (string | Uint8Array)[],
  what: string,
): void {
  assert.equal(actual.length, expected.length, what);
  for (const [at, message] of expected.entries()) {
    assert.equal(typeof actual[at], typeof message, what);
    assert.ok(Buffer.from(actual[at] ?? "").equals(Buffer.from(message)), `${what}: message ${at}`);
  }
}

describe("two connections, for any operations and any chunks", () => {
  test("exchange their messages in order and unchanged, and agree on the end", async () => {
    await fc.assert(
      fc.asyncProperty(setting, async (set) => {
        const ends = await pair(set);
        for (const what of set.steps) {
          ends[what.side].do(what);
          if (what.kind === "turn") await turns(1);
        }
        const { side: who, how, code } = set.ending;
        const [active, passive] = [ends[who], ends[who === 0 ? 1 : 0]];
        let infos: [CloseInfo, CloseInfo];
        if (how === "terminate") {
          active.connection.terminate();
          infos = await Promise.all([active.connection.closed, passive.connection.closed]);
          await Promise.all([active.written(), passive.written()].map((each) => each.catch(() => undefined)));
          assert.deepEqual([infos[0].clean, infos[1].clean], [false, false]);
        } else {
          for (const end of ends) end.connection.resume();
          await Promise.all(ends.map((end) => end.written()));
          if (how === "both") void passive.connection.close(3000);
          infos = await Promise.all([active.connection.close(code, "done"), passive.connection.closed]);
          assert.deepEqual([infos[0].clean, infos[1].clean], [true, true]);
          assert.equal(infos[1].code, code);
          assert.equal(infos[0].code, how === "both" ? 3000 : code);
        }
        for (const end of ends) end.connection.resume();
        for (const [at, end] of ends.entries()) {
          const other = ends[at === 0 ? 1 : 0];
          const count = how === "terminate" ? end.received.length : other.sent.length;
          same(end.received, other.sent.slice(0, count), `${how}, at ${at}`);
          for (const result of await Promise.all(end.waits)) {
            assert.ok(result === "done" || how === "terminate" || result === "NOT_OPEN", String(result));
          }
          assert.equal(end.connection.bufferedAmount, 0);
          assert.equal(end.connection.state, "closed");
        }
      }),
      { numRuns: 120 },
    );
  });
});
