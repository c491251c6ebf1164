import {
  buildRefusal,
  formatResponse,
  type HeadLimits,
  isWebSocketUpgrade,
  type ProtocolErrorCode,
  refusalFor,
  RequestHeadParser,
  type Runtime,
  type UpgradeHead,
  type WebSocketError,
} from "@tungstate/protocol";
import type { Clock } from "../../schedule/clock.ts";
import { type Deadlines, NOWHERE, type Timed } from "../../schedule/deadlines.ts";
import type { Transport } from "../../transport/transport.ts";
import { refusedForNow } from "../admission/refused.ts";
import { serverError } from "../errors.ts";
import { sayAndEnd } from "../say-and-end.ts";
import type { Arrival, ArrivalReader } from "./arrival.ts";

/** A handshake that was read on a new connection. */
export interface KnownHandshake {
  readonly transport: Transport;
  readonly encrypted: boolean;
  readonly head: UpgradeHead;
  /** The bytes after the head. */
  readonly rest: Uint8Array;
  /** Size of the head in bytes, and the number of chunks that it arrived in. */
  readonly size: number;
  readonly parts: number;
  /** Time since the connection was accepted, in ms. */
  readonly elapsed: number;
}

/** Accepts the handshakes of some paths. */
export type HandshakeTaker = (handshake: KnownHandshake) => void;

/** The place of a connection among those whose first request has not been read. */
export interface Place {
  readonly since: number;
  /** Frees the place. May be called several times. */
  readonly leave: () => void;
}

/** Where a first request goes: the WebSocketServers and the HTTP server behind one port. */
export interface Destination {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** Its functions decode the head. */
  readonly runtime: Runtime;
  /** Limits of the head of the first request. */
  readonly limits: Partial<HeadLimits> | undefined;
  /** Time limit from accepting a connection to the end of the head, in ms. */
  readonly timeout: number;
  /** Whether a head beyond the limits is refused. Otherwise it is passed to the HTTP server. */
  readonly enforcesLimits: boolean;
  /** Returns the function that accepts this handshake; undefined if it is for the HTTP server. */
  takerOf(head: UpgradeHead): HandshakeTaker | undefined;
  onRefused(error: WebSocketError): void;
  /** The first request has been read, or the connection has ended. */
  onEnd(request: FirstRequest): void;
}

/** Errors of heads that node:http may accept. All other errors are limits. */
const NOT_OUR_HTTP: ReadonlySet<ProtocolErrorCode> = new Set(["MALFORMED_HEAD", "UNSUPPORTED_HTTP_VERSION"]);

/**
 * Reads the first request of a connection. A WebSocket handshake is passed to its taker, any other
 * request to the HTTP server with all bytes read.
 */
export class FirstRequest implements ArrivalReader, Timed {
  readonly deadline: number;
  slot = NOWHERE; // as a Timed
  private readonly arrival: Arrival;
  private readonly place: Place;
  private readonly destination: Destination;
  private readonly parser: RequestHeadParser;
  private size = 0;
  private parts = 0;
  private over = false;

  constructor(arrival: Arrival, place: Place, destination: Destination) {
    this.arrival = arrival;
    this.place = place;
    this.destination = destination;
    this.parser = new RequestHeadParser(destination.limits, destination.runtime);
    this.deadline = place.since + destination.timeout;
    destination.deadlines.watch(this);
    arrival.read(this);
  }

  onBytes(bytes: Uint8Array): void {
    this.size += bytes.length;
    this.parts++;
    const progress = this.parser.receive(bytes);
    if (progress.state === "more") return;
    const { destination, arrival, place } = this;
    if (progress.state === "error") {
      const { error } = progress;
      if (destination.enforcesLimits && !NOT_OUR_HTTP.has(error.code)) {
        this.refuse(error, formatResponse(refusalFor(error)));
      } else if (this.end()) {
        arrival.pass(this.parser.received(bytes), place.since);
        destination.onEnd(this);
      }
      return;
    }
    const { head, rest } = progress;
    const taker = isWebSocketUpgrade(head) ? destination.takerOf(head) : undefined;
    if (!this.end()) return;
    if (taker === undefined) arrival.pass(this.parser.received(bytes));
    else {
      const { encrypted } = arrival;
      const elapsed = destination.clock.now() - place.since;
      arrival.handOver();
      const size = this.size - rest.length;
      taker({ transport: arrival.transport(), encrypted, head, rest, size, parts: this.parts, elapsed });
    }
    destination.onEnd(this);
  }

  onEnd(): void {
    const { arrival, destination, place } = this;
    if (!destination.enforcesLimits && arrival.passesEnd) {
      if (!this.end()) return;
      arrival.pass(this.parser.received(), place.since);
      destination.onEnd(this);
      return;
    }
    if (this.size === 0) {
      if (!this.end()) return;
      arrival.destroy();
      if (destination.enforcesLimits) destination.onRefused(serverError("REQUEST_LOST"));
      destination.onEnd(this);
      return;
    }
    // RFC 9112 §8: "A server that receives an incomplete request message [...] MAY send an error
    // response prior to closing the connection."
    const error = serverError("REQUEST_LOST", "the request ends within its head");
    this.refuse(error, INCOMPLETE);
  }

  onGone(): void {
    if (!this.end()) return;
    if (this.destination.enforcesLimits) this.destination.onRefused(serverError("REQUEST_LOST"));
    this.destination.onEnd(this);
  }

  onDeadline(): void {
    const error = serverError("ACCEPT_TIMEOUT", `${this.destination.timeout} ms`);
    this.refuse(error, formatResponse(refusalFor(error)));
  }

  /** Refuses a connection that has sent nothing. Otherwise the head is read to its end. */
  close(): void {
    const error = refusedForNow(serverError("SERVER_CLOSING"));
    if (this.size === 0) this.refuse(error, error.response);
  }

  /** Ends the connection without a response. */
  terminate(): void {
    if (!this.end()) return;
    this.arrival.destroy();
    this.destination.onEnd(this);
  }

  private refuse(error: WebSocketError, response: Uint8Array): void {
    if (!this.end()) return;
    sayAndEnd(this.arrival.transport(), response, this.destination.clock);
    this.destination.onRefused(error);
    this.destination.onEnd(this);
  }

  private end(): boolean {
    if (this.over) return false;
    this.over = true;
    this.destination.deadlines.forget(this);
    this.place.leave();
    return true;
  }
}

const INCOMPLETE = formatResponse(buildRefusal({ status: 400, body: "the request ends within its head\n" }));
