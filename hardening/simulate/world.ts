import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import type { Clock as HubClock } from "@tungstate/hub";
import type { Clock } from "tungstate";
import { conditions, type ConditionedStream, memoryPipe, seededRandom } from "tungstate/testing";

/** A failure found in a run. */
export class Finding extends Error {}

/** Throws a Finding unless `condition` holds. */
export function hold(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Finding(what());
}

/** Random choices from one seed. */
export class Dice {
  private readonly next: () => number;

  constructor(seed: number) {
    this.next = seededRandom(seed);
  }

  /** Returns 0 to just below 1. */
  number(): number {
    return this.next();
  }

  /** Returns `least` to `most`, inclusive. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[Math.floor(this.next() * from.length)];
    if (picked === undefined) throw new RangeError("nothing to pick from");
    return picked;
  }

  bytes(target: Uint8Array): void {
    for (let at = 0; at < target.length; at++) target[at] = this.whole(0, 255);
  }
}

const KEPT_LINES = 200;

/** The trace of a run. Its hash shows whether two runs are equal. */
export class Trace {
  lines = 0;
  readonly last: string[] = [];
  private readonly hash = createHash("sha256");
  private readonly onLine: ((line: string) => void) | undefined;

  constructor(onLine?: (line: string) => void) {
    this.onLine = onLine;
  }

  line(text: string): void {
    this.lines++;
    this.hash.update(text).update("\n");
    if (this.last.push(text) > KEPT_LINES) this.last.shift();
    this.onLine?.(text);
  }

  /** Bytes sent: part of the hash, but not of the lines. */
  bytes(bytes: Uint8Array): void {
    this.hash.update(bytes);
  }

  digest(): string {
    return this.hash.copy().digest("hex").slice(0, 32);
  }
}

interface Timer {
  readonly at: number;
  readonly life: Life;
  readonly callback: () => void;
}

/** A process of the simulated world with its own clock. After its death its timers do not fire. */
export class Life implements Clock, HubClock {
  alive = true;
  readonly name: string;
  readonly due: (() => void)[] = [];
  private readonly world: World;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
  }

  now(): number {
    return this.world.time;
  }

  unix(): number {
    return 1_700_000_000_000 + this.world.time;
  }

  after(delay: number, callback: () => void): () => void {
    const timer = { at: this.world.time + Math.max(0, delay), life: this, callback };
    this.world.timers.add(timer);
    return () => void this.world.timers.delete(timer);
  }

  endOfTick(callback: () => void): void {
    this.due.push(callback);
  }

  /** Pending timers. */
  get pending(): number {
    let count = 0;
    for (const timer of this.world.timers) if (timer.life === this) count++;
    return count;
  }
}

/** Failure probabilities of the networks. */
export interface Weather {
  readonly latency: number;
  readonly jitter: number;
  readonly chunking: boolean;
  /** Probability that a segment is delayed. */
  readonly stalls: number;
  /**
   * Probabilities that a link is reset or becomes silent, within `within` ms or after some bytes.
   */
  readonly resets: number;
  readonly silences: number;
  readonly within: number;
}

export const CALM: Weather = { latency: 1, jitter: 0, chunking: false, stalls: 0, resets: 0, silences: 0, within: 1 };

/** A connection between two processes: the near end contains the network. */
export interface Link {
  readonly near: ConditionedStream;
  readonly far: Duplex;
}

/**
 * Time, ticks and network of one run. Events happen one at a time, in an order determined by the
 * seed.
 */
export class World {
  time = 0;
  readonly dice: Dice;
  readonly trace: Trace;
  readonly timers = new Set<Timer>();
  readonly counts = new Map<string, number>();
  private readonly lives: Life[] = [];
  /** Events scheduled by the network. */
  private readonly wires: Life;
  private failure: Error | undefined;

  constructor(seed: number, trace: Trace) {
    this.dice = new Dice(seed);
    this.trace = trace;
    this.wires = this.life("network");
  }

  life(name: string): Life {
    const life = new Life(this, name);
    this.lives.push(life);
    return life;
  }

  log(who: string, what: string): void {
    this.trace.line(`${this.time.toFixed(1)} ${who}: ${what}`);
  }

  /** Counts events, to show that a run contains some. */
  count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  /** Records a failure: the run ends at its next step. */
  fail(error: unknown): void {
    this.failure ??= error instanceof Error ? error : new Finding(String(error));
  }

  /** Two ends of a byte stream through such a network. */
  link(weather: Weather): Link {
    const { dice } = this;
    const [below, far] = memoryPipe();
    const { latency, jitter, stalls, within } = weather;
    const near = conditions(below, {
      clock: this.wires,
      seed: dice.whole(1, 2 ** 30),
      latency,
      jitter,
      ...(weather.chunking && { chunking: { min: 1, max: dice.pick([3, 50, 1400]) } }),
      ...(stalls > 0 && { stall: { chance: stalls, duration: dice.whole(50, 500) } }),
      ...(dice.chance(weather.resets) && {
        reset: dice.chance(0.5) ? { after: dice.whole(1, within) } : { afterBytes: dice.whole(1, 5000) },
      }),
      ...(dice.chance(weather.silences) && { halfOpen: { after: dice.whole(1, within) } }),
    });
    for (const end of [near, far]) {
      end.on("error", () => undefined);
      this.tap(end);
    }
    return { near, far };
  }

  private tap(stream: Duplex): void {
    const { trace } = this;
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    stream.write = (chunk: unknown, ...rest: unknown[]) => {
      if (chunk instanceof Uint8Array) trace.bytes(chunk);
      return write(chunk, ...rest);
    };
  }

  /** Advances time by `ms`. Rejects with the first failure found. */
  async run(ms: number): Promise<void> {
    const end = this.time + ms;
    await this.rest();
    for (;;) {
      const callback = this.nextDue() ?? this.nextTimer(end);
      if (callback === undefined) break;
      callback();
      await this.rest();
    }
    this.time = end;
    await this.rest();
  }

  /**
   * Advances time by up to `ms` in steps until a condition holds. Returns false if it never does.
   */
  async runUntil(ms: number, done: () => boolean): Promise<boolean> {
    for (const end = this.time + ms; this.time < end && !done();) await this.run(Math.min(50, end - this.time));
    return done();
  }

  /** Runs the end of a tick of any process that has work then. */
  private nextDue(): (() => void) | undefined {
    const waiting = this.lives.filter((life) => life.due.length > 0);
    if (waiting.length === 0) return undefined;
    const life = this.dice.pick(waiting);
    const callback = life.due.shift();
    return life.alive ? callback : () => undefined;
  }

  /** Runs the next timer, any of those due at the same time. */
  private nextTimer(end: number): (() => void) | undefined {
    let at = Infinity;
    let next: Timer[] = [];
    for (const timer of this.timers) {
      if (timer.at > at || timer.at > end) continue;
      if (timer.at < at) next = [];
      at = timer.at;
      next.push(timer);
    }
    if (next.length === 0) return undefined;
    const timer = next.length === 1 ? next[0] : this.dice.pick(next);
    if (timer === undefined) return undefined;
    this.timers.delete(timer);
    this.time = Math.max(this.time, timer.at);
    return timer.life.alive ? timer.callback : () => undefined;
  }

  /** Waits until promises, ticks and stream callbacks of the real event loop have completed. */
  private async rest(): Promise<void> {
    for (let tick = 0; tick < 2; tick++) await new Promise((resolve) => setImmediate(resolve));
    if (this.failure !== undefined) throw this.failure;
  }
}
