// Tungstate 0.1: a frame of a few bytes cost the hub up to 100 ms of CPU time for each KB, and
// blocked the event loop for seconds.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { Hub, type HubConnection, type HubOptions, type Incoming, type SharedMessage } from "@tungstate/hub";
import {
  CHEAP_LINES,
  comingsAndGoings,
  fullFrame,
  hundredHistories,
  hundredPresences,
  newNames,
  NO_COMMANDS,
  paddedPublication,
} from "./support/attacks.ts";
import { KiB, leastOf } from "./support/cost.ts";
import { ticks } from "./support/ends.ts";

const MOST_PER_KB = 5; // ms of CPU time
const MOST_IN_A_TICK = 25; // ms of CPU time
// how much slower, or busier, a machine may be than those that the limits were set for
const SLOWER = 2;
const IDLE_TICKS = 40;

const OPEN = { subscribe: "anyone", publish: "anyone" } as const;
const namespaces: HubOptions["namespaces"] = {
  public: { ...OPEN, history: { size: 1_000, ttl: 3600_000 }, presence: true, joinLeave: true },
};

/** A connection that takes everything: what is measured is the hub alone. */
class Sink implements HubConnection {
  bytesReceived = 0;
  written = 0;
  code: number | undefined;
  private incoming: Incoming | undefined;

  static connect(hub: Hub): Sink {
    const sink = new Sink();
    sink.incoming = hub.accept(sink);
    sink.send('{"id":1,"connect":{}}');
    return sink;
  }

  /** `wire`: bytes that the frame takes on the network. */
  send(frame: string, wire = frame.length): void {
    this.bytesReceived += wire;
    this.incoming?.receive(frame);
  }

  write(text: string): boolean {
    this.written += text.length;
    return true;
  }

  writeShared({ size }: SharedMessage): boolean {
    this.written += size;
    return true;
  }

  pause(): void {}
  resume(): void {}

  close(code: number): void {
    this.code = code;
    this.incoming?.closed();
  }
}

interface Cost {
  readonly cpu: number;
  /** Of the tick that took most. */
  readonly longest: number;
}

const cpuTime = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/**
 * What the hub does with a frame until nothing of it is left, or the sender owes so much that the
 * rest waits.
 */
async function costOf(send: () => void): Promise<Cost> {
  const from = cpuTime();
  send();
  let longest = cpuTime() - from;
  for (let tick = 0; tick < IDLE_TICKS; tick++) {
    const before = cpuTime();
    await ticks(1);
    longest = Math.max(longest, cpuTime() - before);
  }
  return { cpu: cpuTime() - from, longest };
}

async function withHub(run: (hub: Hub) => Promise<void>): Promise<void> {
  const hub = new Hub({ namespaces, anonymous: true, ping: false });
  await hub.start();
  try {
    await run(hub);
  } finally {
    await hub.close();
  }
}

/**
 * Sends the frame from new connections, and returns what it costs at least: other work of the
 * machine only adds to that.
 */
async function least(hub: Hub, frame: string, wire: number, prepare: readonly string[]): Promise<Cost> {
  const attempt = async (): Promise<Cost> => {
    const sink = Sink.connect(hub);
    for (const each of prepare) sink.send(each);
    await ticks(5);
    const cost = await costOf(() => sink.send(frame, wire));
    sink.close(3000);
    await ticks(5);
    return cost;
  };
  const costs = await leastOf(attempt);
  return { cpu: Math.min(...costs.map(({ cpu }) => cpu)), longest: Math.min(...costs.map(({ longest }) => longest)) };
}

const SUBSCRIBE = '{"id":2,"subscribe":{"channel":"public:x"}}';

const FRAMES: Readonly<Record<string, { readonly frame: string; readonly prepare?: readonly string[] }>> = {
  ...Object.fromEntries(
    Object.entries({ ...CHEAP_LINES, ...NO_COMMANDS }).map(([what, line]) => [
      `full of ${what}`,
      { frame: fullFrame(line) },
    ]),
  ),
  "of 100 history commands": { frame: hundredHistories("public:x"), prepare: [SUBSCRIBE] },
  "of 100 presence commands": { frame: hundredPresences("public:x"), prepare: [SUBSCRIBE] },
  "of 480 subscriptions that are taken back": { frame: comingsAndGoings("public:x", 480) },
  "with 16 characters in 64 KB": { frame: paddedPublication("public:x", 5) },
  "of publications to 500 new names": { frame: newNames(500, 0) },
};

describe("hub: what one frame costs, with 300 clients in the channel and 1,000 publications", () => {
  for (const compressed of [false, true]) {
    for (const [what, { frame, prepare = [] }] of Object.entries(FRAMES)) {
      test(`a frame ${what}${compressed ? ", compressed" : ""}`, (t) =>
        withHub(async (hub) => {
          for (let number = 0; number < 300; number++) Sink.connect(hub).send(SUBSCRIBE);
          for (let number = 0; number < 1_000; number++) await hub.publish("public:x", "x".repeat(1_000));
          await ticks(20);
          // a frame has a cost that does not depend on what is in it, so that a small one counts as
          // one KB
          const wire = compressed ? deflateRawSync(frame).length : frame.length;
          const { cpu, longest } = await least(hub, frame, wire, prepare);
          const perKB = cpu / Math.max(1, wire / KiB);
          t.diagnostic(`${cpu.toFixed(1)} ms of CPU for ${wire} bytes, ${longest.toFixed(1)} ms in a tick`);
          assert.ok(perKB < SLOWER * MOST_PER_KB, `${perKB.toFixed(1)} ms of CPU for each KB, ${wire} bytes`);
          assert.ok(longest < MOST_IN_A_TICK, `${longest.toFixed(1)} ms in a tick`);
        }));
    }
  }
});

describe("hub: an event-loop tick is bounded for any input", () => {
  test("a publication to 10,000 subscribers is passed on to some of them in each tick", () =>
    withHub(async (hub) => {
      const sinks = Array.from({ length: 10_000 }, () => Sink.connect(hub));
      for (let at = 0; at < sinks.length; at += 100) {
        for (const sink of sinks.slice(at, at + 100)) sink.send('{"id":2,"subscribe":{"channel":"public:x"}}');
        await ticks(1);
      }
      let isDone = false;
      const joined = (): boolean => hub.channels().get("public:x") === sinks.length;
      while (!joined()) await ticks(1);
      await ticks(100);
      void hub.publish("public:x", 1).then(() => (isDone = true));
      let before = sinks.reduce((sum, { written }) => sum + (written > 0 ? 1 : 0), 0);
      assert.equal(before, sinks.length);
      let written = sinks.map((sink) => sink.written);
      const counts: number[] = [];
      while (!isDone) {
        await ticks(1);
        const now = sinks.map((sink) => sink.written);
        before = now.filter((bytes, index) => bytes > (written[index] ?? 0)).length;
        counts.push(before);
        written = now;
      }
      assert.ok(Math.max(...counts) <= 1_100, counts.join(" "));
      assert.ok(counts.reduce((sum, count) => sum + count, 0) >= sinks.length);
    }));

  test("1,000 clients that join at once, and 60 that flood together, leave the loop to others", (t) =>
    withHub(async (hub) => {
      const sinks = Array.from({ length: 1_000 }, () => Sink.connect(hub));
      await ticks(50);
      const costs = await costOf(() => {
        for (const sink of sinks) sink.send('{"id":2,"subscribe":{"channel":"public:x"}}');
      });
      assert.ok(costs.longest < SLOWER * MOST_IN_A_TICK, `${costs.longest.toFixed(1)} ms in a tick: joins`);
      t.diagnostic(`${costs.longest.toFixed(1)} ms in a tick: joins`);
      while (hub.channels().get("public:x") !== sinks.length) await ticks(1);
      for (const line of Object.values(CHEAP_LINES)) {
        const frame = fullFrame(line);
        const flood = await leastOf(async () => {
          const flooding = Array.from({ length: 60 }, () => Sink.connect(hub)); // none has used its allowance
          await ticks(20);
          const cost = await costOf(() => {
            for (const sink of flooding) sink.send(frame);
          });
          for (const sink of flooding) sink.close(3000);
          await ticks(20);
          return cost;
        });
        const longest = Math.min(...flood.map((each) => each.longest));
        t.diagnostic(`${longest.toFixed(1)} ms in a tick: ${line}`);
        assert.ok(longest < MOST_IN_A_TICK, `${longest.toFixed(1)} ms in a tick: ${line}`);
      }
    }));
});
