import { type Message, WebSocketError as ConnectionError } from "@tungstate/protocol";
import type { WebSocketConnection } from "../connection/types.ts";
import { onAbort } from "../schedule/abort-signal.ts";
import { handled } from "../schedule/promises.ts";
import { checkCloseArguments } from "./close.ts";
import { Link, type LinkEnd } from "./link.ts";
import { connectOptionsOf, type WebConnectOptions } from "./options.ts";
import { toBytesOrString } from "./sendable.ts";
import { checkSubprotocols, parseWebSocketUrl } from "./url.ts";
import { defineInterface, requireArguments, toDictionary, toSequence, toUsvString } from "./web-idl.ts";
import { closeInfoOf, uncleanCloseError, type WebSocketCloseInfo, WebSocketError } from "./websocket-error.ts";

/** Options of `new WebSocketStream()`. */
export interface WebSocketStreamOptions {
  /** Subprotocols to offer, in order of preference. Default none. */
  readonly protocols?: Iterable<string>;
  /** Aborts the attempt to connect. It has no effect when the connection is open. */
  readonly signal?: AbortSignal;
}

/** The open connection of a WebSocketStream. */
export interface WebSocketOpenInfo {
  /** The received messages: strings and Uint8Arrays. Reading has back pressure. */
  readonly readable: ReadableStream<string | Uint8Array>;
  /** Sends each chunk as a message. Writing has back pressure. */
  readonly writable: WritableStream<string | ArrayBuffer | ArrayBufferView>;
  /** The extensions in use, "" for none. */
  readonly extensions: string;
  /** The subprotocol in use, "" for none. */
  readonly protocol: string;
}

/** A promise with the functions that settle it. */
class Settled<T> {
  readonly promise: Promise<T>;
  resolve: (value: T) => void = () => undefined;
  reject: (reason: unknown) => void = () => undefined;

  constructor() {
    this.promise = handled(
      new Promise<T>((resolve, reject) => {
        this.resolve = resolve;
        this.reject = reject;
      }),
    );
  }
}

/** The link of a WebSocketStream and its two streams. */
class Internals {
  readonly opened = new Settled<WebSocketOpenInfo>();
  readonly closed = new Settled<Required<WebSocketCloseInfo>>();
  readonly url: URL;
  /** Undefined if the signal was aborted before the start. */
  #link: Link | undefined;
  #wasOpen = false;
  #isAborted = false;
  #isClosing = false;
  #unlink: (() => void) | undefined;
  #writable: WritableStreamDefaultController | undefined;

  constructor(url: URL, protocols: readonly string[], signal: AbortSignal | undefined, options: WebConnectOptions) {
    this.url = url;
    if (signal?.aborted === true) {
      this.#abort(signal.reason);
      return;
    }
    this.#link = new Link(url, protocols, options, this);
    this.#unlink = onAbort(signal, () => this.#abort(signal?.reason));
  }

  /** "If the WebSocket connection is not yet established": fails it. */
  #abort(reason: unknown): void {
    if (this.#wasOpen) return;
    this.#isAborted = true;
    this.#link?.close(undefined, "");
    this.opened.reject(reason);
    this.closed.reject(reason);
  }

  onOpen(connection: WebSocketConnection): Promise<void> {
    this.#wasOpen = true;
    this.#unlink?.();
    const { protocol, extensions } = connection;
    const readable = this.#createReadable(connection);
    this.opened.resolve({ readable, writable: this.#createWritable(), extensions, protocol });
    return Promise.resolve();
  }

  #createReadable(connection: WebSocketConnection): ReadableStream<string | Uint8Array> {
    const messages = connection[Symbol.asyncIterator]();
    return new ReadableStream<string | Uint8Array>({
      pull: async (controller) => {
        const message = await this.#nextMessage(messages);
        if (message !== undefined) controller.enqueue(message);
        else await this.#endReadable(controller);
      },
      cancel: (reason) => this.#closeWith(reason),
    });
  }

  /** Returns the next message. Messages received while the connection is closing are dropped. */
  async #nextMessage(messages: AsyncIterator<Message>): Promise<string | Uint8Array | undefined> {
    for (;;) {
      const { done, value } = await messages.next();
      if (done === true) return undefined;
      if (!this.#isClosing) return value.data;
    }
  }

  /** All messages before the end of the connection have been read. */
  async #endReadable(controller: ReadableStreamDefaultController): Promise<void> {
    try {
      await this.closed.promise;
      controller.close();
    } catch (error) {
      controller.error(error);
    }
  }

  #createWritable(): WritableStream<string | ArrayBuffer | ArrayBufferView> {
    return new WritableStream<string | ArrayBuffer | ArrayBufferView>({
      start: (controller) => {
        this.#writable = controller;
      },
      write: async (chunk) => {
        const data = toBytesOrString(chunk);
        try {
          await this.#link?.sendAndWait(data);
        } catch (error) {
          if (!(error instanceof ConnectionError && error.code === "NOT_OPEN")) throw error;
          await this.closed.promise; // the end of the connection errors the stream
        }
      },
      close: async () => {
        this.#writable = undefined;
        this.close(undefined, "");
        await this.closed.promise;
      },
      abort: (reason) => this.#closeWith(reason),
    });
  }

  /** `cancel` or `abort`: a WebSocketError chooses the code and the reason. */
  #closeWith(reason: unknown): void {
    if (reason instanceof WebSocketError) this.close(reason.closeCode ?? undefined, reason.reason);
    else this.close(undefined, "");
  }

  close(code: number | undefined, reason: string): void {
    this.#isClosing = true;
    this.#link?.close(code, reason);
  }

  onClosed({ clean, code, reason }: LinkEnd): void {
    this.#unlink?.();
    if (this.#isAborted) return;
    if (!this.#wasOpen) this.opened.reject(uncleanCloseError("the connection was not established", { code, reason }));
    if (clean) {
      this.#writable?.error(new DOMException("the WebSocket is closed", "InvalidStateError"));
      this.closed.resolve({ closeCode: code, reason });
    } else {
      const error = uncleanCloseError("the connection ended without a closing handshake", { code, reason });
      this.#writable?.error(error);
      this.closed.reject(error);
    }
  }
}

let isStream: (value: object) => boolean;

/**
 * A client connection as two streams with back pressure: the WebSocketStream of the WHATWG
 * standard.
 */
export class WebSocketStream {
  readonly #internals: Internals;

  /**
   * Starts to connect. Throws a SyntaxError DOMException for an invalid URL or subprotocol, a
   * TypeError for invalid options, and INVALID_ARGUMENT for an invalid connect option.
   */
  constructor(url: string | URL, options?: WebSocketStreamOptions, connectOptions?: WebConnectOptions) {
    requireArguments(arguments.length, 1, "new WebSocketStream()");
    const text = toUsvString(url);
    const { protocols, signal } = toDictionary(options, "options");
    const names = protocols === undefined ? [] : toSequence(protocols, "protocols", toUsvString);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`);
    }
    const target = parseWebSocketUrl(text);
    checkSubprotocols(names);
    this.#internals = new Internals(target, names, signal, connectOptionsOf(connectOptions));
  }

  /** The URL, serialised. */
  get url(): string {
    return this.#internals.url.href;
  }

  /**
   * Resolves when the connection is open. Rejects with a WebSocketError, or with the reason of the
   * signal.
   */
  get opened(): Promise<WebSocketOpenInfo> {
    return isStream(this) ? this.#internals.opened.promise : notAStream();
  }

  /**
   * Resolves after the closing handshake with the peer's code and reason. Rejects with a
   * WebSocketError if there was none.
   */
  get closed(): Promise<Required<WebSocketCloseInfo>> {
    return isStream(this) ? this.#internals.closed.promise : notAStream();
  }

  /**
   * Closes the connection. Throws an InvalidAccessError DOMException for a code other than 1000 and
   * 3000 to 4999, and a SyntaxError for a reason of more than 123 bytes.
   */
  close(closeInfo?: WebSocketCloseInfo): void {
    const internals = this.#internals;
    const { code, reason } = closeInfoOf(closeInfo);
    checkCloseArguments(code, reason);
    internals.close(code, reason);
  }

  static {
    isStream = (value) => #internals in value;
  }
}

/** Web IDL §3.7.6: an attribute whose value is a promise never throws. */
function notAStream(): Promise<never> {
  return Promise.reject(new TypeError("not a WebSocketStream"));
}

defineInterface(WebSocketStream, "WebSocketStream", 1, {
  attributes: ["url", "opened", "closed"],
  operations: { close: 0 },
});
