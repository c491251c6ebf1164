import { checkClose, CLOSE_CODE, HeaderFields, type Message, protocolError, WebSocketError } from "@tungstate/protocol";
import { checkPing } from "../connection/pings.ts";
import type {
  CloseInfo,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
  WriteOptions,
} from "../connection/types.ts";
import { checkStream } from "../connection/writing/fragments.ts";
import { asData } from "../connection/writing/message-data.ts";
import { endpointError } from "../errors.ts";
import { describe } from "../options/describe.ts";
import { onAbort } from "../schedule/abort-signal.ts";
import { Emitter } from "../schedule/emitter.ts";
import { handled, notOpen, rejected } from "../schedule/promises.ts";
import { reportHandlerError } from "../schedule/report.ts";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";
import { type Surroundings, WebSocketConnecting } from "./connecting.ts";
import type { Provided } from "./core/provide.ts";
import { NEVER_OPEN, ReconnectLoop, type ReconnectLoopHost } from "./core/reconnect-loop.ts";
import type { Attempt, Gap, Waiting } from "./core/types.ts";
import { type ReconnectOptions, reconnectSettings } from "./options.ts";
import { Sending } from "./sending.ts";
import { Sessions } from "./sessions.ts";
import type { ReconnectingEvents, ReconnectingStatus } from "./types.ts";

interface ReadyWaiter {
  resolve(connection: WebSocketConnection): void;
  reject(error: WebSocketError): void;
}

/**
 * Drives a reconnecting connection: the loop that connects, and the two halves that are joined to
 * the current connection. Users have a `Reconnecting` in front of it.
 */
export class ReconnectingDriver extends Emitter<ReconnectingEvents> implements ReconnectLoopHost<WebSocketConnection> {
  readonly #sending: Sending;
  readonly #reconnectLoop: ReconnectLoop<WebSocketConnection>;
  readonly #sessions: Sessions;
  readonly #unlink: () => void;
  #present: ReconnectingStatus = { state: "connecting", attempt: 1, after: undefined };
  /** The current connection, also while it is closing. */
  #connection: WebSocketConnection | undefined;
  /** An end was decided on: why, if not by the caller. */
  #failure: WebSocketError | undefined;
  /** The application has ended it: its listeners get nothing but `error`, `drop` and `close`. */
  #silent = false;
  #past: ConnectionStats = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
  #readyWaiters: ReadyWaiter[] = [];
  #closedPromise: Promise<CloseInfo> | undefined;
  #resolveClosed: ((info: CloseInfo) => void) | undefined;

  constructor(url: Provided<string | URL>, options: ReconnectOptions, surroundings: Surroundings = {}) {
    super();
    const settings = reconnectSettings(url, options);
    this.#reconnectLoop = new ReconnectLoop(settings, new WebSocketConnecting(settings, surroundings), this);
    this.#sending = new Sending(settings.outbox, settings.writeBufferSize, {
      onDrain: () => this.emit("drain"),
      onDrop: (data) => this.emit("drop", data),
    });
    this.#sessions = new Sessions({
      emitMessage: (message) => this.emit("message", message),
      hasMessageListeners: () => this.listenerCount("message") > 0,
    });
    const { signal } = options;
    const abort = (): void => {
      this.#silence();
      this.#finish({ ...NEVER_OPEN, error: endpointError("CLOSED_BY_SIGNAL", undefined, { cause: signal?.reason }) });
    };
    this.#unlink = onAbort(signal, abort);
    // after this tick, so that the caller can add listeners
    queueMicrotask(() => {
      if (signal?.aborted === true) abort();
      this.#reconnectLoop.run().catch((error: unknown) => this.onThrow(error));
    });
  }

  // ---- what it is

  get status(): ReconnectingStatus {
    return this.#present;
  }

  get current(): WebSocketConnection | undefined {
    return this.#present.state === "open" ? this.#present.connection : undefined;
  }

  /** Whether messages are accepted: neither closing nor closed. */
  get writable(): boolean {
    const { state } = this.#present;
    return state !== "closed" && state !== "closing";
  }

  get protocol(): string {
    return this.current?.protocol ?? "";
  }

  get extensions(): string {
    return this.current?.extensions ?? "";
  }

  get headers(): HeaderFields {
    return this.current?.headers ?? NO_HEADERS;
  }

  get route(): Route | undefined {
    return this.current?.route;
  }

  get tls(): TlsInfo | undefined {
    return this.current?.tls;
  }

  get localAddress(): string | undefined {
    return this.current?.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.current?.remoteAddress;
  }

  get bufferedAmount(): number {
    return this.#sending.bufferedAmount;
  }

  get stats(): ConnectionStats {
    return this.#connection === undefined ? this.#past : sum(this.#past, this.#connection.stats);
  }

  get closed(): Promise<CloseInfo> {
    if (this.#closedPromise === undefined) {
      const present = this.#present;
      this.#closedPromise =
        present.state === "closed"
          ? Promise.resolve(present.info)
          : new Promise((resolve) => (this.#resolveClosed = resolve));
    }
    return this.#closedPromise;
  }

  ready(): Promise<WebSocketConnection> {
    const present = this.#present;
    if (present.state === "open") return Promise.resolve(present.connection);
    if (present.state === "closed") return rejected(endOf(present.info));
    return handled(new Promise((resolve, reject) => this.#readyWaiters.push({ resolve, reject })));
  }

  // ---- from the reconnectLoop

  onConnecting(attempt: Pick<Attempt, "attempt" | "after">): void {
    this.#present = { state: "connecting", ...attempt };
    this.emit("connecting", attempt);
  }

  onOpen(connection: WebSocketConnection, gap: Gap | undefined): void {
    this.#connection = connection;
    this.#present = { state: "open", connection };
    connection.on("ping", (payload) => this.emit("ping", payload));
    connection.on("pong", (payload) => this.emit("pong", payload));
    if (gap !== undefined) this.emit("gap", gap);
    this.emit("open", connection, gap);
    // a listener may have ended it
    if (this.#connection !== connection || this.#silent) return;
    for (const waiter of this.#readyWaiters.splice(0)) waiter.resolve(connection);
    this.#sessions.add(connection, gap);
    this.#sending.connected(connection);
  }

  onLost(connection: WebSocketConnection): number {
    this.#release();
    this.#sessions.ended(connection);
    return this.#sending.disconnected();
  }

  onWaiting(waiting: Waiting): void {
    this.#present = { state: "waiting", ...waiting };
    this.emit("waiting", waiting);
  }

  onEnd(info: CloseInfo): void {
    this.#finish({ ...info, error: this.#failure ?? info.error });
  }

  /** Code of the application threw: closes permanently with 1011, and reports the error. */
  protected override onThrow(error: unknown): void {
    // a listener that could not send because all has ended did nothing wrong
    if (!this.writable && error instanceof WebSocketError && error.code === "NOT_OPEN") return;
    if (!this.writable || this.listenerCount("error") === 0) reportHandlerError(error);
    this.#silence();
    const text = error instanceof Error ? error.message : describe(error);
    this.#stop(CLOSE_CODE.INTERNAL_ERROR, "", endpointError("HANDLER_FAILED", text, { cause: error }));
  }

  #silence(): void {
    this.#silent = true;
    this.#sessions.stop();
  }

  protected override isSilenced(event: keyof ReconnectingEvents): boolean {
    return this.#silent && event !== "error" && event !== "drop" && event !== "close";
  }

  // ---- reading

  override on<E extends keyof ReconnectingEvents>(
    event: E,
    listener: (...args: ReconnectingEvents[E]) => unknown,
  ): this {
    super.on(event, listener);
    if (event === "message") this.#sessions.resumeSoon();
    return this;
  }

  override off<E extends keyof ReconnectingEvents>(
    event: E,
    listener: (...args: ReconnectingEvents[E]) => unknown,
  ): this {
    super.off(event, listener);
    if (event === "message" && this.listenerCount("message") === 0) this.#sessions.listenersGone();
    return this;
  }

  pause(): void {
    this.#sessions.pause();
  }

  resume(): void {
    this.#sessions.resume();
  }

  messages(): AsyncIterableIterator<Message> {
    return this.#sessions.messages();
  }

  withGaps(): AsyncIterableIterator<Message | Gap> {
    return this.#sessions.withGaps();
  }

  batches(): AsyncIterableIterator<readonly Message[]> {
    return this.#sessions.batches();
  }

  // ---- writing

  write(data: MessageData, options?: WriteOptions): boolean {
    if (this.writable) return this.#sending.write(data, options);
    asData(data);
    return false;
  }

  send(data: MessageData, options?: WriteOptions): Promise<void> {
    if (this.writable) return this.#sending.send(data, options);
    asData(data);
    return rejected(this.#notOpen());
  }

  sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary",
  ): Promise<void> {
    checkStream(parts, type);
    return handled(this.#sendStreamWhenReady(parts, type));
  }

  async #sendStreamWhenReady(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary",
  ): Promise<void> {
    let connection = await this.#connected();
    await this.#sending.empty(); // what was written before goes before
    while (connection !== this.current) {
      connection = await this.#connected();
      await this.#sending.empty();
    }
    await connection.sendStream(parts, type);
  }

  /**
   * As `ready`, for a call that needs a connection: rejects with NOT_OPEN if there will be none.
   */
  async #connected(): Promise<WebSocketConnection> {
    if (!this.writable) throw this.#notOpen();
    try {
      return await this.ready();
    } catch (error) {
      throw error instanceof WebSocketError ? notOpen("there will be no other connection", error) : error;
    }
  }

  flush(): Promise<void> {
    // nothing waits and nothing can be written any more: a loop that writes and flushes must end
    if (!this.writable && this.bufferedAmount === 0) return rejected(this.#notOpen());
    return handled(this.#flushSending());
  }

  async #flushSending(): Promise<void> {
    try {
      await this.#sending.flush();
    } catch (error) {
      if (!this.writable) throw this.#notOpen();
      // NOT_OPEN would say that there will be no other connection
      const { cause } = error instanceof WebSocketError ? error : {};
      throw cause instanceof WebSocketError
        ? cause
        : protocolError("CONNECTION_LOST", "before all messages were sent", { cause: error });
    }
  }

  ping(payload?: Uint8Array | string): Promise<number> {
    const connection = this.#connection;
    if (connection !== undefined) return connection.ping(payload);
    checkPing(payload);
    return rejected(this.writable ? notOpen("there is no connection at the moment") : this.#notOpen());
  }

  #notOpen(): WebSocketError {
    const present = this.#present;
    if (present.state === "closed") return notOpen("it has ended", present.info.error);
    return notOpen("it is closing", this.#failure);
  }

  // ---- the end

  retryNow(): void {
    this.#reconnectLoop.retryNow();
  }

  close(code: number, reason: string): Promise<CloseInfo> {
    checkClose(code, reason);
    this.#stop(code, reason, undefined);
    return this.closed;
  }

  terminate(): void {
    this.#silence();
    const connection = this.#connection;
    if (connection === undefined) {
      this.#finish({ ...NEVER_OPEN, error: undefined });
      return;
    }
    this.#present = { state: "closing" };
    this.#reconnectLoop.endAfterThis();
    connection.terminate();
  }

  /** No other connection: closes this one, if there is one. */
  #stop(code: number, reason: string, failure: WebSocketError | undefined): void {
    if (!this.writable) return;
    this.#failure = failure;
    const connection = this.#connection;
    if (connection === undefined) {
      this.#finish({ ...NEVER_OPEN, error: failure });
      return;
    }
    this.#present = { state: "closing" };
    this.#reconnectLoop.endAfterThis();
    this.#sending.close(connection, code, reason);
  }

  /** The current connection is over. */
  #release(): void {
    const connection = this.#connection;
    if (connection !== undefined) this.#past = sum(this.#past, connection.stats);
    this.#connection = undefined;
  }

  #finish(info: CloseInfo): void {
    if (this.#present.state === "closed") return;
    const connection = this.#connection;
    this.#release();
    this.#present = { state: "closed", info };
    this.#unlink();
    const reason = endOf(info);
    this.#reconnectLoop.abort(reason);
    connection?.terminate();
    this.#sending.end(reason);
    this.#sessions.end();
    for (const waiter of this.#readyWaiters.splice(0)) waiter.reject(reason);
    if (info.error !== undefined) this.emit("error", info.error);
    this.emit("close", info);
    this.#resolveClosed?.(info);
  }
}

/** Returns the error for callers that wait when it has ended. */
function endOf({ error }: CloseInfo): WebSocketError {
  return error ?? protocolError("NOT_OPEN", "it is closed");
}

function sum(a: ConnectionStats, b: ConnectionStats): ConnectionStats {
  return {
    messagesReceived: a.messagesReceived + b.messagesReceived,
    messagesSent: a.messagesSent + b.messagesSent,
    bytesReceived: a.bytesReceived + b.bytesReceived,
    bytesSent: a.bytesSent + b.bytesSent,
  };
}

/** While there is no connection. */
const NO_HEADERS = new HeaderFields();
