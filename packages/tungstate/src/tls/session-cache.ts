import { protocolError } from "@tungstate/protocol";
import { type OptionNames, checkNames } from "../options/names.ts";

/** Options of a TlsSessionCache. */
export interface TlsSessionCacheOptions {
  /** Peers (host, port and the options that matter for security) that sessions are kept for. Default 256. */
  readonly maxPeers?: number;
  /** Sessions kept for one peer: in TLS 1.3 as many connections can be resumed at once. Default 4. */
  readonly maxPerPeer?: number;
  /** Milliseconds that a session is kept at most. Default 24 hours, and never longer than the peer's certificate is valid. */
  readonly maxAge?: number;
  /**
   * Whether the last ticket of TLS 1.3 that is left for a peer is used more than once, until the server gives another. Some servers,
   * node:tls among them, give none to a connection that was resumed; without this, each third connection to them is a full
   * handshake. False: whoever watches the network can't tell by the ticket that two connections have the same client. Default true.
   */
  readonly reuseTickets?: boolean;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

const SESSION_CACHE_OPTIONS: OptionNames<TlsSessionCacheOptions> = {
  maxPeers: true,
  maxPerPeer: true,
  maxAge: true,
  reuseTickets: true,
  now: true,
};

/** A session as it was kept: what node:tls calls `session`, and until when it may be used. */
export interface KeptSession {
  readonly session: Buffer;
  readonly protocol: string;
  /** When the certificate that the peer had then expires: a resumed connection does not see one. Milliseconds since 1970. */
  readonly certificateExpires: number;
  readonly expires: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * TLS sessions, so that the next connection to a peer needs no certificates and no signatures. Bounded: the peer that was
 * spoken to least recently goes first.
 *
 * A session stands for a verification that was done when it began. So it is only found under the same host, port, name and
 * options: with other authorities, another client certificate or other pins there is a full handshake.
 */
export class TlsSessionCache {
  private readonly peers = new Map<string, KeptSession[]>(); // in the order of their last use
  private readonly maxPeers: number;
  private readonly maxPerPeer: number;
  private readonly maxAge: number;
  private readonly reuseTickets: boolean;
  private readonly now: () => number;

  constructor(options: TlsSessionCacheOptions = {}) {
    checkNames(options, SESSION_CACHE_OPTIONS);
    this.maxPeers = positive("maxPeers", options.maxPeers ?? 256);
    this.maxPerPeer = positive("maxPerPeer", options.maxPerPeer ?? 4);
    this.maxAge = positive("maxAge", options.maxAge ?? DAY_MS);
    this.reuseTickets = options.reuseTickets ?? true;
    this.now = options.now ?? Date.now;
  }

  /** Sessions that are kept. */
  get size(): number {
    let size = 0;
    for (const sessions of this.peers.values()) size += sessions.length;
    return size;
  }

  /** The newest session for this peer. */
  take(key: string): KeptSession | undefined {
    const now = this.now();
    const sessions = this.peers.get(key)?.filter(({ expires }) => expires > now) ?? [];
    const newest = sessions.at(-1);
    if (newest === undefined) {
      this.peers.delete(key);
      return undefined;
    }
    // RFC 8446 §C.4: "Clients SHOULD NOT reuse a ticket for multiple connections." In TLS 1.2 a session is made to be reused.
    const keep = newest.protocol !== "TLSv1.3" || (this.reuseTickets && sessions.length === 1);
    this.store(key, keep ? sessions : sessions.slice(0, -1));
    return newest;
  }

  /** Keeps a session. */
  put(key: string, session: Buffer, protocol: string, certificateExpires: number): void {
    const expires = Math.min(this.now() + this.maxAge, certificateExpires);
    const kept = { session, protocol, certificateExpires, expires };
    this.store(key, [...(this.peers.get(key) ?? []), kept].slice(-this.maxPerPeer));
  }

  /** Forgets what is kept for this peer: it did not want it. */
  delete(key: string): void {
    this.peers.delete(key);
  }

  /** Forgets all sessions. */
  clear(): void {
    this.peers.clear();
  }

  private store(key: string, sessions: KeptSession[]): void {
    this.peers.delete(key);
    if (sessions.length === 0) return;
    this.peers.set(key, sessions);
    for (const oldest of this.peers.keys()) {
      if (this.peers.size <= this.maxPeers) break;
      this.peers.delete(oldest);
    }
  }
}

/** The cache of all connections that have none of their own. */
export const sharedTlsSessions: TlsSessionCache = new TlsSessionCache();

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw protocolError("INVALID_ARGUMENT", `${name} has to be a positive number, not ${value}`);
}
