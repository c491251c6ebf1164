import type { Reader } from "../sessions/reader.ts";
import type { Session } from "../sessions/session.ts";
import type { ClientSession } from "../settings/client-session.ts";

/** A connection at the hub. Its owner calls these methods. */
export interface Incoming {
  /** The session of this connection. */
  readonly session: ClientSession;
  /** A text message has arrived. `bytes`: its size in UTF-8, if known. */
  receive(text: string, bytes?: number): void;
  /** The connection accepts data again, after a `write` that returned false. */
  drained(): void;
  /** The connection has ended. */
  closed(): void;
}

/** The `Incoming` of a session and its reader. */
export class Accepted implements Incoming {
  readonly session: Session;
  private readonly reader: Reader;

  constructor(session: Session, reader: Reader) {
    this.session = session;
    this.reader = reader;
  }

  receive(text: string, bytes = Buffer.byteLength(text)): void {
    this.reader.receive(text, bytes);
  }

  drained(): void {
    this.session.seen();
    this.session.outbox.drained();
  }

  closed(): void {
    this.session.closed();
  }
}
