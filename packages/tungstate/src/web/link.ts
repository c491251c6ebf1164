import { CLOSE_CODE, WebSocketError } from "@tungstate/protocol";
import { connect } from "../client/connect.ts";
import { driverOf } from "../connection/connection.ts";
import type { CloseInfo, WebSocketConnection } from "../connection/types.ts";
import { linkedController, type LinkedController } from "../schedule/linked-controller.ts";
import { BufferedAmount } from "./buffered-amount.ts";
import { codeFor } from "./close.ts";
import type { WebConnectOptions } from "./options.ts";
import { byteLength, copyOf, isBlob, type Sendable } from "./sendable.ts";
import { nextTask } from "./tasks.ts";
import { hasBadPort } from "./url.ts";

export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSING = 2;
export const CLOSED = 3;

/** A value of `readyState`. */
export type ReadyState = typeof CONNECTING | typeof OPEN | typeof CLOSING | typeof CLOSED;

/** How a link ended. */
export interface LinkEnd {
  readonly code: number;
  readonly reason: string;
  readonly clean: boolean;
  /** Whether the connection failed, in the sense of RFC 6455 §7.1.7. */
  readonly failed: boolean;
}

/** The object that a link belongs to. */
export interface LinkOwner {
  /** The connection is open. The end is reported after the returned promise has resolved. */
  onOpen(connection: WebSocketConnection): Promise<void>;
  onClosed(end: LinkEnd): void;
}

/**
 * The connection behind a WebSocket or a WebSocketStream: opens it, sends in order, closes it, and
 * keeps the ready state as the WHATWG standard defines it.
 */
export class Link {
  readonly url: URL;
  readonly #owner: LinkOwner;
  readonly #controller: LinkedController;
  readonly #buffered = new BufferedAmount();
  #state: ReadyState = CONNECTING;
  #connection: WebSocketConnection | undefined;
  #failed = false;
  /** Set while messages that came before the peer's Close are being delivered. */
  isDelivering = false;
  /** While a Blob is being read, everything sent after it waits for it. */
  #blobs: Promise<void> | undefined;

  constructor(url: URL, protocols: readonly string[], options: WebConnectOptions, owner: LinkOwner) {
    this.url = url;
    this.#owner = owner;
    this.#controller = linkedController(options.signal);
    void this.#run(protocols, options);
  }

  get readyState(): ReadyState {
    const peerIsClosing = this.#state === OPEN && !this.isDelivering && this.#connection?.state !== "open";
    return peerIsClosing ? CLOSING : this.#state;
  }

  get bufferedAmount(): number {
    return this.#buffered.value;
  }

  async #run(protocols: readonly string[], options: WebConnectOptions): Promise<void> {
    const connection = await this.#connect(protocols, options);
    if (connection === undefined) {
      await nextTask(); // the caller of the constructor has added its listeners
      this.#failed = true;
    } else {
      this.#connection = connection;
      this.#buffered.open(connection);
      this.#state = OPEN;
      await this.#owner.onOpen(connection);
    }
    const info = await connection?.closed;
    this.#controller.unlink();
    this.#state = CLOSED;
    this.#owner.onClosed(this.#endOf(info));
  }

  /** Resolves with undefined if no connection can be used. */
  async #connect(protocols: readonly string[], options: WebConnectOptions): Promise<WebSocketConnection | undefined> {
    if (hasBadPort(this.url)) return undefined;
    try {
      const { signal } = this.#controller;
      const connection = await connect(this.url, { ...options, protocols, signal });
      // WebSockets §2.2: a server that selects none of the subprotocols fails the connection
      const isRefused = protocols.length > 0 && connection.protocol === "";
      if (this.#state === CONNECTING && !isRefused) return connection;
      connection.terminate();
      await connection.closed;
    } catch {
      // the standard does not expose the reason to scripts
    }
    return undefined;
  }

  #endOf(info: CloseInfo | undefined): LinkEnd {
    if (info === undefined) return { code: CLOSE_CODE.ABNORMAL, reason: "", clean: false, failed: true };
    const { code, reason, clean, error } = info;
    // RFC 6455 §7.1.1: a client may close the stream of a server that does not
    const failed = this.#failed || (error !== undefined && error.code !== "CLOSE_TIMEOUT");
    return { code, reason, clean: clean && !failed, failed };
  }

  /** Sends a message behind those before it. Not in the state CONNECTING. */
  send(data: Sendable): void {
    const size = byteLength(data);
    this.#buffered.add(size);
    if (this.readyState !== OPEN) return;
    if (isBlob(data)) {
      this.#inTurn(() => this.#sendBlob(data));
    } else if (this.#blobs !== undefined) {
      const copy = copyOf(data);
      this.#inTurn(() => this.#write(copy, size));
    } else {
      // compression may read the bytes later, when the caller may have changed them
      this.#write(this.#connection?.extensions === "" ? data : copyOf(data), size);
    }
  }

  #inTurn(run: () => Promise<void> | void): void {
    const turn = (this.#blobs ?? Promise.resolve()).then(run).then(() => {
      if (this.#blobs === turn) this.#blobs = undefined;
    });
    this.#blobs = turn;
  }

  async #sendBlob(blob: Blob): Promise<void> {
    try {
      this.#write(new Uint8Array(await blob.arrayBuffer()), blob.size);
    } catch {
      this.fail(); // it cannot be read
    }
  }

  /**
   * Writes to the connection. "If the data cannot be sent, e.g. because it would need to be
   * buffered but the buffer is full": fails it.
   */
  #write(data: Exclude<Sendable, Blob>, size: number): void {
    const connection = this.#connection;
    if (connection === undefined || connection.state !== "open") return;
    try {
      connection.write(data);
      this.#buffered.wrote(size);
    } catch (error) {
      if (!(error instanceof WebSocketError && error.code === "WRITE_BUFFER_FULL")) throw error;
      this.fail();
    }
  }

  /**
   * As `send`, but resolves when the connection has room again, and buffers a large message in
   * parts. Rejects if the connection has ended or ends meanwhile.
   */
  async sendAndWait(data: Exclude<Sendable, Blob>): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const isText = typeof data === "string";
    // at most 3 bytes for a UTF-16 unit
    if (data.length < IN_PARTS / 3) return connection.send(copyOf(data));
    const bytes = isText ? Buffer.from(data) : new Uint8Array(data);
    await connection.sendStream(partsOf(bytes), isText ? "text" : "binary");
  }

  /** "Close the WebSocket", behind all messages that were sent. The arguments are checked. */
  close(code: number | undefined, reason: string): void {
    const state = this.readyState;
    if (state === CLOSING || state === CLOSED) return;
    this.#state = CLOSING;
    if (state === CONNECTING) {
      this.#controller.abort(new DOMException("the WebSocket was closed", "AbortError"));
      return;
    }
    const close = (): void => void driverOf(this.#connection)?.close(codeFor(code, reason), reason);
    if (this.#blobs === undefined) close();
    else this.#inTurn(close);
  }

  /** Fails the connection: it ends at once, with an `error`. */
  fail(): void {
    if (this.#state === CLOSED) return;
    this.#state = CLOSING;
    this.#failed = true;
    this.#controller.abort(new DOMException("the WebSocket failed", "AbortError"));
    this.#connection?.terminate();
  }
}

const IN_PARTS = 3 * 1024 * 1024; // bytes from which a message of a stream is sent in fragments
const PART = 256 * 1024; // bytes of a fragment

function* partsOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PART) yield bytes.subarray(at, at + PART);
}
