import { CLOSE_CODE, type HeaderFields, type Message } from "@tungstate/protocol";
import { Driver } from "./driver/driver.ts";
import type { Agreed } from "./driver/link.ts";
import type { ConnectionSettings } from "./options.ts";
import { splitConnection } from "./split.ts";
import type { Route } from "../transport/route.ts";
import type { TlsInfo } from "../transport/tls-info.ts";
import type { Transport } from "../transport/transport.ts";
import type {
  CloseInfo,
  ConnectionEvents,
  ConnectionState,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
  WriteOptions,
} from "./types.ts";

/** Returns the driver of a connection; undefined for an object that is not one of ours. */
export let driverOf: (connection: unknown) => Driver | undefined;

/** The connection of users. It has only public members; its driver does the work. */
class Connection implements WebSocketConnection {
  readonly #driver: Driver;

  static {
    driverOf = (connection) =>
      typeof connection === "object" && connection !== null && #driver in connection ? connection.#driver : undefined;
  }

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  get state(): ConnectionState {
    return this.#driver.state;
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

  get bufferedAmount(): number {
    return this.#driver.bufferedAmount;
  }

  get localAddress(): string | undefined {
    return this.#driver.localAddress;
  }

  get remoteAddress(): string | undefined {
    return this.#driver.remoteAddress;
  }

  get stats(): ConnectionStats {
    return this.#driver.stats;
  }

  get closed(): Promise<CloseInfo> {
    return this.#driver.closed;
  }

  // ---- reading

  on<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this {
    this.#driver.on(event, listener);
    return this;
  }

  once<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this {
    this.#driver.once(event, listener);
    return this;
  }

  off<E extends keyof ConnectionEvents>(event: E, listener: (...args: ConnectionEvents[E]) => unknown): this {
    this.#driver.off(event, listener);
    return this;
  }

  removeListener<E extends keyof ConnectionEvents>(
    event: E,
    listener: (...args: ConnectionEvents[E]) => unknown,
  ): this {
    return this.off(event, listener);
  }

  listenerCount(event: keyof ConnectionEvents): number {
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

const publish = (driver: Driver): WebSocketConnection => new Connection(driver);

/**
 * Starts a connection after its handshake. `headers`: header fields of the peer. `early`: bytes
 * received after the handshake. `greeting`: the last part of the handshake, of characters up to
 * U+00FF, which is sent before all other output.
 */
export function openConnection(
  transport: Transport,
  settings: ConnectionSettings,
  agreed: Agreed,
  headers: HeaderFields,
  early: Uint8Array,
  greeting?: string,
): Driver {
  return new Driver(publish, transport, settings, agreed, headers, early, greeting);
}
