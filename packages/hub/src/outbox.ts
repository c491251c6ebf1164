import type { FanOut } from "./broker/broker.ts";
import type { Clock } from "./clock.ts";
import { type HubConnection, SharedMessage } from "./connection.ts";
import type { HubMetrics } from "./metrics.ts";
import { SendQueue } from "./send-queue.ts";

/** More bytes of replies than this leave before the turn ends. */
const FLUSH_AT = 64 * 1024;

/** What is to be flushed at the end of this turn: one callback for all. Publications, then replies, which let those go before them that they follow. */
export class TurnEnd {
  private readonly clock: Clock;
  private channels: { flush(): void }[] = [];
  private outboxes: Outbox[] = [];
  private isDue = false;
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The number of the last publication. */
  get last(): number {
    return this.count;
  }

  /** Numbers a publication. */
  next(): number {
    return ++this.count;
  }

  addChannel(channel: { flush(): void }): void {
    this.channels.push(channel);
    this.schedule();
  }

  addOutbox(outbox: Outbox): void {
    this.outboxes.push(outbox);
    this.schedule();
  }

  private schedule(): void {
    if (this.isDue) return;
    this.isDue = true;
    this.clock.endOfTurn(() => {
      const { channels, outboxes } = this;
      this.channels = [];
      this.outboxes = [];
      this.isDue = false;
      for (const each of channels) each.flush();
      for (const each of outboxes) each.flush();
    });
  }
}

/**
 * The way out of one session. Replies of one turn are joined to one frame; shared messages go on as they are, behind the replies
 * before them. Where the connection takes no more, all wait in a queue bounded in bytes.
 */
export class Outbox {
  private readonly connection: HubConnection;
  private readonly turnEnd: TurnEnd;
  private readonly metrics: HubMetrics;
  private readonly queueLimit: number;
  private readonly onOverflow: () => void;
  /** Called when the connection takes more and nothing waits for it. */
  onFree: (() => void) | undefined;
  private replies = "";
  private replyBytes = 0;
  /** The publication behind which the replies came. */
  private repliesAfter = 0;
  private waitsForTurnEnd = false;
  /** Between a write that returned false and `drained`. */
  private blocked = false;
  private closed = false;
  private queue: SendQueue | undefined;

  /** `queueLimit` in bytes. `onOverflow`: the queue is full of what must not be dropped; the connection has to end. */
  constructor(
    connection: HubConnection,
    turnEnd: TurnEnd,
    metrics: HubMetrics,
    queueLimit: number,
    onOverflow: () => void,
  ) {
    this.connection = connection;
    this.turnEnd = turnEnd;
    this.metrics = metrics;
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
    if (this.repliesAfter !== this.turnEnd.last) {
      this.flush();
      this.repliesAfter = this.turnEnd.last;
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
    else if (!this.waitsForTurnEnd) {
      this.waitsForTurnEnd = true;
      this.turnEnd.addOutbox(this);
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

  /** Sends the lines that wait for the end of the turn. */
  flush(): void {
    this.waitsForTurnEnd = false;
    const { replies: text, replyBytes } = this;
    if (text === "" || this.closed) return;
    this.replies = "";
    this.replyBytes = 0;
    if (this.blocked) {
      this.enqueue(new SharedMessage(text, "disconnect", "", replyBytes), undefined);
      return;
    }
    this.metrics.messagesSent++;
    this.metrics.bytesSent += replyBytes;
    if (!this.connection.write(text)) this.blocked = true;
  }

  /** The connection takes more. */
  drained(): void {
    this.blocked = false;
    while (!this.blocked && this.queue !== undefined) {
      const message = this.queue.take();
      if (message === undefined) {
        this.queue = undefined;
        break;
      }
      this.metrics.queueBytes -= message.size;
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
    this.metrics.queueBytes -= this.queueBytes;
    this.queue = undefined;
  }

  private send(message: SharedMessage): void {
    this.metrics.messagesSent++;
    this.metrics.bytesSent += message.size;
    if (!this.connection.writeShared(message)) this.blocked = true;
  }

  private enqueue(message: SharedMessage, counts: FanOut | undefined): void {
    const queue = (this.queue ??= new SendQueue(this.queueLimit));
    const droppedBefore = queue.dropped;
    const bytesBefore = queue.bytes;
    const became = queue.add(message);
    this.metrics.queueBytes += queue.bytes - bytesBefore;
    if (counts !== undefined) {
      counts.dropped += queue.dropped - droppedBefore;
      if (became === "queued") counts.queued++;
      else if (became === "full") counts.disconnected++;
    }
    if (became === "full") this.onOverflow();
  }
}
