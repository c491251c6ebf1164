import { CLOSE_CODE, WebSocketError } from "@tungstate/protocol";
import { argumentError, callError, utf8Length } from "@tungstate/protocol/internal";
import type { CloseInfo, ConnectionState, ConnectionStats } from "../connection/types.ts";
import { applicationError } from "../errors.ts";
import { Outbox, type OutboxEntry, COST_OF_A_MESSAGE } from "../reconnecting/core/outbox.ts";
import type { Provided } from "../reconnecting/core/provide.ts";
import { NEVER_OPEN, ReconnectLoop } from "../reconnecting/core/reconnect-loop.ts";
import type { Gap } from "../reconnecting/core/types.ts";
import { onAbort } from "../schedule/abort-signal.ts";
import { failedCall, handled, notOpen } from "../schedule/promises.ts";
import { reportHandlerError } from "../schedule/report.ts";
import { BrowserConnecting } from "./connecting.ts";
import { browserError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Message, MessageData } from "../platform/message.ts";
import { browserNetwork } from "./network.ts";
import { type BrowserSettings, browserSettings, type ReconnectOptions } from "./options.ts";
import { keep, type Payload, payloadOf } from "../platform/payload.ts";
import { MessageEmitter } from "../platform/message-emitter.ts";
import { Received } from "../platform/received.ts";
import type {
  BrowserWebSocketConnection,
  ReconnectingConnection,
  ReconnectingEvents,
  ReconnectingStatus,
} from "./types.ts";

/**
 * Connects with the platform's WebSocket, and connects again when the connection ends, until
 * `close()`, an abort of `signal`, or an end that another attempt would not change. `url` and
 * `protocols` can be functions, which are called before each attempt. Returns immediately: see
 * `ready` and the events. Throws INVALID_ARGUMENT.
 */
export function reconnecting(url: Provided<string | URL>, options: ReconnectOptions = {}): ReconnectingConnection {
  return new Reconnecting(url, options);
}

/** Interval of reading `bufferedAmount` while a caller waits for it: a browser has no event. */
const BUFFER_CHECK_INTERVAL = 20; // ms

class Reconnecting extends MessageEmitter<ReconnectingEvents> implements ReconnectingConnection {
  readonly closed: Promise<CloseInfo>;
  readonly #stats = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
  readonly #settings: BrowserSettings;
  readonly #loop: ReconnectLoop<Link>;
  readonly #outbox: Outbox<Payload>;
  protected readonly received = new Received((message) => this.emit("message", message));
  #resolveClosed!: (info: CloseInfo) => void;
  #status: ReconnectingStatus = { state: "connecting", attempt: 1, after: undefined };
  /** The current connection, also while it is closing. */
  #link: Link | undefined;
  #failure: WebSocketError | undefined;
  /** Whether the application has ended it: only `error`, `drop` and `close` are emitted then. */
  #silent = false;
  #needDrain = false;
  #polling = false;
  /** Calls that wait for a change of the connection or of the buffered amount. */
  #waiting: (() => void)[] = [];
  /** Calls of `send` with the policy `wait` whose message has no room yet. */
  #unplaced = 0;

  constructor(url: Provided<string | URL>, options: ReconnectOptions) {
    super();
    const settings = (this.#settings = browserSettings(url, options));
    this.#outbox = new Outbox(settings.outbox.size);
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#loop = new ReconnectLoop(settings, new BrowserConnecting(settings), {
      onConnecting: (attempt) => {
        this.#status = { state: "connecting", ...attempt };
        this.emit("connecting", attempt);
      },
      onOpen: (link, gap) => this.#opened(link, gap),
      onLost: (link) => {
        this.#link = undefined;
        this.#changed();
        return link.unsent;
      },
      onWaiting: (waiting) => {
        this.#status = { state: "waiting", ...waiting };
        this.emit("waiting", waiting);
      },
      onEnd: (info) => this.#finish({ ...info, error: this.#failure ?? info.error }),
    });
    const { signal } = options;
    const abort = (): void => {
      this.#silence();
      this.#finish({
        ...NEVER_OPEN,
        error: applicationError("CLOSED_BY_SIGNAL", undefined, { cause: signal?.reason }),
      });
    };
    const unlink = onAbort(signal, abort);
    // an open connection may be dead after the network was away or the page was frozen
    const unwatch = settings.watchNetworks ? browserNetwork.watch(() => this.#link?.probe()) : undefined;
    void this.closed.then(() => {
      unlink();
      unwatch?.();
    });
    // after this task, so that the caller can add listeners
    queueMicrotask(() => {
      if (signal?.aborted === true) abort();
      this.#loop.run().catch((error: unknown) => this.onThrow(error));
    });
  }

  get state(): ConnectionState {
    return this.#status.state;
  }

  get writable(): boolean {
    return this.state !== "closed" && this.state !== "closing";
  }

  get status(): ReconnectingStatus {
    return this.#status;
  }

  get current(): BrowserWebSocketConnection | undefined {
    return this.state === "open" ? this.#link : undefined;
  }

  get protocol(): string {
    return this.current?.protocol ?? "";
  }

  get extensions(): string {
    return this.current?.extensions ?? "";
  }

  get bufferedAmount(): number {
    return this.#outbox.size + (this.#link?.bufferedAmount ?? 0);
  }

  get stats(): ConnectionStats {
    return { ...this.#stats };
  }

  ready(): Promise<BrowserWebSocketConnection> {
    return handled(this.#ready());
  }

  async #ready(): Promise<BrowserWebSocketConnection> {
    while (this.current === undefined) {
      if (this.#status.state === "closed") throw this.#status.info.error ?? notOpen("it has ended");
      await this.#change();
    }
    return this.current;
  }

  #opened(link: Link, gap: Gap | undefined): void {
    this.#link = link;
    this.#status = { state: "open", connection: link };
    link.onMessage = (message) => {
      this.#stats.messagesReceived++;
      this.#stats.bytesReceived += message.size;
      this.received.push(message);
      const { size } = this.received;
      if (size > this.#settings.receiveQueueSize) link.terminate(browserError("RECEIVE_QUEUE_FULL", `${size} bytes`));
    };
    if (gap !== undefined) {
      this.emit("gap", gap);
      this.received.push(gap);
    }
    this.emit("open", link, gap);
    this.#pass();
    this.#changed();
  }

  // ---- reading

  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.received.messages();
  }

  async *withGaps(): AsyncIterableIterator<Message | Gap> {
    while (await this.received.readable()) {
      const next = this.received.take();
      if (next !== undefined) yield next;
    }
  }

  batches(): AsyncIterableIterator<readonly Message[]> {
    return this.received.batches();
  }

  // ---- writing

  write(data: MessageData): boolean {
    const payload = payloadOf(data);
    if (!this.writable) return false;
    if (!this.#place(payload)) throw this.#full(payload);
    if (this.bufferedAmount <= this.#settings.writeBufferSize) return true;
    this.#needDrain = true;
    return false;
  }

  send(data: MessageData): Promise<void> {
    try {
      return handled(this.#send(payloadOf(data)));
    } catch (error) {
      return failedCall(error);
    }
  }

  async #send(payload: Payload): Promise<void> {
    this.#checkOpen();
    if (!this.#place(payload)) {
      const { policy, size } = this.#settings.outbox;
      if (policy !== "wait" || entryOf(payload).cost > size) throw this.#full(payload);
      this.#unplaced++;
      try {
        do await this.#change();
        while (!this.#place(payload, true));
      } finally {
        this.#unplaced--;
      }
    }
    while (this.#link !== undefined && !this.#hasRoom()) await this.#change();
  }

  flush(): Promise<void> {
    return handled(this.#flush());
  }

  async #flush(): Promise<void> {
    this.#checkOpen();
    while (this.bufferedAmount > 0 || this.#unplaced > 0) {
      await this.#change();
      this.#checkOpen();
    }
  }

  /**
   * Sends a payload, or puts it into the outbox by its policy. Returns false if there is no room.
   */
  #place(payload: Payload, waited = false): boolean {
    const outbox = this.#outbox;
    const entry = entryOf(payload);
    if (this.#hasRoom() && outbox.count === 0) {
      this.#give(payload);
      return true;
    }
    if (this.#settings.outbox.policy === "drop-oldest" && entry.cost <= outbox.limit) {
      while (!outbox.fits(entry)) this.#dropOldest();
    }
    // after earlier waiting messages, even if it fits
    if ((this.#unplaced > 0 && !waited) || !outbox.fits(entry)) return false;
    outbox.push({ ...entry, data: keep(payload) });
    return true;
  }

  /** Whether the connection is open and has less buffered than `writeBufferSize`. */
  #hasRoom(): boolean {
    const link = this.#link;
    if (link?.state !== "open") return false;
    if (link.bufferedAmount <= this.#settings.writeBufferSize) return true;
    this.#poll();
    return false;
  }

  #give(payload: Payload): void {
    this.#stats.messagesSent++;
    this.#stats.bytesSent += payload.size;
    this.#link?.send(payload);
    if ((this.#link?.bufferedAmount ?? 0) > 0) this.#poll();
  }

  /** Moves messages from the outbox to the connection while it has room. */
  #pass(): void {
    const outbox = this.#outbox;
    while (outbox.count > 0 && this.#hasRoom()) {
      const entry = outbox.shift();
      if (entry !== undefined) this.#give(entry.data);
    }
  }

  #poll(): void {
    if (this.#polling) return;
    this.#polling = true;
    this.#settings.clock.after(BUFFER_CHECK_INTERVAL, () => {
      this.#polling = false;
      this.#pass();
      this.#changed();
      if (this.#needDrain && this.bufferedAmount <= this.#settings.writeBufferSize) {
        this.#needDrain = false;
        this.emit("drain");
      }
      const waits = this.#needDrain || this.#waiting.length > 0;
      if (waits && this.#link !== undefined && this.bufferedAmount > 0) this.#poll();
    });
  }

  #change(): Promise<void> {
    if (this.#link !== undefined && this.bufferedAmount > 0) this.#poll();
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        if (this.state === "closed") reject(this.#over());
        else resolve();
      });
    });
  }

  #changed(): void {
    for (const each of this.#waiting.splice(0)) each();
  }

  #dropOldest(): void {
    const entry = this.#outbox.shift();
    if (entry !== undefined) this.emit("drop", entry.data.data);
  }

  #full({ size }: Payload): WebSocketError {
    const { size: used, limit } = this.#outbox;
    return callError("WRITE_BUFFER_FULL", `${size} bytes, and ${used} of ${limit} wait in the outbox`);
  }

  #over(): WebSocketError {
    return notOpen("it has ended", this.#status.state === "closed" ? this.#status.info.error : this.#failure);
  }

  #checkOpen(): void {
    if (!this.writable) throw this.#over();
  }

  // ---- the end

  expectReply(): void {
    this.#link?.expect();
  }

  retryNow(): void {
    this.#loop.retryNow();
  }

  close(code: number = CLOSE_CODE.NORMAL, reason = ""): Promise<CloseInfo> {
    // the platform's `close` rejects these (WHATWG WebSockets §3.1)
    if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      throw argumentError(RangeError, `a close code must be 1000 or from 3000 to 4999, got ${code}`);
    }
    if (utf8Length(reason) > 123) throw argumentError(RangeError, "a close reason must be at most 123 bytes of UTF-8");
    this.#stop(code, reason);
    return this.closed;
  }

  terminate(): void {
    this.#silence();
    const link = this.#link;
    if (link === undefined) this.#finish({ ...NEVER_OPEN, error: undefined });
    else {
      this.#status = { state: "closing" };
      this.#loop.endAfterThis();
      link.terminate();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Sends everything and closes this connection. No other connection follows. */
  #stop(code: number, reason: string): void {
    if (!this.writable) return;
    const link = this.#link;
    if (link === undefined) {
      this.#finish({ ...NEVER_OPEN, error: this.#failure });
      return;
    }
    this.#status = { state: "closing" };
    this.#loop.endAfterThis();
    for (let entry = this.#outbox.shift(); entry !== undefined; entry = this.#outbox.shift()) this.#give(entry.data);
    link.close(code, reason);
  }

  #finish(info: CloseInfo): void {
    if (this.state === "closed") return;
    const link = this.#link;
    this.#link = undefined;
    this.#status = { state: "closed", info };
    this.#loop.abort(info.error);
    link?.terminate();
    while (this.#outbox.count > 0) this.#dropOldest();
    this.received.end(this.#silent);
    this.#changed();
    if (info.error !== undefined) this.emit("error", info.error);
    this.emit("close", info);
    this.#resolveClosed(info);
  }

  #silence(): void {
    this.#silent = true;
    this.received.end(true);
  }

  protected override isSilenced(event: keyof ReconnectingEvents): boolean {
    return this.#silent && event !== "error" && event !== "drop" && event !== "close";
  }

  /** A listener threw: closes permanently. (A page cannot send 1011.) */
  protected override onThrow(error: unknown): void {
    // after the end, a listener may fail to send: that is not an error
    if (!this.writable && error instanceof WebSocketError && error.code === "NOT_OPEN") return;
    if (!this.writable || this.listenerCount("error") === 0) reportHandlerError(error);
    this.#silence();
    this.#failure ??= applicationError("HANDLER_FAILED", String(error), { cause: error });
    this.#stop(CLOSE_CODE.INTERNAL_ERROR, "");
  }
}

function entryOf(data: Payload): OutboxEntry<Payload> {
  return { data, options: undefined, cost: data.size + COST_OF_A_MESSAGE };
}
