import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { systemClock } from "../../schedule/clock.ts";
import { type Deadlines, NOWHERE, type Timed } from "../../schedule/deadlines.ts";
import { RefusedError } from "../admission/refused.ts";
import { serverError } from "../errors.ts";
import { parentOf, socketBelow } from "../http/tls.ts";
import type { Arrivals } from "./arrivals.ts";
import type { Place } from "./first-request.ts";

/** Connections during their TLS handshake. Each has a place and a time limit. */
export class Securing {
  /** False if the TLS server has a time limit of its own. */
  private readonly limitsTime: boolean;
  private readonly waiting = new Map<Socket, Handshake>();
  private readonly refused = new WeakSet<Socket>();

  constructor(limitsTime: boolean) {
    this.limitsTime = limitsTime;
  }

  /** Counts an accepted connection. If a limit is reached, destroys it and returns false. */
  begin(socket: Socket, arrivals: Arrivals, mayBeHttp: boolean): boolean {
    if (socket.destroyed) return true; // other code gave it: nothing follows
    const place = arrivals.arrive(arrivals.countsAddresses ? socket.remoteAddress : undefined, mayBeHttp);
    if (place instanceof RefusedError) {
      this.refused.add(socket);
      socket.destroy();
      return false;
    }
    const handshake = new Handshake(socket, place, arrivals);
    this.waiting.set(socket, handshake);
    if (this.limitsTime) handshake.limitTime();
    socket.once("close", () => {
      if (this.waiting.delete(socket)) handshake.lost();
    });
    return true;
  }

  /** Call after a TLS handshake. Returns the place of its connection. */
  end(socket: TLSSocket): Place | undefined {
    const below = socketBelow(socket, this.waiting);
    const handshake = below === undefined ? undefined : this.waiting.get(below);
    if (below === undefined || handshake === undefined) return undefined;
    this.waiting.delete(below);
    return handshake.done();
  }

  /** Whether `begin` has refused, and reported, the connection of a TLS socket. */
  hasRefused(socket: TLSSocket): boolean {
    const below = parentOf(socket);
    return below !== undefined && this.refused.has(below);
  }

  /** Destroys all connections in their TLS handshake. */
  destroy(): void {
    for (const socket of this.waiting.keys()) socket.destroy();
  }
}

class Handshake implements Timed {
  readonly deadline: number;
  slot = NOWHERE; // as a Timed
  private readonly socket: Socket;
  private readonly place: Place;
  private readonly arrivals: Arrivals;
  /** Deadlines of the system clock: TLS handshakes do not use the clock of the options. */
  private readonly deadlines: Deadlines;

  constructor(socket: Socket, place: Place, arrivals: Arrivals) {
    this.socket = socket;
    this.place = place;
    this.arrivals = arrivals;
    this.deadlines = arrivals.settings.runtime.deadlines.of(systemClock);
    this.deadline = systemClock.now() + arrivals.timeout;
  }

  limitTime(): void {
    this.deadlines.watch(this);
  }

  done(): Place {
    this.deadlines.forget(this);
    return this.place;
  }

  lost(): void {
    this.done().leave();
  }

  onDeadline(): void {
    this.arrivals.onRefused(serverError("TLS_HANDSHAKE_FAILED", `not complete after ${this.arrivals.timeout} ms`));
    this.socket.destroy();
  }
}
