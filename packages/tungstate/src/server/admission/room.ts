import type { WebSocketError } from "@tungstate/protocol";
import type { Accepting } from "../accepting.ts";
import { AddressPlaces } from "./addresses.ts";
import { refusedForNow } from "./admission.ts";
import { serverError } from "../errors.ts";
import type { Proxies } from "./proxies.ts";
import { count } from "../../options/check.ts";

export interface RoomOptions {
  /** Open connections at a time; more get 503. Default Infinity. */
  readonly maxConnections?: number;
  /** Handshakes under way at a time; more get 503. Default 1,024. */
  readonly maxHandshakes?: number;
  /**
   * Connections at a time from one address, handshakes included; more get 429. Of IPv6 addresses, the first 64 bits count. Behind a proxy it
   * needs `trustProxy`, or all clients are one address. Default Infinity.
   */
  readonly maxConnectionsPerAddress?: number;
}

/** What the limits depend on beside the options. */
interface Surroundings {
  readonly proxies: Proxies | undefined;
  /** How many connections are open or closing. */
  openConnections(): number;
  /** Whether the connections hold nearly as much memory as they may. */
  shortOfMemory(): boolean;
}

/**
 * The limits of a server, and what counts against them: TLS handshakes, handshakes, connections.
 *
 * Where a port has an HTTP server behind it (`withHttp`), a connection may turn out to be none of ours. Until its first request is known it counts
 * against `maxHandshakes` and, among others that wait, against `maxConnectionsPerAddress`; `enter` asks for the rest.
 */
export class Room {
  /** Handshakes under way. */
  readonly handshakes = new Set<Accepting>();
  private readonly maxConnections: number;
  private readonly maxHandshakes: number;
  private readonly surroundings: Surroundings;
  /** Connections by address, where they are counted. */
  private readonly places: AddressPlaces | undefined;
  /** First requests by address, of ports with an HTTP server. */
  private readonly waiting: AddressPlaces | undefined;
  /** Handshakes of such ports that were found to be for us. */
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

  /** How many addresses have connections, or handshakes under way; 0 where they are not counted. */
  get addresses(): number {
    return this.places?.size ?? 0;
  }

  /** A TLS handshake begins. Returns what is to be called at its end, or why there is no room. */
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

  /** Its request is known, and is for us. Throws a RefusedError where there is no room for it. */
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

  /** It is under way no longer. Its place among those of its address is its own affair. */
  end(accepting: Accepting): void {
    this.handshakes.delete(accepting);
    this.entered.delete(accepting);
  }

  /** Whether requests have to be told to `enter`. */
  get counts(): boolean {
    return this.places !== undefined;
  }

  /** A place before there is a request. A proxy can't say for whom it is then: all it needs is a place among the handshakes. */
  private placeOf(address: string | undefined, withHttp: boolean): (() => void) | undefined {
    const places = withHttp ? this.waiting : this.places;
    if (places === undefined || this.surroundings.proxies?.trusts(address) === true) return ignore;
    return places.take(address);
  }

  /** Why there is no room for one more connection, beside so many that are under way. */
  private full(underWay: number): WebSocketError | undefined {
    if (this.surroundings.openConnections() + underWay >= this.maxConnections) return serverError("SERVER_FULL");
    return this.surroundings.shortOfMemory() ? serverError("SERVER_OVERLOADED") : undefined;
  }
}

const ignore = (): void => undefined;
