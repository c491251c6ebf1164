import type { WebSocketError } from "@tungstate/protocol";
import type { Accepting } from "../accepting.ts";
import { AddressPlaces } from "./addresses.ts";
import { refusedForNow } from "./refused.ts";
import { serverError } from "../errors.ts";
import type { Proxies } from "./proxies.ts";
import { count } from "../../options/check.ts";

export interface RoomOptions {
  /** Maximum number of open connections; more get 503. Default Infinity. */
  readonly maxConnections?: number;
  /** Maximum number of handshakes under way; more get 503. Default 1,024. */
  readonly maxHandshakes?: number;
  /**
   * Maximum number of connections from one address, handshakes included; more get 429. For IPv6 the
   * first 64 bits count. Behind a proxy it needs `trustProxy`, or all clients count as one address.
   * Default Infinity.
   */
  readonly maxConnectionsPerAddress?: number;
}

/** The state that the limits depend on. */
interface Surroundings {
  readonly proxies: Proxies | undefined;
  /** Number of connections that are open or closing. */
  openConnections(): number;
  /** Whether connections hold nearly all memory of the budget. */
  shortOfMemory(): boolean;
}

/**
 * The limits of a server, and what counts against them: connections that arrive, handshakes, and
 * open connections.
 *
 * A connection counts from the moment it is accepted. During the TLS handshake, and where an HTTP
 * server may get it until the head of its first request is complete (`arrive`), it counts against
 * `maxHandshakes` and, among those that arrive, against `maxConnectionsPerAddress`. Then it is a
 * handshake, which counts against all limits, or belongs to the HTTP server and counts no more.
 */
export class Room {
  /** Handshakes under way. */
  readonly handshakes = new Set<Accepting>();
  private readonly maxConnections: number;
  private readonly maxHandshakes: number;
  private readonly surroundings: Surroundings;
  /** Connections by address, if they are counted. */
  private readonly places: AddressPlaces | undefined;
  /** Connections that arrive, by address. */
  private readonly arriving: AddressPlaces | undefined;
  private arrivals = 0;

  /** Throws INVALID_ARGUMENT. */
  constructor(options: RoomOptions, surroundings: Surroundings) {
    this.maxConnections = count(options, "maxConnections", Infinity, 0);
    this.maxHandshakes = count(options, "maxHandshakes", 1024, 1);
    this.surroundings = surroundings;
    const perAddress = count(options, "maxConnectionsPerAddress", Infinity, 1);
    if (perAddress === Infinity) return;
    this.places = new AddressPlaces(perAddress);
    this.arriving = new AddressPlaces(perAddress);
  }

  /** Addresses with connections or handshakes; 0 if they are not counted. */
  get addresses(): number {
    return this.places?.size ?? 0;
  }

  /** Number of connections that arrive, and of handshakes. */
  get underWay(): number {
    return this.arrivals + this.handshakes.size;
  }

  /**
   * A connection arrives. Returns a function to call when its first request is known, or why there
   * is no room. `mayBeHttp`: an HTTP server may get it.
   */
  arrive(address: string | undefined, mayBeHttp: boolean): (() => void) | WebSocketError {
    // ordinary requests are not refused because of handshakes that wait for `authorize`
    const before = mayBeHttp ? this.arrivals : this.underWay;
    if (before >= this.maxHandshakes) return serverError("SERVER_FULL");
    const places = mayBeHttp ? this.arriving : this.places;
    // behind a proxy the client is not known yet
    const isProxy = places !== undefined && this.surroundings.proxies?.trusts(address) === true;
    const leave = places === undefined || isProxy ? ignore : places.take(address);
    if (leave === undefined) return serverError("TOO_MANY_FROM_ADDRESS");
    this.arrivals++;
    let isHere = true;
    return () => {
      if (!isHere) return;
      isHere = false;
      this.arrivals--;
      leave();
    };
  }

  /** A handshake begins. Returns why there is no room. */
  begin(accepting: Accepting, address: string | undefined): WebSocketError | undefined {
    const { underWay } = this;
    const { size } = this.handshakes;
    this.handshakes.add(accepting);
    if (underWay >= this.maxHandshakes) return serverError("SERVER_FULL");
    if (this.surroundings.openConnections() + size >= this.maxConnections) return serverError("SERVER_FULL");
    if (this.surroundings.shortOfMemory()) return serverError("SERVER_OVERLOADED");
    if (this.places === undefined || this.surroundings.proxies?.trusts(address) === true) return undefined;
    accepting.leave = this.places.take(address);
    return accepting.leave === undefined ? serverError("TOO_MANY_FROM_ADDRESS") : undefined;
  }

  /**
   * The request of a handshake is known, and with it the address of the client behind a proxy.
   * Throws a RefusedError if there is no room.
   */
  enter(accepting: Accepting, address: string | undefined): void {
    if (this.places === undefined) return;
    accepting.leave ??= this.places.take(address);
    if (accepting.leave === undefined) throw refusedForNow(serverError("TOO_MANY_FROM_ADDRESS"));
  }

  /** The handshake has ended. Its place among those of its address is freed separately. */
  end(accepting: Accepting): void {
    this.handshakes.delete(accepting);
  }

  /** Whether `enter` has to be called for requests. */
  get counts(): boolean {
    return this.places !== undefined;
  }
}

const ignore = (): void => undefined;
