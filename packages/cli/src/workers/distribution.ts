import type { Socket } from "node:net";

const OFFER_TIMEOUT = 500; // ms for a worker to accept a connection that it is offered
const RETRY = 100; // ms between two attempts while no worker answers
const MAX_WAIT = 10_000; // ms from accepting a connection to dropping it because no worker answers
const MAX_WAITING = 1_024; // connections

/** A worker, as the distribution of connections needs it. */
export interface Recipient {
  /** When it last showed that its event loop is running, ms. */
  readonly aliveAt: number;
  readonly isServing: boolean;
  /** Resolves when the worker is ready for a connection. */
  offer(): Promise<void>;
  /**
   * Sends a connection to the worker, which confirms it by its id. This process keeps its own
   * descriptor.
   */
  hand(id: number, socket: Socket): void;
}

/** A connection that no worker has confirmed yet. */
interface Waiting {
  readonly id: number;
  readonly socket: Socket;
  readonly since: number;
  /** The worker that it was offered to. */
  recipient: Recipient | undefined;
  /** The worker may have read from it: no other worker can have it. */
  isHanded: boolean;
}

export interface DistributionOptions {
  readonly recipients: () => Iterable<Recipient>;
  /** Milliseconds. */
  readonly now?: () => number;
  /** Calls `callback` once after `delay` ms. Returns a function that cancels it. */
  readonly after?: (delay: number, callback: () => void) => () => void;
}

/**
 * Distributes new connections among workers. Each connection is offered to the worker with the
 * fewest unconfirmed connections, and handed to it when it accepts. A worker that does not accept
 * within 500 ms gets no more until it answers a ping, and the connection is offered to another one.
 * A connection that was handed to a worker that then ends is closed.
 */
export class Distribution {
  private readonly options: DistributionOptions;
  private readonly now: () => number;
  private readonly after: (delay: number, callback: () => void) => () => void;
  private readonly waiting = new Map<number, Waiting>();
  /** Unconfirmed connections by worker. */
  private readonly open = new Map<Recipient, number>();
  /** Workers that have let an offer time out, and when. */
  private readonly silentSince = new Map<Recipient, number>();
  private lastId = 0;
  private isClosed = false;

  constructor(options: DistributionOptions) {
    this.options = options;
    this.now = options.now ?? (() => performance.now());
    this.after = options.after ?? afterUnref;
  }

  /** Connections that no worker has confirmed. */
  get size(): number {
    return this.waiting.size;
  }

  add(socket: Socket): void {
    if (this.isClosed || this.waiting.size >= MAX_WAITING) {
      socket.destroy();
      return;
    }
    socket.on("error", () => undefined); // the worker that has the connection handles it
    const id = ++this.lastId;
    const connection = { id, socket, since: this.now(), recipient: undefined, isHanded: false };
    this.waiting.set(id, connection);
    this.offer(connection);
  }

  /** A worker has confirmed a connection: this process closes its own descriptor. */
  confirm(recipient: Recipient, id: number): void {
    const connection = this.waiting.get(id);
    if (connection?.recipient === recipient && connection.isHanded) this.drop(connection);
  }

  /** A worker has ended. */
  forget(recipient: Recipient): void {
    this.silentSince.delete(recipient);
    for (const connection of [...this.waiting.values()])
      if (connection.recipient === recipient && connection.isHanded) this.drop(connection);
    this.open.delete(recipient);
  }

  /** Drops all connections that wait, and new ones. */
  close(): void {
    this.isClosed = true;
    for (const connection of [...this.waiting.values()]) this.drop(connection);
  }

  private drop(connection: Waiting): void {
    this.waiting.delete(connection.id);
    this.release(connection);
    connection.socket.destroy();
  }

  private release(connection: Waiting): void {
    const { recipient } = connection;
    connection.recipient = undefined;
    if (recipient === undefined) return;
    this.open.set(recipient, (this.open.get(recipient) ?? 1) - 1);
  }

  private offer(connection: Waiting): void {
    if (this.waiting.get(connection.id) !== connection) return;
    if (this.now() - connection.since >= MAX_WAIT) return this.drop(connection);
    const recipient = this.next();
    if (recipient === undefined) {
      this.after(RETRY, () => this.offer(connection));
      return;
    }
    connection.recipient = recipient;
    // the last one in the map was chosen last
    const open = (this.open.get(recipient) ?? 0) + 1;
    this.open.delete(recipient);
    this.open.set(recipient, open);
    let isDecided = false;
    const decide = (accepts: boolean): void => {
      if (isDecided) return;
      isDecided = true;
      cancel();
      if (this.waiting.get(connection.id) !== connection) return;
      if (accepts) {
        connection.isHanded = true;
        recipient.hand(connection.id, connection.socket);
        return;
      }
      this.silentSince.set(recipient, this.now());
      this.release(connection);
      this.offer(connection);
    };
    const cancel = this.after(OFFER_TIMEOUT, () => decide(false));
    recipient.offer().then(
      () => decide(true),
      () => decide(false),
    );
  }

  /**
   * The worker with the fewest unconfirmed connections; of several, the one that was chosen longest
   * ago.
   */
  private next(): Recipient | undefined {
    let best: Recipient | undefined;
    let fewest = Infinity;
    const order = new Map([...this.open.keys()].map((each, index) => [each, index]));
    let bestOrder = Infinity;
    for (const each of this.options.recipients()) {
      if (!each.isServing || this.isSilent(each)) continue;
      const [count, place] = [this.open.get(each) ?? 0, order.get(each) ?? -1];
      if (count > fewest || (count === fewest && place > bestOrder)) continue;
      [best, fewest, bestOrder] = [each, count, place];
    }
    return best;
  }

  private isSilent(recipient: Recipient): boolean {
    const since = this.silentSince.get(recipient);
    if (since === undefined) return false;
    if (recipient.aliveAt <= since) return true;
    this.silentSince.delete(recipient);
    return false;
  }
}

function afterUnref(delay: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delay);
  timer.unref();
  return () => clearTimeout(timer);
}
