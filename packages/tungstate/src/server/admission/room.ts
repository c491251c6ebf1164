import type { WebSocketError } from "@tungstate/protocol";
import type { Accepting } from "../accepting.ts";
import { AddressPlaces } from "./addresses.ts";
import { refusedForNow } from "./admission.ts";
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
 * The limits of a server, and what counts against them: TLS handshakes, handshakes, connections.
 *
 * On a port with an HTTP server (`withHttp`), a connection may not be a WebSocket at all. Until its
 * first request is known, it counts against `maxHandshakes`, and against `maxConnectionsPerAddress`
 * among the other waiting ones; `enter` checks the rest.
 */
export class Room {
  /** Handshakes under way. */
  readonly handshakes = new Set<Accepting>();
  private readonly maxConnections: number;
  private readonly maxHandshakes: number;
  private readonly surroundings: Surroundings;
  /** Connections by address, if they are counted. */
  private readonly places: AddressPlaces | undefined;
  /** First requests by address, on ports with an HTTP server. */
  private readonly waiting: AddressPlaces | undefined;
  /** Handshakes of such ports that are for this server. */
  private readonly entered = new Set<Accepting>();
  private tlsHandshakes = 0;

  /** Throws INVALID_ARGUMENT. */
  constructor(options: RoomOptions, surroundings: Surroundings) {
    this.maxConnections = count(options, "maxConnections", Infinity, 0);
    this.maxHandshakes = count(options, "maxHandshakes", 1024, 1);
    this.surroundings = surroundings;
    const perAddress = count(options, "maxConnectionsPerAddress", Infinity, 1);
    if (perAddress === Infinity) return;
    this.places = new AddressPlaces(perAddress);
    this.waiting = new AddressPlaces(perAddress);
  }

  /** Addresses with connections or handshakes; 0 if they are not counted. */
  get addresses(): number {
    return this.places?.size ?? 0;
  }

  /** A TLS handshake begins. Returns a function to call at its end, or why there is no room. */
  startTls(address: string | undefined, withHttp: boolean): (() => void) | WebSocketError {
    if (this.tlsHandshakes >= this.maxHandshakes) return serverError("SERVER_FULL");
    const leave = this.placeOf(address, withHttp);
    if (leave === undefined) return serverError("TOO_MANY_FROM_ADDRESS");
    this.tlsHandshakes++;
    return () => {
      this.tlsHandshakes--;
      leave();
    };
  }

  /** A handshake begins. Returns why there is no room. */
  begin(accepting: Accepting, address: string | undefined, withHttp: boolean): WebSocketError | undefined {
    const { size } = this.handshakes;
    this.handshakes.add(accepting);
    if (size >= this.maxHandshakes) return serverError("SERVER_FULL");
    const full = withHttp ? undefined : this.full(size);
    if (full !== undefined || this.places === undefined) return full;
    if (this.surroundings.proxies?.trusts(address) === true) return undefined;
    accepting.leave = this.placeOf(address, withHttp);
    return accepting.leave === undefined ? serverError("TOO_MANY_FROM_ADDRESS") : undefined;
  }

  /**
   * The request of a handshake is known and is for this server. Throws a RefusedError if there is
   * no room.
   */
  enter(accepting: Accepting, address: string | undefined, withHttp: boolean): void {
    if (withHttp) {
      accepting.leave?.();
      accepting.leave = undefined;
      const full = this.full(this.entered.size);
      if (full !== undefined) throw refusedForNow(full);
      this.entered.add(accepting);
    }
    if (this.places === undefined) return;
    accepting.leave ??= this.places.take(address);
    if (accepting.leave === undefined) throw refusedForNow(serverError("TOO_MANY_FROM_ADDRESS"));
  }

  /** The handshake has ended. Its place among those of its address is freed separately. */
  end(accepting: Accepting): void {
    this.handshakes.delete(accepting);
    this.entered.delete(accepting);
  }

  /** Whether `enter` has to be called for requests. */
  get counts(): boolean {
    return this.places !== undefined;
  }

  /**
   * Occupies a place before the request is known. Behind a proxy the client is unknown then, so
   * only a place among the handshakes is needed.
   */
  private placeOf(address: string | undefined, withHttp: boolean): (() => void) | undefined {
    const places = withHttp ? this.waiting : this.places;
    if (places === undefined || this.surroundings.proxies?.trusts(address) === true) return ignore;
    return places.take(address);
  }

  /** Returns why there is no room for another connection, with this number under way. */
  private full(underWay: number): WebSocketError | undefined {
    if (this.surroundings.openConnections() + underWay >= this.maxConnections) return serverError("SERVER_FULL");
    return this.surroundings.shortOfMemory() ? serverError("SERVER_OVERLOADED") : undefined;
  }
}

const ignore = (): void => undefined;
