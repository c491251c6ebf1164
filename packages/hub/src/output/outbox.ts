import type { FanOut } from "../broker/broker.ts";
import { type HubConnection, SharedMessage } from "./connection.ts";
import type { HubMetrics } from "../metrics.ts";
import type { Queueing, QueueMemory } from "./queue-memory.ts";
import { SendQueue } from "./send-queue.ts";
import type { TickEnd } from "../schedule/tick-end.ts";

/** Size of replies in bytes above which they are sent before the end of the tick. */
const FLUSH_AT = 64 * 1024;

/** What all outboxes share. */
export interface OutboxContext {
  readonly tickEnd: TickEnd;
  readonly metrics: HubMetrics;
  readonly memory: QueueMemory;
}

/**
 * The output of one session. Replies of one tick are joined to one frame; shared messages follow
 * the replies before them. When the connection accepts no more, everything waits in a queue bounded
 * in bytes.
 */
export class Outbox implements Queueing {
  private readonly connection: HubConnection;
  private readonly tickEnd: TickEnd;
  private readonly metrics: HubMetrics;
  private readonly memory: QueueMemory;
  private readonly queueLimit: number;
  private readonly onOverflow: () => void;
  /** Called when the connection accepts data and the queue is empty. */
  onFree: { next(): void } | undefined;
  private replies = "";
  private replyBytes = 0;
  /** Number of the publication before the replies. */
  private repliesAfter = 0;
  private waitsForTickEnd = false;
  private isHeld = false;
  /** Number of the tick of the last write. */
  private wroteIn = -1;
  /** Between a write that returned false and `drained`. */
  private blocked = false;
  private closed = false;
  private queue: SendQueue | undefined;

  /**
   * `queueLimit` in bytes. `onOverflow`: the queue is full of messages that must not be dropped, so
   * the connection has to end.
   */
  constructor(connection: HubConnection, context: OutboxContext, queueLimit: number, onOverflow: () => void) {
    this.connection = connection;
    this.tickEnd = context.tickEnd;
    this.metrics = context.metrics;
    this.memory = context.memory;
    this.queueLimit = queueLimit;
    this.onOverflow = onOverflow;
  }

  /** Bytes in the queue. */
  get queueBytes(): number {
    return this.queue?.bytes ?? 0;
  }

  private get isClosed(): boolean {
    return this.closed;
  }

  /** Adds a line for this client. */
  line(text: string): void {
    if (this.closed) return;
    // replies before a publication are sent before it
    if (this.repliesAfter !== this.tickEnd.last) {
      this.flush();
      this.repliesAfter = this.tickEnd.last;
    }
    const bytes = Buffer.byteLength(text);
    if (this.replies === "") {
      this.replies = text;
      this.replyBytes = bytes;
    } else {
      this.replies = `${this.replies}\n${text}`;
      this.replyBytes += bytes + 1;
    }
    if (this.replyBytes > FLUSH_AT) this.flush();
    else this.waitForTickEnd();
  }

  /**
   * More work for this session waits for a time slice: replies of this tick wait too, to be sent in
   * one message with its result.
   */
  hold(): void {
    this.isHeld = true;
  }

  /** The work has its time slice. */
  release(): void {
    this.isHeld = false;
    if (this.replies !== "") this.waitForTickEnd();
  }

  /** The tick ends: sends the replies, unless they are held. */
  endTick(): void {
    this.waitsForTickEnd = false;
    if (!this.isHeld) this.flush();
  }

  private waitForTickEnd(): void {
    if (this.waitsForTickEnd) return;
    this.waitsForTickEnd = true;
    this.tickEnd.addOutbox(this);
  }

  /** Whether the connection accepts data. */
  get isFree(): boolean {
    return !this.blocked && !this.closed;
  }

  /** Whether that many bytes can be written without a full queue. */
  hasRoomFor(bytes: number): boolean {
    return !this.blocked || this.queueBytes + this.replyBytes + bytes <= this.queueLimit;
  }

  /** Adds a message for many, counted in `counts`; `number`: of the publication, if it is one. */
  share(message: SharedMessage, counts: FanOut, number = Infinity): void {
    if (this.closed) return;
    if (this.replies !== "" && this.repliesAfter < number) {
      this.flush(); // earlier replies are sent first
      if (this.isClosed) {
        counts.disconnected++;
        return;
      }
    }
    if (this.blocked) {
      this.enqueue(message, counts);
      return;
    }
    counts.delivered++;
    this.send(message);
  }

  /** Sends the replies that wait for the end of the tick. */
  flush(): void {
    const { replies: text, replyBytes } = this;
    if (text === "" || this.closed) return;
    this.replies = "";
    this.replyBytes = 0;
    if (this.blocked) {
      this.enqueue(new SharedMessage(text, "disconnect", "", replyBytes), undefined);
      return;
    }
    this.wrote(replyBytes);
    if (!this.connection.write(text)) this.blocked = true;
  }

  /** The connection accepts data again. */
  drained(): void {
    this.blocked = false;
    while (!this.blocked && this.queue !== undefined) {
      const message = this.queue.take();
      if (message === undefined) {
        this.queue = undefined;
        this.memory.end(this);
        break;
      }
      this.send(message);
    }
    if (this.isFree) this.onFree?.next();
  }

  /** Sends nothing any more, and drops the queue. */
  close(): void {
    this.closed = true;
    this.replies = "";
    this.replyBytes = 0;
    this.onFree = undefined;
    if (this.queue === undefined) return;
    this.queue.clear();
    this.queue = undefined;
    this.memory.end(this);
  }

  overflow(): void {
    this.onOverflow();
  }

  private send(message: SharedMessage): void {
    this.wrote(message.size);
    if (!this.connection.writeShared(message)) this.blocked = true;
  }

  private wrote(bytes: number): void {
    this.metrics.messagesSent++;
    this.metrics.bytesSent += bytes;
    this.wroteIn = this.tickEnd.wrote(this.wroteIn, bytes);
  }

  private makeQueue(): SendQueue {
    this.memory.begin(this);
    return new SendQueue(this.queueLimit, this.memory);
  }

  private enqueue(message: SharedMessage, counts: FanOut | undefined): void {
    const queue = (this.queue ??= this.makeQueue());
    const droppedBefore = queue.dropped;
    const became = queue.add(message);
    if (counts !== undefined) {
      counts.dropped += queue.dropped - droppedBefore;
      if (became === "full" || this.closed) counts.disconnected++;
      else if (became === "queued") counts.queued++;
    }
    if (became === "full") this.onOverflow();
  }
}
