import type { Http2Session } from "node:http2";
import { NOWHERE, type Timed } from "../../schedule/deadlines.ts";
import type { Arrivals } from "../door/arrivals.ts";
import type { Place } from "../door/first-request.ts";
import { serverError } from "../errors.ts";
import { endSession } from "./announce.ts";

/**
 * A session before its first request. It has a place among the connections that arrive, and ends at
 * its deadline.
 */
export class ArrivingSession implements Timed {
  readonly deadline: number;
  slot = NOWHERE; // as a Timed
  private readonly session: Http2Session;
  private readonly place: Place;
  private readonly arrivals: Arrivals;

  constructor(session: Http2Session, place: Place, arrivals: Arrivals) {
    this.session = session;
    this.place = place;
    this.arrivals = arrivals;
    this.deadline = place.since + arrivals.timeout;
    arrivals.settings.deadlines.watch(this);
  }

  /** Frees its place. May be called several times. */
  end(): void {
    this.arrivals.settings.deadlines.forget(this);
    this.place.leave();
  }

  onDeadline(): void {
    this.end();
    endSession(this.session);
    this.arrivals.onRefused(serverError("ACCEPT_TIMEOUT", `no request in ${this.arrivals.timeout} ms`));
  }
}
