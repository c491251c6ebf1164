import { CLOSE_CODE, type HeaderFields, type Message } from "@tungstate/protocol";
import { splitConnection } from "../connection/split.ts";
import type {
  CloseInfo,
  ConnectionState,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
  WriteOptions,
} from "../connection/types.ts";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";
import type { Surroundings } from "./connecting.ts";
import type { Provided } from "./core/provide.ts";
import type { Gap } from "./core/types.ts";
import { ReconnectingDriver } from "./driver.ts";
import type { ReconnectOptions } from "./options.ts";
import type { ReconnectingConnection, ReconnectingEvents, ReconnectingStatus } from "./types.ts";

/**
 * Connects, and connects again whenever the connection ends, until `close()`, an abort of `signal`,
 * or an end that trying again would not change. `url`, `headers` and `protocols` can be functions,
 * asked before each attempt. Returns at once: see `ready`, and the events. Throws INVALID_ARGUMENT,
 * INVALID_URL and INVALID_PROXY.
 */
export function reconnecting(url: Provided<string | URL>, options: ReconnectOptions = {}): ReconnectingConnection {
  return new Reconnecting(url, options);
}

/**
 * The reconnecting connection that users have: its public members, and nothing else. Its driver
 * does the work.
 */
export class Reconnecting implements ReconnectingConnection {
  readonly #driver: ReconnectingDriver;

  constructor(url: Provided<string | URL>, options: ReconnectOptions, surroundings?: Surroundings) {
    this.#driver = new ReconnectingDriver(url, options, surroundings);
  }

  get status(): ReconnectingStatus {
    return this.#driver.status;
  }

  get state(): ConnectionState {
    return this.#driver.status.state;
  }

  get writable(): boolean {
    return this.#driver.writable;
  }

  get current(): WebSocketConnection | undefined {
    return this.#driver.current;
  }

  get protocol(): string {
    return this.#driver.protocol;
  }

  get extensions(): string {
    return this.#driver.extensions;
  }

  get headers(): HeaderFields {
    return this.#driver.headers;
  }

  get route(): Route | undefined {
    return this.#driver.route;
  }

  get tls(): TlsInfo | undefined {
    return this.#driver.tls;
  }

  get localAddress(): string | undefined {
    return this.#driver.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.#driver.remoteAddress;
  }

  get bufferedAmount(): number {
    return this.#driver.bufferedAmount;
  }

  get stats(): ConnectionStats {
    return this.#driver.stats;
  }

  get closed(): Promise<CloseInfo> {
    return this.#driver.closed;
  }

  ready(): Promise<WebSocketConnection> {
    return this.#driver.ready();
  }

  retryNow(): void {
    this.#driver.retryNow();
  }

  // ---- reading

  on<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this {
    this.#driver.on(event, listener);
    return this;
  }

  once<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this {
    this.#driver.once(event, listener);
    return this;
  }

  off<E extends keyof ReconnectingEvents>(event: E, listener: (...args: ReconnectingEvents[E]) => unknown): this {
    this.#driver.off(event, listener);
    return this;
  }

  removeListener<E extends keyof ReconnectingEvents>(
    event: E,
    listener: (...args: ReconnectingEvents[E]) => unknown,
  ): this {
    return this.off(event, listener);
  }

  listenerCount(event: keyof ReconnectingEvents): number {
    return this.#driver.listenerCount(event);
  }

  pause(): void {
    this.#driver.pause();
  }

  resume(): void {
    this.#driver.resume();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.#driver.messages();
  }

  withGaps(): AsyncIterableIterator<Message | Gap> {
    return this.#driver.withGaps();
  }

  batches(): AsyncIterableIterator<readonly Message[]> {
    return this.#driver.batches();
  }

  split(): { readable: ReadableStream<Message>; writable: WritableStream<MessageData> } {
    return splitConnection(this);
  }

  // ---- writing

  write(data: MessageData, options?: WriteOptions): boolean {
    return this.#driver.write(data, options);
  }

  send(data: MessageData, options?: WriteOptions): Promise<void> {
    return this.#driver.send(data, options);
  }

  sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary" = "binary",
  ): Promise<void> {
    return this.#driver.sendStream(parts, type);
  }

  flush(): Promise<void> {
    return this.#driver.flush();
  }

  ping(payload?: Uint8Array | string): Promise<number> {
    return this.#driver.ping(payload);
  }

  // ---- the end

  close(code: number = CLOSE_CODE.NORMAL, reason = ""): Promise<CloseInfo> {
    return this.#driver.close(code, reason);
  }

  terminate(): void {
    this.#driver.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
