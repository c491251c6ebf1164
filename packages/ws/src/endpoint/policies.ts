import { invalidOption } from "@tungstate/protocol/internal";
import {
  checkNames,
  checkTime,
  describe,
  NOWHERE,
  type OptionNames,
  type OriginPolicy,
  systemClock,
  type Timed,
} from "tungstate/internal";
import { runtime } from "../runtime.ts";

/** Options that ws does not have. All are off by default. */
export interface Policies {
  /**
   * Pings a silent peer after `interval` ms, and destroys the connection after `timeout` ms more.
   */
  readonly heartbeat?: { readonly interval: number; readonly timeout: number } | undefined;
  /** Limit of unsent bytes. A connection that exceeds it is destroyed. */
  readonly maxWriteBufferSize?: number | undefined;
  /** Origins of web pages that may connect to a server. */
  readonly origin?: OriginPolicy | undefined;
}

const NAMES: OptionNames<Policies> = {
  heartbeat: { interval: true, timeout: true },
  maxWriteBufferSize: true,
  origin: true,
};

/** Throws INVALID_ARGUMENT for the option `tungstate` if it is invalid. */
export function checkPolicies(policies: Policies | undefined): void {
  if (policies === undefined) return;
  checkNames(policies, NAMES, "tungstate");
  const { heartbeat, maxWriteBufferSize, origin } = policies;
  if (heartbeat !== undefined) {
    checkTime("tungstate.heartbeat.interval", heartbeat.interval);
    checkTime("tungstate.heartbeat.timeout", heartbeat.timeout);
  }
  if (maxWriteBufferSize !== undefined && !(maxWriteBufferSize >= 0)) {
    throw invalidOption(
      "tungstate.maxWriteBufferSize",
      "a number of bytes",
      maxWriteBufferSize,
      describe(maxWriteBufferSize),
    );
  }
  const isPolicy = typeof origin === "function" || Array.isArray(origin) || origin === "same" || origin === "any";
  if (origin !== undefined && !isPolicy) {
    throw invalidOption("tungstate.origin", '"same", "any", a list or a function', origin, describe(origin));
  }
}

/** The connection that a heartbeat watches. */
export interface Watched {
  /** Sends a ping without payload. */
  sendHeartbeat(): void;
  /** The peer has not answered. */
  onSilence(): void;
}

/** Detects a peer that no longer answers. Any received byte is an answer. */
export class Heartbeat implements Timed {
  slot = NOWHERE;
  deadline: number;
  private receivedAt: number;
  private isAwaited = false;
  private readonly interval: number;
  private readonly timeout: number;
  private readonly watched: Watched;

  constructor({ interval, timeout }: NonNullable<Policies["heartbeat"]>, watched: Watched) {
    this.interval = interval;
    this.timeout = timeout;
    this.watched = watched;
    this.receivedAt = systemClock.now();
    this.deadline = this.receivedAt + interval;
    runtime.deadlines.of(systemClock).watch(this);
  }

  /** Call when bytes are received. */
  received(): void {
    this.receivedAt = systemClock.now();
    if (!this.isAwaited) return;
    this.isAwaited = false;
    this.deadline = this.receivedAt + this.interval;
    runtime.deadlines.of(systemClock).watch(this);
  }

  onDeadline(now: number): void {
    const due = this.receivedAt + this.interval;
    if (now < due) this.deadline = due;
    else if (this.isAwaited) {
      this.deadline = Infinity;
      this.watched.onSilence();
    } else {
      this.isAwaited = true;
      this.deadline = now + this.timeout;
      this.watched.sendHeartbeat();
    }
  }

  /** Call at the end of the connection. */
  stop(): void {
    this.deadline = Infinity;
    runtime.deadlines.of(systemClock).forget(this);
  }
}
