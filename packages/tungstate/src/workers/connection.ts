import { checkClose, CLOSE_CODE, WebSocketError } from "@tungstate/protocol";
import type { CloseInfo, ConnectionStats } from "../connection/types.ts";
import { applicationError } from "../errors.ts";
import { describe } from "../options/describe.ts";
import { Message, type MessageData } from "../platform/message.ts";
import { payloadOf } from "../platform/payload.ts";
import { MessageEmitter } from "../platform/message-emitter.ts";
import { Received } from "../platform/received.ts";
import { failedCall, handled, notOpen } from "../schedule/promises.ts";
import { reportHandlerError } from "../schedule/report.ts";
import { workersError } from "./errors.ts";
import type { WorkerSettings } from "./options.ts";
import type { ServerSocket, SocketEvents } from "./socket.ts";
import type { WorkerConnection, WorkerConnectionEvents } from "./types.ts";

/** Interval of reading `bufferedAmount` while a caller waits for it: the platform has no event. */
const BUFFER_CHECK_INTERVAL = 20; // ms
const CLOSING = 2; // a readyState

/** Makes a connection over an accepted socket. Returns it with what takes the socket's events. */
export function openWorkerConnection(
  socket: ServerSocket,
  settings: WorkerSettings,
): { readonly connection: WorkerConnection; readonly events: SocketEvents } {
  let events!: SocketEvents;
  const connection = new Connection(socket, settings, (made) => (events = made));
  return { connection, events };
}

class Connection extends MessageEmitter<WorkerConnectionEvents> implements WorkerConnection {
  readonly closed: Promise<CloseInfo>;
  readonly #socket: ServerSocket;
  readonly #settings: WorkerSettings;
  protected readonly received = new Received((message) => this.emit("message", message));
  readonly #stats = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
  #resolveClosed!: (info: CloseInfo) => void;
  #state: "open" | "closing" | "closed" = "open";
  #failure: WebSocketError | undefined;
  /** Whether the application has ended it: only `error` and `close` are emitted then. */
  #silent = false;
  #needDrain = false;
  #polling = false;
  /** Blobs are read asynchronously: what follows one waits for it. */
  #reading: Promise<void> | undefined;
  /** Calls that wait for room or for the end. */
  #waiting: (() => void)[] = [];

  constructor(socket: ServerSocket, settings: WorkerSettings, pass: (events: SocketEvents) => void) {
    super();
    this.#socket = socket;
    this.#settings = settings;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    pass({
      message: (data) => this.#inOrder(data, (read) => this.#push(new Message(read))),
      close: (code, reason, wasClean) => this.#inOrder("", () => this.#ended(code, reason, wasClean)),
      error: (error) => this.#inOrder("", () => this.#lost(error)),
    });
  }

  get state(): "open" | "closing" | "closed" {
    return this.#state;
  }

  get protocol(): string {
    return this.#socket.protocol ?? "";
  }

  get extensions(): string {
    return this.#socket.extensions ?? "";
  }

  get bufferedAmount(): number {
    return this.#state === "closed" ? 0 : (this.#socket.bufferedAmount ?? 0);
  }

  get stats(): ConnectionStats {
    return { ...this.#stats };
  }

  // ---- from the socket

  /** Passes what was received behind everything before it. */
  #inOrder(data: string | ArrayBuffer | Blob, pass: (data: string | ArrayBuffer) => void): void {
    if (this.#reading === undefined && !(data instanceof Blob)) return pass(data);
    const before = this.#reading;
    const reading = (async () => {
      const read = data instanceof Blob ? await data.arrayBuffer() : data;
      await before;
      pass(read);
    })().finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    this.#reading = reading;
  }

  #push(message: Message): void {
    if (this.#state === "closed") return;
    this.#stats.messagesReceived++;
    this.#stats.bytesReceived += message.size;
    this.received.push(message);
    const { size } = this.received;
    if (size <= this.#settings.receiveQueueSize) return;
    this.#fail(CLOSE_CODE.TRY_AGAIN_LATER, workersError("RECEIVE_QUEUE_FULL", `${size} bytes`));
  }

  #ended(code: number, reason: string, clean: boolean): void {
    // RFC 6455 §5.5.1: "If an endpoint receives a Close frame and did not previously send a Close
    // frame, the endpoint MUST send a Close frame in response." Not every runtime does it.
    if (this.#socket.readyState === CLOSING) this.#closeSocket(code, reason);
    const error = clean ? undefined : workersError("CONNECTION_LOST", reason === "" ? undefined : reason);
    this.#finish({ code, reason: clean ? reason : "", clean, error: this.#failure ?? error });
  }

  #lost(cause: unknown): void {
    const error = workersError("CONNECTION_LOST", cause instanceof Error ? cause.message : describe(cause), { cause });
    this.#finish({ code: CLOSE_CODE.ABNORMAL, reason: "", clean: false, error: this.#failure ?? error });
  }

  #closeSocket(code: number | undefined, reason: string): void {
    try {
      if (code === undefined || code === CLOSE_CODE.NO_STATUS) this.#socket.close();
      else this.#socket.close(code, reason);
    } catch {
      // it has ended, or the code cannot be sent back
    }
  }

  // ---- reading

  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.received.messages();
  }

  batches(): AsyncIterableIterator<readonly Message[]> {
    return this.received.batches();
  }

  // ---- writing

  write(data: MessageData): boolean {
    const payload = payloadOf(data);
    if (this.#state !== "open") return false;
    try {
      // the platform rejects a view of shared memory
      this.#socket.send(payload.data as string | ArrayBuffer | ArrayBufferView<ArrayBuffer>);
    } catch (error) {
      if (this.#socket.readyState === 1) throw error;
      return false; // the peer has closed, and its event follows
    }
    this.#stats.messagesSent++;
    this.#stats.bytesSent += payload.size;
    if (this.#hasRoom()) return true;
    this.#needDrain = true;
    this.#poll();
    return false;
  }

  send(data: MessageData): Promise<void> {
    try {
      payloadOf(data);
      if (this.#state !== "open") throw this.#over();
      this.write(data);
      return handled(this.#until(() => this.#hasRoom()));
    } catch (error) {
      return failedCall(error);
    }
  }

  flush(): Promise<void> {
    return handled(this.#until(() => this.bufferedAmount === 0));
  }

  #hasRoom(): boolean {
    return this.bufferedAmount <= this.#settings.writeBufferSize;
  }

  async #until(isSo: () => boolean): Promise<void> {
    for (;;) {
      if (this.#state === "closed") throw this.#over();
      if (isSo()) return;
      this.#poll();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #poll(): void {
    if (this.#polling || this.#state === "closed") return;
    this.#polling = true;
    this.#settings.clock.after(BUFFER_CHECK_INTERVAL, () => {
      this.#polling = false;
      this.#wake();
      if (this.#needDrain && this.#hasRoom() && this.#state === "open") {
        this.#needDrain = false;
        this.emit("drain");
      }
      if (this.#needDrain) this.#poll();
    });
  }

  #wake(): void {
    for (const each of this.#waiting.splice(0)) each();
  }

  #over(): WebSocketError {
    return notOpen("the connection has ended", this.#failure);
  }

  // ---- the end

  close(code: number = CLOSE_CODE.NORMAL, reason = ""): Promise<CloseInfo> {
    checkClose(code, reason);
    if (this.#state === "open") this.#startClosing(code, reason);
    return this.closed;
  }

  #startClosing(code: number, reason: string): void {
    this.#state = "closing";
    const { closeTimeout, clock } = this.#settings;
    this.#closeSocket(code, reason);
    const cancel = clock.after(closeTimeout, () => {
      const error = workersError("CLOSE_TIMEOUT", `${closeTimeout} ms`);
      this.#finish({ code: CLOSE_CODE.ABNORMAL, reason: "", clean: false, error: this.#failure ?? error });
    });
    void this.closed.then(cancel);
  }

  terminate(): void {
    if (this.#state === "closed") return;
    this.#silence();
    if (this.#state === "open") this.#closeSocket(undefined, "");
    this.#finish({ code: CLOSE_CODE.ABNORMAL, reason: "", clean: false, error: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Ends the connection for a reason of this side. */
  #fail(code: number, error: WebSocketError): void {
    this.#failure ??= error;
    this.#silence();
    if (this.#state === "open") this.#startClosing(code, "");
  }

  #finish(info: CloseInfo): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#failure = info.error;
    this.received.end(this.#silent);
    this.#wake();
    if (info.error !== undefined) this.emit("error", info.error);
    this.emit("close", info);
    this.#resolveClosed(info);
  }

  #silence(): void {
    this.#silent = true;
    this.received.end(true);
  }

  protected override isSilenced(event: keyof WorkerConnectionEvents): boolean {
    return this.#silent && event !== "error" && event !== "close";
  }

  protected override onThrow(error: unknown): void {
    // after the end, a listener may fail to send: that is not an error
    if (this.#state !== "open" && error instanceof WebSocketError && error.code === "NOT_OPEN") return;
    if (this.#state !== "open" || this.listenerCount("error") === 0) reportHandlerError(error);
    this.#fail(CLOSE_CODE.INTERNAL_ERROR, applicationError("HANDLER_FAILED", String(error), { cause: error }));
  }
}
