import { abortedError, type ConnectStep, type Tried } from "../../errors.ts";
import { onAbort } from "../../schedule/abort-signal.ts";
import type { ClientSession, OpenedStream } from "./client-session.ts";

/** What an attempt to open a session has come to. */
export type Made =
  | { readonly version: "2"; readonly session: ClientSession }
  /** The server has HTTP/1.1 only. `take`: returns the stream once, if it can be used. */
  | { readonly version: "1.1"; readonly take: () => OpenedStream | undefined };

/** The state of an attempt, for the errors of connections that stop waiting. */
export interface MakingProgress {
  step: ConnectStep;
  tried: Tried;
  /** When the wait for SETTINGS began, in ms on the clock. */
  settingsSince: number | undefined;
}

/**
 * A session that is being opened, and the connections that wait for it. It is given up when all of
 * them are.
 */
export class Making {
  readonly progress: MakingProgress = { step: "connect", tried: {}, settingsSince: undefined };
  /** The version of HTTP that the waiting connections need. */
  readonly version: "2" | "auto";
  private readonly controller = new AbortController();
  private readonly made: Promise<Made>;
  private waiters = 0;

  constructor(version: "2" | "auto", make: (signal: AbortSignal, progress: MakingProgress) => Promise<Made>) {
    this.version = version;
    this.made = make(this.controller.signal, this.progress);
    this.made.catch(() => undefined); // the connections that wait report it
  }

  /** Connections that wait. */
  get waiting(): number {
    return this.waiters;
  }

  get isGivenUp(): boolean {
    return this.controller.signal.aborted;
  }

  /** Waits until it is made, or until `signal` aborts. */
  wait(signal: AbortSignal): Promise<Made> {
    this.waiters++;
    return new Promise((resolve, reject) => {
      const forget = onAbort(signal, () => {
        this.waiters--;
        // the error of the attempt has the details of what was tried
        if (this.waiters === 0) this.controller.abort(signal.reason);
        else reject(abortedError(signal, { step: this.progress.step, tried: this.progress.tried }));
      });
      this.made.then(resolve, reject).finally(forget);
    });
  }
}
