import type { Http2Session } from "node:http2";
import { type SharedSession, sharedSession } from "../../http2/session.ts";
import type { Clock } from "../../schedule/clock.ts";
import { type Deadlines, NOWHERE, type Timed } from "../../schedule/deadlines.ts";

const INTERVAL = 30_000; // ms between two PING frames

interface WatchSettings {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

/** Watches a session: see SessionWatch. Does nothing if it is watched already. */
export function watchSession(session: Http2Session, settings: WatchSettings): void {
  if (session.destroyed) return;
  const shared = sharedSession(session);
  if (shared.watched) return;
  shared.watched = true;
  new SessionWatch(shared, settings);
}

/**
 * Ends a session that does not answer a PING for 30 s. That is so if its host has vanished, and if
 * nghttp2 has ended the session because of a violation: it then sends GOAWAY and reads no more, and
 * node:http2 keeps the session and its socket open.
 */
class SessionWatch implements Timed {
  deadline: number;
  slot = NOWHERE; // as a Timed
  private readonly shared: SharedSession;
  private readonly clock: Clock;
  private readonly deadlines: Deadlines;
  /** The answers that had come at the last deadline. */
  private answers = 0;

  constructor(shared: SharedSession, { clock, deadlines }: WatchSettings) {
    this.shared = shared;
    this.clock = clock;
    this.deadlines = deadlines;
    this.deadline = clock.now() + INTERVAL;
    deadlines.watch(this);
    shared.session.once("close", () => deadlines.forget(this));
  }

  onDeadline(): void {
    const { shared, clock } = this;
    const { session } = shared;
    if (session.destroyed) return;
    if (!shared.ping() && shared.answers === this.answers) {
      session.destroy();
      return;
    }
    this.answers = shared.answers;
    this.deadline = clock.now() + INTERVAL;
    this.deadlines.watch(this);
  }
}
