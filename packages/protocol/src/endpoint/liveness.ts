import { protocolError, type WebSocketError } from "../errors.ts";
import { OPCODE } from "../frames/frame.ts";
import type { Heartbeat } from "./options.ts";
import { configOf, encoderOf, Outbound, phaseOf, setPhase } from "./outbound.ts";
import { after, PHASES } from "./states.ts";

const EMPTY = new Uint8Array(0);
/** The deadline of closing starts at the next time that is given. */
const WITH_NEXT_TIME = -Infinity;

/** When bytes were last received. These functions are for the files of this package. */
export let receivedAtOf: (liveness: Liveness) => number;
/** Notes that bytes were received, which answers a ping. */
export let noteReceived: (liveness: Liveness, now: number) => void;
/**
 * Starts the deadline of closing, once. Without a time, which an asynchronous job does not have, it
 * starts at the next time that is given.
 */
export let startEnding: (liveness: Liveness, now: number | undefined) => void;
/** Removes the deadline. */
export let stopTimer: (liveness: Liveness) => void;

/**
 * Time of a connection: the heartbeat while it is open, and the deadline of closing. Time is an
 * argument, in ms of any monotonic clock. `pollTimeout` returns the one deadline.
 */
export abstract class Liveness extends Outbound {
  /** The error that ended the connection, if any. */
  error: WebSocketError | undefined;
  /** When `handleTimeout` is to be called. */
  #deadline = Infinity;
  /** When bytes were last received. */
  #receivedAt = 0;
  /** When the answer to a ping is due; Infinity if none is pending. Any byte is an answer. */
  #answerBy = Infinity;
  /** Since when the stream has to end. */
  #endingSince: number | undefined;

  static {
    receivedAtOf = (liveness) => liveness.#receivedAt;
    noteReceived = (liveness, now) => {
      liveness.#receivedAt = now;
      liveness.#answerBy = Infinity;
    };
    startEnding = (liveness, now) => liveness.#startEnding(now);
    stopTimer = (liveness) => {
      liveness.#deadline = Infinity;
    };
  }

  /** Starts the heartbeat, if the configuration has one. */
  start(now: number): void {
    const { heartbeat } = configOf(this);
    if (heartbeat === undefined) return;
    this.#receivedAt = now;
    this.#deadline = now + heartbeat.interval;
  }

  /**
   * Returns the time at which to call `handleTimeout`: Infinity for never, a past time for as soon
   * as possible. Ask again after each call of another method.
   */
  pollTimeout(): number {
    return this.#deadline;
  }

  /** Whether the stream has to end by the time that `pollTimeout` returns. */
  get isEnding(): boolean {
    return this.#endingSince !== undefined || this.#deadline === WITH_NEXT_TIME;
  }

  #startEnding(now: number | undefined): void {
    if (this.isEnding && this.#deadline !== Infinity) return;
    if (now === undefined) this.#deadline = WITH_NEXT_TIME;
    else this.#setEnd(now, (this.#endingSince ??= now));
  }

  /**
   * The system has accepted output at `now`. While the stream has to end, `closeTimeout` counts
   * from then, up to `maxCloseTime` in all, so that a peer gets what was written before the Close
   * as long as it accepts it. Changes nothing if the connection has failed.
   */
  outputSent(now: number): void {
    if (this.#deadline === WITH_NEXT_TIME) this.#endingSince ??= now;
    else if (this.#deadline === Infinity || !phaseOf(this).drains) return;
    if (this.#endingSince !== undefined) this.#setEnd(now, this.#endingSince);
  }

  #setEnd(now: number, since: number): void {
    const { closeTimeout, maxCloseTime } = configOf(this);
    this.#deadline = Math.min(now + closeTimeout, since + maxCloseTime);
  }

  /**
   * The caller reads again after a time without reading. The answer to a ping may be among what it
   * reads, so the peer has `heartbeat.timeout` from now on.
   */
  resumeReading(now: number): void {
    const { heartbeat } = configOf(this);
    if (heartbeat === undefined || this.isEnding || this.state !== "open" || this.#answerBy === Infinity) return;
    this.#answerBy = now + heartbeat.timeout;
    this.#deadline = Math.min(this.#answerBy, now + heartbeat.interval);
  }

  /**
   * Call it at the time that `pollTimeout` returned. Returns false if the stream is to be destroyed
   * at once. `isReading`: whether the caller reads the stream at the moment. While it does not,
   * silence does not mean that the peer is dead: pings are still sent, since writing to a peer that
   * has gone fails, but a missing answer does not end the connection.
   */
  handleTimeout(now: number, isReading = true): boolean {
    if (now < this.#deadline) return true;
    if (this.#deadline === WITH_NEXT_TIME) {
      this.outputSent(now);
      return true;
    }
    this.#deadline = Infinity;
    if (this.#endingSince !== undefined) {
      const done = phaseOf(this) === PHASES.closesExchanged && this.inTransit === 0;
      if (!done) this.error ??= this.#tooLate(now - this.#endingSince);
      setPhase(this, after(phaseOf(this), "timedOut"));
      return false;
    }
    const { heartbeat } = configOf(this);
    if (this.state === "closed" || heartbeat === undefined) return true;
    return this.#beat(now, heartbeat, isReading);
  }

  #tooLate(after: number): WebSocketError {
    const { maxCloseTime } = configOf(this);
    return protocolError("CLOSE_TIMEOUT", after >= maxCloseTime ? `maxCloseTime is ${maxCloseTime} ms` : undefined);
  }

  /** One step of the heartbeat of an open connection. Returns false if the peer is dead. */
  #beat(now: number, { interval, timeout }: Heartbeat, isReading: boolean): boolean {
    if (now >= this.#answerBy) {
      if (isReading) {
        const silence = Math.round(now - this.#receivedAt);
        this.error = protocolError("HEARTBEAT_TIMEOUT", `nothing came for ${silence} ms`);
        setPhase(this, after(phaseOf(this), "timedOut"));
        return false;
      }
      // the first ping to a peer that has gone causes a reset, and the next one then fails
      this.#answerBy = Infinity;
      this.#sendPing(isReading);
      this.#deadline = now + interval;
      return true;
    }
    const pingAt = this.#receivedAt + interval;
    if (this.#answerBy === Infinity && now >= pingAt) {
      this.#answerBy = now + timeout;
      this.#sendPing(isReading);
    }
    // a peer that answers at once is pinged again after `interval`, however long `timeout` is
    this.#deadline = this.#answerBy === Infinity ? pingAt : Math.min(this.#answerBy, now + interval);
    return true;
  }

  /** Adds a ping; not while nothing is read and earlier output waits, where it has no use. */
  #sendPing(isReading: boolean): void {
    if (isReading || this.output.size + this.inTransit === 0) {
      encoderOf(this).control(this.output, OPCODE.PING, EMPTY);
    }
  }
}
