import type { Http2Session } from "node:http2";
import { TLSSocket } from "node:tls";

/** What the streams of one HTTP/2 session share. */
export class SharedSession {
  /** Number of the session in this process, from 1. */
  readonly number: number;
  readonly session: Http2Session;
  private readonly addresses: Addresses;
  /** Number of PING frames that were answered. */
  answers = 0;
  /** Whether the server ends it when it stops answering. */
  watched = false;
  /** Whether a PING waits for its answer. */
  private pinging = false;

  constructor(session: Http2Session, number: number) {
    this.session = session;
    this.number = number;
    // the socket of a session cannot be reached after its end
    this.addresses = isAlive(session) ? addressesOf(session) : NOWHERE;
  }

  get localAddress(): string | undefined {
    return this.addresses.localAddress;
  }

  get localPort(): number | undefined {
    return this.addresses.localPort;
  }

  get remoteAddress(): string | undefined {
    return this.addresses.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.addresses.remotePort;
  }

  /** The TLS socket of the session; undefined without TLS, and after its end. */
  get tlsSocket(): TLSSocket | undefined {
    if (!isAlive(this.session)) return undefined;
    const { socket } = this.session;
    return socket instanceof TLSSocket ? socket : undefined;
  }

  /** Sends a PING. Returns false if the previous one has not been answered. */
  ping(): boolean {
    const { session } = this;
    if (this.pinging) return false;
    if (session.destroyed || session.closed) return true;
    this.pinging = true;
    session.ping((error) => {
      this.pinging = false;
      if (error === null) this.answers++;
    });
    return true;
  }
}

interface Addresses {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

const NOWHERE: Addresses = {};

function addressesOf({ socket }: Http2Session): Addresses {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  return { localAddress, localPort, remoteAddress, remotePort };
}

function isAlive({ connecting, destroyed }: Http2Session): boolean {
  return !connecting && !destroyed;
}

const known = new WeakMap<Http2Session, SharedSession>();
let count = 0;

/** Returns what the streams of a connected session share. */
export function sharedSession(session: Http2Session): SharedSession {
  const before = known.get(session);
  if (before !== undefined) return before;
  const shared = new SharedSession(session, ++count);
  known.set(session, shared);
  return shared;
}
