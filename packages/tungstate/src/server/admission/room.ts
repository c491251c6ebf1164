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
 * Counts connections that arrive, handshakes and open connections against the limits of a server.
 *
 * A connection counts from the moment it is accepted. It arrives (`arrive`) during its TLS
 * handshake and, on a port shared with an HTTP server, until the head of its first request is
 * complete. Until then it counts against `maxHandshakes`, and against `maxConnectionsPerAddress` of
 * arriving connections. Then it is a handshake, which counts against all limits, or it is passed to
 * the HTTP server and no longer counts.
 */
export class Room {
  /** Handshakes under way. */
  readonly handshakes = new Set<Accepting>();
  private readonly maxConnections: number;
  private readonly maxHandshakes: number;
  private readonly surroundings: Surroundings;
  /** Connections by address, if they are counted. */
  private readonly places: AddressPlaces | undefined;
  /** Arriving connections by address. */
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

  /** Number of arriving connections and of handshakes. */
  get underWay(): number {
    return this.arrivals + this.handshakes.size;
  }

  /**
   * Counts an arriving connection. Returns a function to call when its first request has been read,
   * or the error if a limit is reached. `mayBeHttp`: it may be passed to an HTTP server.
   */
  arrive(address: string | undefined, mayBeHttp: boolean): (() => void) | WebSocketError {
    // handshakes that wait for `authorize` must not block ordinary requests
    const before = mayBeHttp ? this.arrivals : this.underWay;
    if (before >= this.maxHandshakes) return serverError("SERVER_FULL");
    const places = mayBeHttp ? this.arriving : this.places;
    // the address of a client behind a proxy is in the request, which has not been read
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

  /** Counts a handshake. Returns an error if a limit is reached. */
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
   * Counts the address of a handshake's client, which behind a proxy is known from the request.
   * Throws a RefusedError if a limit is reached.
   */
  enter(accepting: Accepting, address: string | undefined): void {
    if (this.places === undefined) return;
    accepting.leave ??= this.places.take(address);
    if (accepting.leave === undefined) throw refusedForNow(serverError("TOO_MANY_FROM_ADDRESS"));
  }

  /** Call after a handshake. The place of its address is freed by `accepting.leave`. */
  end(accepting: Accepting): void {
    this.handshakes.delete(accepting);
  }

  /** Whether `enter` must be called for each request. */
  get counts(): boolean {
    return this.places !== undefined;
  }
}

const ignore = (): void => undefined;
