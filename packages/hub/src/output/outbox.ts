import type { FanOut } from "../broker/broker.ts";
import { type HubConnection, SharedMessage } from "./connection.ts";
import type { HubMetrics } from "../metrics.ts";
import type { Queueing, QueueMemory } from "./queue-memory.ts";
import { SendQueue } from "./send-queue.ts";
import type { TickEnd } from "../schedule/tick-end.ts";

/** More bytes of replies than this leave before the tick ends. */
const FLUSH_AT = 64 * 1024;

/** What outboxes share. */
export interface OutboxContext {
  readonly tickEnd: TickEnd;
  readonly metrics: HubMetrics;
  readonly memory: QueueMemory;
}

/**
 * The way out of one session. Replies of one tick are joined to one frame; shared messages go on as they are, behind the replies
 * before them. Where the connection takes no more, all wait in a queue bounded in bytes.
 */
export class Outbox implements Queueing {
  private readonly connection: HubConnection;
  private readonly tickEnd: TickEnd;
  private readonly metrics: HubMetrics;
  private readonly memory: QueueMemory;
  private readonly queueLimit: number;
  private readonly onOverflow: () => void;
  /** Called when the connection takes more and nothing waits for it. */
  onFree: (() => void) | undefined;
  private replies = "";
  private replyBytes = 0;
  /** The publication behind which the replies came. */
  private repliesAfter = 0;
  private waitsForTickEnd = false;
  /** The number of the tick in which the connection was last written to. */
  private wroteIn = -1;
  /** Between a write that returned false and `drained`. */
  private blocked = false;
  private closed = false;
  private queue: SendQueue | undefined;

  /** `queueLimit` in bytes. `onOverflow`: the queue is full of what must not be dropped; the connection has to end. */
  constructor(connection: HubConnection, context: OutboxContext, queueLimit: number, onOverflow: () => void) {
    this.connection = connection;
    this.tickEnd = context.tickEnd;
    this.metrics = context.metrics;
    this.memory = context.memory;
    this.queueLimit = queueLimit;
    this.onOverflow = onOverflow;
  }

  /** Bytes that wait because the connection takes no more. */
  get queueBytes(): number {
    return this.queue?.bytes ?? 0;
  }

  private get isClosed(): boolean {
    return this.closed;
  }

  /** A line for this client alone. */
  line(text: string): void {
    if (this.closed) return;
    // what came before a publication goes before it
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
    else if (!this.waitsForTickEnd) {
      this.waitsForTickEnd = true;
      this.tickEnd.addOutbox(this);
    }
  }

  /** Whether the connection takes more. */
  get isFree(): boolean {
    return !this.blocked && !this.closed;
  }

  /** Whether so many bytes can be written without ending the connection. */
  hasRoomFor(bytes: number): boolean {
    return !this.blocked || this.queueBytes + this.replyBytes + bytes <= this.queueLimit;
  }

  /** A message for many, counted in `counts`; `number`: of the publication, if it is one. */
  share(message: SharedMessage, counts: FanOut, number = Infinity): void {
    if (this.closed) return;
    if (this.replies !== "" && this.repliesAfter < number) {
      this.flush(); // what came before goes before
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

  /** Sends the lines that wait for the end of the tick. */
  flush(): void {
    this.waitsForTickEnd = false;
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

  /** The connection takes more. */
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
    if (this.isFree) this.onFree?.();
  }

  /** Nothing is sent any more, and what waits is forgotten. */
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

  giveUp(): void {
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
