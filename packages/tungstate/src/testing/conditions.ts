import { invalidOption } from "@tungstate/protocol/internal";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { type Clock, systemClock } from "../schedule/clock.ts";
import { checkNames, type OptionNames } from "../options/names.ts";
import { isEncrypted } from "../client/url.ts";
import { Lane, type LaneConditions } from "./lane.ts";
import { seededRandom } from "./random.ts";

/** When a fault occurs: ms after the beginning, or after a number of bytes. */
export type When =
  | number
  | {
      /** Milliseconds after the beginning. */
      readonly after: number;
    }
  | {
      /** Bytes that have passed, both directions together. */
      readonly afterBytes: number;
    };

/** Network conditions. They apply to each direction, unless `direction` says otherwise. */
export interface ConditionsOptions {
  /** Delay of all bytes in ms. Default 0. */
  readonly latency?: number;
  /** Maximum random delay in ms that is added for each segment. Bytes stay in order. Default 0. */
  readonly jitter?: number;
  /** Bytes per second. Default Infinity. */
  readonly bandwidth?: number;
  /**
   * Size in bytes of the pieces that arrive, or a range to choose from. Default: as they were
   * written.
   */
  readonly chunking?: number | { readonly min: number; readonly max: number };
  /**
   * Simulates packet loss under TCP: with this probability (0 to 1) a segment arrives `duration` ms
   * late (default 200, the minimum retransmission time-out of Linux), and everything behind it too.
   * A number is the probability. Default 0.
   */
  readonly stall?: number | { readonly chance: number; readonly duration?: number };
  /**
   * From then on nothing arrives in either direction, and no end is reported, as with an unplugged
   * cable. Default: never.
   */
  readonly halfOpen?: When;
  /** Resets the connection. Default: never. */
  readonly reset?: When;
  /** Direction in which the conditions apply, seen from the returned stream. Default both. */
  readonly direction?: "both" | "in" | "out";
  /** Seed of the random numbers. Default 1. */
  readonly seed?: number;
  /** Clock for the delays. Default: the system's; tests pass a VirtualClock. */
  readonly clock?: Clock;
}

const CONDITIONS: OptionNames<ConditionsOptions> = {
  latency: true,
  jitter: true,
  bandwidth: true,
  chunking: { min: true, max: true },
  stall: { chance: true, duration: true },
  halfOpen: { after: true, afterBytes: true },
  reset: { after: true, afterBytes: true },
  direction: true,
  seed: true,
  clock: true,
};

const CLEAR: LaneConditions = {
  latency: 0,
  jitter: 0,
  bandwidth: Infinity,
  chunking: undefined,
  stall: { chance: 0, duration: 0 },
};

/**
 * Returns a stream that passes bytes to and from `stream` under network conditions. The same seed,
 * clock and bytes give the same behaviour. The returned stream owns `stream` and destroys it with
 * itself. Throws INVALID_ARGUMENT.
 */
export function conditions(stream: Duplex, options: ConditionsOptions = {}): ConditionedStream {
  return new ConditionedStream(stream, options);
}

/** A byte stream under network conditions, with methods to make them worse. */
export class ConditionedStream extends Duplex {
  /** Whether the wrapped stream is encrypted: see `client`. */
  readonly encrypted: boolean;
  readonly #below: Duplex;
  readonly #incoming: Lane;
  readonly #outgoing: Lane;
  readonly #timers: (() => void)[] = [];
  readonly #limits: { readonly bytes: number; readonly act: () => void }[] = [];
  #bytes = 0;
  #silent = false;
  #ended: (() => void) | undefined;

  constructor(below: Duplex, options: ConditionsOptions) {
    super({ allowHalfOpen: true });
    this.#below = below;
    this.encrypted = isEncrypted(below);
    checkNames(options, CONDITIONS);
    const { direction = "both", seed = 1, clock = systemClock } = options;
    if (!["both", "in", "out"].includes(direction)) invalid("direction", '"both", "in" or "out"', direction);
    if (!Number.isSafeInteger(seed)) invalid("seed", "an integer", seed);
    const lane = laneConditions(options);
    this.#incoming = new Lane(direction === "out" ? CLEAR : lane, seededRandom(seed * 2), clock, {
      deliver: (bytes) => {
        const more = this.push(bytes);
        this.#count(bytes.length);
        return more;
      },
      end: () => this.push(null),
    });
    this.#outgoing = new Lane(direction === "in" ? CLEAR : lane, seededRandom(seed * 2 + 1), clock, {
      deliver: (bytes) => {
        const more = below.write(bytes);
        this.#count(bytes.length);
        return more;
      },
      end: () => void below.end(() => this.#finish()),
    });
    this.#schedule("halfOpen", options.halfOpen, clock, () => this.goSilent());
    this.#schedule("reset", options.reset, clock, () => this.reset());
    below.on("data", (bytes: Uint8Array) => {
      if (this.#silent) return;
      below.pause();
      this.#incoming.push(bytes, () => below.resume());
    });
    below.on("drain", () => this.#outgoing.resume());
    below.on("end", () => this.#incoming.end());
    below.on("error", (error) => this.#lost(error));
    below.on("close", () => this.#lost());
  }

  /** Stops both directions from now on, without reporting an end. */
  goSilent(): void {
    this.#silent = true;
    this.#incoming.close();
    this.#outgoing.close();
    this.#finish();
  }

  /** Holds both directions for `duration` ms; then everything arrives. */
  stall(duration: number): void {
    this.#incoming.stall(duration);
    this.#outgoing.stall(duration);
  }

  /** Resets the connection at both ends. */
  reset(): void {
    if (this.#below instanceof Socket) this.#below.resetAndDestroy();
    this.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
  }

  override _read(): void {
    this.#incoming.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    // copied: the writer may reuse the array while the bytes are under way
    if (this.#silent) done();
    else this.#outgoing.push(new Uint8Array(chunk), done);
  }

  override _final(done: () => void): void {
    if (this.#silent || this.#below.destroyed) {
      done();
      return;
    }
    // not before it has arrived: a finished and ended stream destroys itself with what is under way
    this.#ended = done;
    this.#outgoing.end();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    for (const cancel of this.#timers) cancel();
    this.#incoming.close();
    this.#outgoing.close();
    this.#below.destroy();
    done(error);
  }

  /** The wrapped stream has closed. Bytes before an orderly end are still under way. */
  #lost(error?: Error): void {
    if (this.#silent || this.destroyed) return;
    if (error !== undefined) this.destroy(error);
    else if (!this.#below.readableEnded) this.destroy();
    else {
      this.#outgoing.close();
      this.#finish();
    }
  }

  /** Everything that was written has arrived, or is lost. */
  #finish(): void {
    const ended = this.#ended;
    this.#ended = undefined;
    ended?.();
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    for (const limit of this.#limits) if (this.#bytes >= limit.bytes) limit.act();
  }

  #schedule(name: string, when: When | undefined, clock: Clock, act: () => void): void {
    if (when === undefined) return;
    const given = typeof when === "number" ? { after: when } : when;
    if ("afterBytes" in given) {
      this.#limits.push({ bytes: atLeast(`${name}.afterBytes`, given.afterBytes, 1, "bytes"), act });
    } else {
      this.#timers.push(clock.after(atLeast(`${name}.after`, given.after, 0, "milliseconds"), act));
    }
  }
}

function laneConditions(options: ConditionsOptions): LaneConditions {
  const { latency = 0, jitter = 0, bandwidth = Infinity, chunking, stall = 0 } = options;
  const { chance, duration = 200 } = typeof stall === "number" ? { chance: stall } : stall;
  const sizes = typeof chunking === "number" ? { min: chunking, max: chunking } : chunking;
  if (sizes !== undefined && !(Number.isInteger(sizes.min) && Number.isInteger(sizes.max) && 1 <= sizes.min)) {
    invalid("chunking", "bytes, 1 at least, or { min, max }", JSON.stringify(chunking));
  }
  if (sizes !== undefined && sizes.max < sizes.min) invalid("chunking.max", `${sizes.min} at least`, sizes.max);
  if (!(chance >= 0 && chance <= 1)) invalid("stall", "a chance from 0 to 1", chance);
  if (bandwidth !== Infinity) atLeast("bandwidth", bandwidth, 1, "bytes per second");
  return {
    latency: atLeast("latency", latency, 0, "milliseconds"),
    jitter: atLeast("jitter", jitter, 0, "milliseconds"),
    bandwidth,
    chunking: sizes,
    stall: { chance, duration: atLeast("stall.duration", duration, 0, "milliseconds") },
  };
}

function atLeast(name: string, value: number, least: number, unit: string): number {
  if (Number.isFinite(value) && value >= least) return value;
  return invalid(name, `${unit}, ${least} at least`, value);
}

function invalid(name: string, expected: string, got: unknown): never {
  throw invalidOption(name, expected, got);
}
