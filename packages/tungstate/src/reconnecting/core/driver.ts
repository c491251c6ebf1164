import { checkClose, CLOSE_CODE, WebSocketError } from "@tungstate/protocol";
import { callError } from "@tungstate/protocol/internal";
import type { CloseInfo, ConnectionStats, WriteOptions } from "../../connection/types.ts";
import { endpointError } from "../../errors.ts";
import { describe } from "../../options/describe.ts";
import { onAbort } from "../../schedule/abort-signal.ts";
import { Emitter } from "../../schedule/emitter.ts";
import { handled, notOpen, rejected } from "../../schedule/promises.ts";
import { reportHandlerError } from "../../schedule/report.ts";
import type { Connecting, JoinableConnection } from "./connection.ts";
import { type LoopSettings, NEVER_OPEN, ReconnectLoop, type ReconnectLoopHost } from "./reconnect-loop.ts";
import { Sending, type SendingSettings } from "./sending.ts";
import { Sessions } from "./sessions.ts";
import type { Activity, Attempt, DriverEvents, Gap, Waiting } from "./types.ts";

interface ReadyWaiter<C> {
  resolve(connection: C): void;
  reject(error: WebSocketError): void;
}

export interface DriverSettings<D> extends LoopSettings, SendingSettings<D> {
  readonly signal: AbortSignal | undefined;
}

/**
 * Drives a reconnecting connection: the loop that connects, and the two halves that are joined to the current connection. Each platform has its own
 * connections `C`, messages `M` and data to send `D`, and an object for users in front of this one.
 */
export class ReconnectingDriver<C extends JoinableConnection<M, D>, M, D>
  extends Emitter<DriverEvents<C, M, D>>
  implements ReconnectLoopHost<C>
{
  protected readonly sending: Sending<D>;
  private readonly reconnectLoop: ReconnectLoop<C>;
  private readonly sessions: Sessions<M>;
  private readonly settings: DriverSettings<D>;
  private readonly unlink: () => void;
  private present: Activity<C> = { state: "connecting", attempt: 1, after: undefined };
  /** The current connection, also while it is closing. */
  protected connection: C | undefined;
  /** An end was decided on: why, if not by the caller. */
  private failure: WebSocketError | undefined;
  /** The application has ended it: its listeners get nothing but `error`, `drop` and `close`. */
  private silent = false;
  private past: ConnectionStats = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
  private readyWaiters: ReadyWaiter<C>[] = [];
  private closedPromise: Promise<CloseInfo> | undefined;
  private resolveClosed: ((info: CloseInfo) => void) | undefined;

  constructor(settings: DriverSettings<D>, connecting: Connecting<C>) {
    super();
    this.settings = settings;
    this.reconnectLoop = new ReconnectLoop(settings, connecting, this);
    this.sending = new Sending(settings, {
      onDrain: () => this.emit("drain"),
      onDrop: (data) => this.emit("drop", data),
    });
    this.sessions = new Sessions({
      emitMessage: (message) => this.emit("message", message),
      hasMessageListeners: () => this.listenerCount("message") > 0,
    });
    const { signal } = settings;
    const abort = (): void => {
      this.silence();
      this.finish({ ...NEVER_OPEN, error: endpointError("CLOSED_BY_SIGNAL", undefined, { cause: signal?.reason }) });
    };
    this.unlink = onAbort(signal, abort);
    // after this tick, so that the caller can add listeners
    queueMicrotask(() => {
      if (signal?.aborted === true) abort();
      this.reconnectLoop.run().catch((error: unknown) => this.onThrow(error));
    });
  }

  // ---- what it is

  get status(): Activity<C> {
    return this.present;
  }

  get current(): C | undefined {
    return this.present.state === "open" ? this.present.connection : undefined;
  }

  /** Whether messages are accepted: neither closing nor closed. */
  get writable(): boolean {
    const { state } = this.present;
    return state !== "closed" && state !== "closing";
  }

  get bufferedAmount(): number {
    return this.sending.bufferedAmount;
  }

  get stats(): ConnectionStats {
    return this.connection === undefined ? this.past : sum(this.past, this.connection.stats);
  }

  get closed(): Promise<CloseInfo> {
    if (this.closedPromise === undefined) {
      const { present } = this;
      this.closedPromise =
        present.state === "closed"
          ? Promise.resolve(present.info)
          : new Promise((resolve) => (this.resolveClosed = resolve));
    }
    return this.closedPromise;
  }

  ready(): Promise<C> {
    const { present } = this;
    if (present.state === "open") return Promise.resolve(present.connection);
    if (present.state === "closed") return rejected(endOf(present.info));
    return handled(new Promise((resolve, reject) => this.readyWaiters.push({ resolve, reject })));
  }

  // ---- from the reconnectLoop

  onConnecting(attempt: Pick<Attempt, "attempt" | "after">): void {
    this.present = { state: "connecting", ...attempt };
    this.emit("connecting", attempt);
  }

  onOpen(connection: C, gap: Gap | undefined): void {
    this.connection = connection;
    this.present = { state: "open", connection };
    if (gap !== undefined) this.emit("gap", gap);
    this.emit("open", connection, gap);
    // a listener may have ended it
    if (this.connection !== connection || this.silent) return;
    for (const waiter of this.readyWaiters.splice(0)) waiter.resolve(connection);
    this.sessions.add(connection, gap);
    this.sending.connected(connection);
  }

  onLost(connection: C): number {
    this.release();
    this.sessions.ended(connection);
    return this.sending.disconnected();
  }

  onWaiting(waiting: Waiting): void {
    this.present = { state: "waiting", ...waiting };
    this.emit("waiting", waiting);
  }

  onEnd(info: CloseInfo): void {
    this.finish({ ...info, error: this.failure ?? info.error });
  }

  /** Code of the application threw: closes for good with 1011, and reports the error. */
  protected override onThrow(error: unknown): void {
    // a listener that could not send because all has ended did nothing wrong
    if (!this.writable && error instanceof WebSocketError && error.code === "NOT_OPEN") return;
    if (!this.writable || this.listenerCount("error") === 0) reportHandlerError(error);
    this.silence();
    const text = error instanceof Error ? error.message : describe(error);
    this.stop(CLOSE_CODE.INTERNAL_ERROR, "", endpointError("HANDLER_FAILED", text, { cause: error }));
  }

  private silence(): void {
    this.silent = true;
    this.sessions.stop();
  }

  protected override isSilenced(event: keyof DriverEvents<C, M, D>): boolean {
    return this.silent && event !== "error" && event !== "drop" && event !== "close";
  }

  // ---- reading

  override on<E extends keyof DriverEvents<C, M, D>>(
    event: E,
    listener: (...args: DriverEvents<C, M, D>[E]) => unknown,
  ): this {
    super.on(event, listener);
    if (event === "message") this.sessions.resumeSoon();
    return this;
  }

  override off<E extends keyof DriverEvents<C, M, D>>(
    event: E,
    listener: (...args: DriverEvents<C, M, D>[E]) => unknown,
  ): this {
    super.off(event, listener);
    if (event === "message" && this.listenerCount("message") === 0) this.sessions.listenersGone();
    return this;
  }

  pause(): void {
    this.sessions.pause();
  }

  resume(): void {
    this.sessions.resume();
  }

  messages(): AsyncIterableIterator<M> {
    return this.sessions.messages();
  }

  withGaps(): AsyncIterableIterator<M | Gap> {
    return this.sessions.withGaps();
  }

  batches(): AsyncIterableIterator<readonly M[]> {
    return this.sessions.batches();
  }

  // ---- writing

  write(data: D, options?: WriteOptions): boolean {
    if (this.writable) return this.sending.write(data, options);
    this.settings.entry(data, options); // checks it
    return false;
  }

  send(data: D, options?: WriteOptions): Promise<void> {
    if (this.writable) return this.sending.send(data, options);
    this.settings.entry(data, options); // checks it
    return rejected(this.notOpen());
  }

  /** As `ready`, for a call that needs a connection: rejects with NOT_OPEN when there will be none. */
  protected async connected(): Promise<C> {
    if (!this.writable) throw this.notOpen();
    try {
      return await this.ready();
    } catch (error) {
      throw error instanceof WebSocketError ? notOpen("there will be no other connection", error) : error;
    }
  }

  flush(): Promise<void> {
    // when nothing waits and nothing can be written any more, a loop that writes and flushes would never end otherwise
    if (!this.writable && this.bufferedAmount === 0) return rejected(this.notOpen());
    return handled(this.flushSending());
  }

  private async flushSending(): Promise<void> {
    try {
      await this.sending.flush();
    } catch (error) {
      if (!this.writable) throw this.notOpen();
      // NOT_OPEN would say that there will be no other connection
      const { cause } = error instanceof WebSocketError ? error : {};
      throw cause instanceof WebSocketError
        ? cause
        : callError("CONNECTION_LOST", "before all messages were sent", { cause: error });
    }
  }

  protected notOpen(): WebSocketError {
    const { present } = this;
    if (present.state === "closed") return notOpen("it has ended", present.info.error);
    return notOpen("it is closing", this.failure);
  }

  // ---- the end

  retryNow(): void {
    this.reconnectLoop.retryNow();
  }

  close(code: number, reason: string): Promise<CloseInfo> {
    checkClose(code, reason);
    this.stop(code, reason, undefined);
    return this.closed;
  }

  terminate(): void {
    this.silence();
    const { connection } = this;
    if (connection === undefined) {
      this.finish({ ...NEVER_OPEN, error: undefined });
      return;
    }
    this.present = { state: "closing" };
    this.reconnectLoop.endAfterThis();
    connection.terminate();
  }

  /** No other connection: closes this one, if there is one. */
  private stop(code: number, reason: string, failure: WebSocketError | undefined): void {
    if (!this.writable) return;
    this.failure = failure;
    const { connection } = this;
    if (connection === undefined) {
      this.finish({ ...NEVER_OPEN, error: failure });
      return;
    }
    this.present = { state: "closing" };
    this.reconnectLoop.endAfterThis();
    this.sending.close(connection, code, reason);
  }

  /** The current connection is over. */
  private release(): void {
    const { connection } = this;
    if (connection !== undefined) this.past = sum(this.past, connection.stats);
    this.connection = undefined;
  }

  private finish(info: CloseInfo): void {
    if (this.present.state === "closed") return;
    const { connection } = this;
    this.release();
    this.present = { state: "closed", info };
    this.unlink();
    const reason = endOf(info);
    this.reconnectLoop.abort(reason);
    connection?.terminate();
    this.sending.end(reason);
    this.sessions.end();
    for (const waiter of this.readyWaiters.splice(0)) waiter.reject(reason);
    if (info.error !== undefined) this.emit("error", info.error);
    this.emit("close", info);
    this.resolveClosed?.(info);
  }
}

/** Returns the error for callers that wait when it has ended. */
function endOf({ error }: CloseInfo): WebSocketError {
  return error ?? callError("NOT_OPEN", "it is closed");
}

function sum(a: ConnectionStats, b: ConnectionStats): ConnectionStats {
  return {
    messagesReceived: a.messagesReceived + b.messagesReceived,
    messagesSent: a.messagesSent + b.messagesSent,
    bytesReceived: a.bytesReceived + b.bytesReceived,
    bytesSent: a.bytesSent + b.bytesSent,
  };
}
