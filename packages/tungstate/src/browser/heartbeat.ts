import type { Timers } from "../schedule/timers.ts";
import type { MessageData } from "../platform/message.ts";

/**
 * Options of the heartbeat. A page cannot send pings, so a message that the server answers is used.
 */
export interface HeartbeatOptions {
  /** ms without a message from the server after which the heartbeat is sent. Default 25,000. */
  readonly interval: number;
  /** Time limit in ms for any message after the heartbeat. Default 10,000. */
  readonly timeout: number;
  /** The message, or a function that returns it. The server must answer it with any message. */
  readonly message: MessageData | (() => MessageData);
}

/** A timer that is later was stopped: the machine slept or the page was frozen. */
const LATE_MS = 2_000;

/** Detects a server that no longer answers. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #clock: Timers;
  readonly #send: (data: MessageData) => void;
  readonly #onSilence: () => void;
  #heardAt: number;
  /** Whether the heartbeat was sent and no message was received since. */
  #awaiting = false;
  #cancel: () => void;

  constructor(options: HeartbeatOptions, clock: Timers, send: (data: MessageData) => void, onSilence: () => void) {
    this.#options = options;
    this.#clock = clock;
    this.#send = send;
    this.#onSilence = onSilence;
    this.#heardAt = clock.now();
    this.#cancel = clock.after(options.interval, this.#check);
  }

  /** Call for each received message. */
  received(): void {
    this.#heardAt = this.#clock.now();
    if (this.#awaiting) this.#wait();
  }

  /** Sends the heartbeat now, unless a message is awaited. */
  readonly probe = (): void => {
    if (this.#awaiting) return;
    this.expect();
    const { message } = this.#options;
    this.#send(typeof message === "function" ? message() : message);
  };

  /** Requires a message within `timeout` ms. */
  expect(): void {
    if (this.#awaiting) return;
    const { timeout } = this.#options;
    this.#cancel();
    this.#awaiting = true;
    const due = this.#clock.now() + timeout;
    this.#cancel = this.#clock.after(timeout, () => {
      this.#awaiting = false;
      // messages that arrived meanwhile have not been delivered yet
      if (this.#clock.now() > due + LATE_MS) this.probe();
      else this.#onSilence();
    });
  }

  stop(): void {
    this.#cancel();
    this.#awaiting = true; // so that no probe follows
  }

  #wait(): void {
    this.#awaiting = false;
    this.#cancel();
    this.#cancel = this.#clock.after(this.#options.interval, this.#check);
  }

  readonly #check = (): void => {
    const left = this.#heardAt + this.#options.interval - this.#clock.now();
    if (left > 0) this.#cancel = this.#clock.after(left, this.#check);
    else this.probe();
  };
}
