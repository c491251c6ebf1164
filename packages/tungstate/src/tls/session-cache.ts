import { invalidOption } from "@tungstate/protocol/internal";
import { type OptionNames, checkNames } from "../options/names.ts";

/** Options of a TlsSessionCache. */
export interface TlsSessionCacheOptions {
  /** Number of peers (host, port and security options) with sessions. Default 256. */
  readonly maxPeers?: number;
  /**
   * Number of sessions per peer. In TLS 1.3, that many connections can be resumed at the same time.
   * Default 4.
   */
  readonly maxPerPeer?: number;
  /**
   * Maximum age of a session in ms. Default 24 hours; never longer than the peer's certificate is
   * valid.
   */
  readonly maxAge?: number;
  /**
   * Reuses the last TLS 1.3 ticket of a peer until the server issues another one. Some servers,
   * node:tls among them, issue none to a resumed connection, so that without reuse every third
   * connection needs a full handshake. With false, an observer of the network cannot link two
   * connections by their ticket. Default true.
   */
  readonly reuseTickets?: boolean;
  /** Current time in ms since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

const SESSION_CACHE_OPTIONS: OptionNames<TlsSessionCacheOptions> = {
  maxPeers: true,
  maxPerPeer: true,
  maxAge: true,
  reuseTickets: true,
  now: true,
};

/** A session with its expiry. */
export interface KeptSession {
  readonly session: Buffer;
  readonly protocol: string;
  /**
   * When the peer's certificate expires, in ms since 1970; a resumed connection sees no
   * certificate.
   */
  readonly certificateExpires: number;
  readonly expires: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * What a connection does with a cache. The key names a peer and all options that matter for
 * security.
 */
export interface Sessions {
  /** Returns the newest session of a peer. */
  take(key: string): KeptSession | undefined;
  put(key: string, session: Buffer, protocol: string, certificateExpires: number): void;
  /** Removes the sessions of a peer that did not accept one. */
  delete(key: string): void;
}

/** Returns the sessions of a cache, which users do not see. */
export let sessionsOf: (cache: TlsSessionCache) => Sessions;

/**
 * A cache of TLS sessions, with which the next connection to a peer needs no certificates and no
 * signatures. It is bounded; the least recently used peer is evicted first.
 *
 * A session stands for the verification done when it began. It is therefore found only under the
 * same host, port, name and options: other authorities, another client certificate or other pins
 * need a full handshake.
 */
export class TlsSessionCache {
  static {
    sessionsOf = (cache) => ({
      take: (key) => cache.#take(key),
      put: (key, session, protocol, certificateExpires) => cache.#put(key, session, protocol, certificateExpires),
      delete: (key) => cache.#delete(key),
    });
  }

  readonly #peers = new Map<string, KeptSession[]>(); // in the order of their last use
  readonly #maxPeers: number;
  readonly #maxPerPeer: number;
  readonly #maxAge: number;
  readonly #reuseTickets: boolean;
  readonly #now: () => number;

  constructor(options: TlsSessionCacheOptions = {}) {
    checkNames(options, SESSION_CACHE_OPTIONS);
    this.#maxPeers = positive("maxPeers", options.maxPeers ?? 256);
    this.#maxPerPeer = positive("maxPerPeer", options.maxPerPeer ?? 4);
    this.#maxAge = positive("maxAge", options.maxAge ?? DAY_MS);
    this.#reuseTickets = options.reuseTickets ?? true;
    this.#now = options.now ?? Date.now;
  }

  /** Number of sessions in the cache. */
  get size(): number {
    let size = 0;
    for (const sessions of this.#peers.values()) size += sessions.length;
    return size;
  }

  /** Returns the newest session for this peer. */
  #take(key: string): KeptSession | undefined {
    const now = this.#now();
    const sessions = this.#peers.get(key)?.filter(({ expires }) => expires > now) ?? [];
    const newest = sessions.at(-1);
    if (newest === undefined) {
      this.#peers.delete(key);
      return undefined;
    }
    // RFC 8446 §C.4: "Clients SHOULD NOT reuse a ticket for multiple connections." In TLS 1.2 a
    // session is made to be reused.
    const keep = newest.protocol !== "TLSv1.3" || (this.#reuseTickets && sessions.length === 1);
    this.#store(key, keep ? sessions : sessions.slice(0, -1));
    return newest;
  }

  /** Keeps a session. */
  #put(key: string, session: Buffer, protocol: string, certificateExpires: number): void {
    const expires = Math.min(this.#now() + this.#maxAge, certificateExpires);
    const kept = { session, protocol, certificateExpires, expires };
    this.#store(key, [...(this.#peers.get(key) ?? []), kept].slice(-this.#maxPerPeer));
  }

  /** Removes the sessions of a peer that did not accept one. */
  #delete(key: string): void {
    this.#peers.delete(key);
  }

  /** Removes all sessions. */
  clear(): void {
    this.#peers.clear();
  }

  #store(key: string, sessions: KeptSession[]): void {
    this.#peers.delete(key);
    if (sessions.length === 0) return;
    this.#peers.set(key, sessions);
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= this.#maxPeers) break;
      this.#peers.delete(oldest);
    }
  }
}

/** The session cache of connections without one of their own. */
export const sharedTlsSessions: TlsSessionCache = new TlsSessionCache();

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw invalidOption(name, "a positive number", value);
}
