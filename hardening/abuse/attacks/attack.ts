import type { Watched } from "../../support/watched.ts";

/** The server that is attacked. */
export interface Target {
  readonly url: string;
  readonly port: number;
}

/** What a server needs besides itself: a Redis, an address with keys. */
export interface Surroundings {
  /** Arguments of `tungstate serve` that lead to them. */
  readonly args: readonly string[];
  /** What of them does not hold at the end of the attack. */
  readonly problems: () => readonly string[];
  /** Called when the attack begins. `signal` aborts when it is over. */
  readonly disturb?: (signal: AbortSignal) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface Attack {
  readonly name: string;
  readonly what: string;
  /** Arguments of `tungstate serve`, beside its defaults. */
  readonly args?: readonly string[];
  /** The attack is also made on `--workers 2`. */
  readonly workers?: true;
  /** Whether the server's stderr is not read. */
  readonly isUnread?: true;
  /**
   * The honest clients cannot publish for a while, or at all: what is published is still lost by
   * nobody.
   */
  readonly stopsPublishing?: true;
  readonly surroundings?: () => Promise<Surroundings>;
  /**
   * Called with the server when the attack begins: for attacks on its processes. `signal` aborts
   * when it is over.
   */
  readonly disturb?: (server: Watched, signal: AbortSignal) => Promise<void>;
  /** The attackers, in a process of their own, until that is ended. */
  readonly run: (target: Target) => Promise<void>;
}
