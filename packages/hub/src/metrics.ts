import { COMMAND_ERRORS, DISCONNECTS } from "./codes.ts";

/** Upper bounds in ms. */
const FAN_OUT_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000] as const;

/** A histogram with cumulative buckets, as in Prometheus. */
export class Histogram {
  /** Upper bounds of the buckets, ascending. */
  readonly bounds: readonly number[];
  /** Number of values up to bounds[i]; the last entry counts all. */
  readonly counts: number[];
  /** Sum of all values. */
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Number of all values. */
  get count(): number {
    return this.counts[this.bounds.length] ?? 0;
  }

  /** Adds a value. */
  observe(value: number): void {
    this.sum += value;
    for (let i = this.counts.length - 1; i >= 0; i--) {
      const bound = this.bounds[i];
      if (bound !== undefined && value > bound) return;
      this.counts[i] = (this.counts[i] ?? 0) + 1;
    }
  }
}

/**
 * The label of everything that has none of its own: an application may make up codes without an
 * end.
 */
const OTHER = "other";

/** Counts by a label of a fixed set, such as the method of a command. */
export class Counts<Label extends string | number> {
  readonly #labels: ReadonlySet<Label>;
  readonly #byLabel = new Map<Label | typeof OTHER, number>();

  /** `labels`: those that are told apart; all others are counted as `other`. */
  constructor(labels: Iterable<Label>) {
    this.#labels = new Set(labels);
  }

  /** Adds `count` (default 1) to a label. */
  add(label: Label, count = 1): void {
    const counted = this.#labels.has(label) ? label : OTHER;
    this.#byLabel.set(counted, (this.#byLabel.get(counted) ?? 0) + count);
  }

  /** Returns the count of a label; 0 if nothing was counted. */
  get(label: Label | typeof OTHER): number {
    return this.#byLabel.get(label) ?? 0;
  }

  /** Returns all labels with their counts. */
  entries(): IterableIterator<[Label | typeof OTHER, number]> {
    return this.#byLabel.entries();
  }
}

/** Of a command that cannot be read. */
const UNKNOWN = "unknown";
const ERROR_CODES = Object.values(COMMAND_ERRORS).map(({ code }) => code);
const MESSAGE_TOO_BIG = 1009; // RFC 6455 §7.4.1

/** Counters of a hub's connections to a store. */
export class StoreMetrics {
  /** Round-trip times in ms; publications that were sent together count once. */
  readonly roundTrips = new Histogram(FAN_OUT_BUCKETS);
  /** Requests without a reply, or with an error. */
  failures = 0;
  /** Reconnections. */
  reconnects = 0;
  /**
   * Times that publications may have been lost, so that positions were checked; once for each
   * channel.
   */
  interruptions = 0;
  /** Gauge: channels that are subscribed to at the store. */
  subscriptions = 0;
}

/** Counters and gauges of a hub. */
export class HubMetrics {
  /** Gauge: connections, before and after their connect command. */
  connections = 0;
  /** Gauge: connections that are connected. */
  sessions = 0;
  /** Gauge: subscriptions of all sessions. */
  subscriptions = 0;
  /** Gauge: channels with a subscriber on this node. */
  channels = 0;
  /** Gauge: bytes in the queues of slow connections. */
  queueBytes = 0;

  /** Frames from clients. */
  framesReceived = 0;
  /** Bytes in the frames from clients. */
  bytesReceived = 0;
  /** Messages to clients; a message to many counts once for each. */
  messagesSent = 0;
  /** Bytes in the messages to clients. */
  bytesSent = 0;
  /** Commands by method. */
  readonly commands: Counts<string>;
  /** Errors by `method code`. */
  readonly commandErrors: Counts<string>;
  /** Connections closed by the server, by code. */
  readonly disconnects = new Counts<number>([MESSAGE_TOO_BIG, ...Object.values(DISCONNECTS).map(({ code }) => code)]);

  /** Publications made through this node. */
  published = 0;
  /** Publications delivered by this node, each once. */
  publications = 0;
  /** Publications written to connections, once for each subscriber. */
  delivered = 0;
  /** Publications put into a connection's queue, once for each subscriber. */
  queued = 0;
  /** Publications dropped from a full queue, once for each subscriber. */
  dropped = 0;
  /** Connections ended because their queue was full. */
  slowDisconnects = 0;
  /** Publications that came twice or late and were not delivered again. */
  duplicates = 0;
  /** Times that publications were missing and were read from history. */
  gaps = 0;

  /** Clients that returned with a position and got what they had missed. */
  recovered = 0;
  /** Clients that came back with a position that history no longer reaches. */
  unrecovered = 0;
  /** Publications sent from history to clients that had missed them. */
  recoveredPublications = 0;
  /** Clients that missed more than a page and have got all of it. */
  caughtUp = 0;

  /** Time in ms from a publication's arrival to its last subscriber on this node. */
  readonly fanOut = new Histogram(FAN_OUT_BUCKETS);

  /** Counters of the broker's store; undefined if it has none. */
  readonly store: StoreMetrics | undefined;

  /** `methods`: of the protocol. */
  constructor(methods: readonly string[], store?: StoreMetrics) {
    const asked = [...methods, UNKNOWN];
    this.commands = new Counts(asked);
    this.commandErrors = new Counts(asked.flatMap((method) => ERROR_CODES.map((code) => `${method} ${code}`)));
    this.store = store;
  }
}
