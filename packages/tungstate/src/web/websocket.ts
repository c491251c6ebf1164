import type { Message } from "@tungstate/protocol";
import type { WebSocketConnection } from "../connection/types.ts";
import { checkCloseArguments } from "./close.ts";
import { EventHandlers } from "./event-handlers.ts";
import { CloseEvent, MessageEvent } from "./events.ts";
import { CLOSED, CLOSING, CONNECTING, Link, type LinkEnd, OPEN, type ReadyState } from "./link.ts";
import { connectOptionsOf, type WebConnectOptions } from "./options.ts";
import { toArrayBuffer, toSendable } from "./sendable.ts";
import { microtasksDone } from "./tasks.ts";
import { checkSubprotocols, parseWebSocketUrl, toSubprotocols } from "./url.ts";
import { clampToUnsignedShort, defineInterface, requireArguments, toUsvString } from "./web-idl.ts";

/** Type of the `data` of binary messages: a Blob or an ArrayBuffer. */
export type BinaryType = "blob" | "arraybuffer";

/** Events of a WebSocket. */
export interface WebSocketEventMap {
  /** The connection is open. */
  open: Event;
  /** A message was received. */
  message: MessageEvent<string | ArrayBuffer | Blob>;
  /** The connection failed. `close` follows. */
  error: Event;
  /** The connection has ended. It is the last event. */
  close: CloseEvent;
}

/** An event handler: `this` is the WebSocket. */
type Handler<E extends Event> = ((this: WebSocket, event: E) => unknown) | null;

/** Options of `addEventListener`. */
type ListenerOptions = Parameters<EventTarget["addEventListener"]>[2];

/** An EventTarget with the events of a WebSocket. */
interface SocketEventTarget extends EventTarget {
  /** Adds a listener; its event has the type that the name implies. */
  addEventListener<E extends keyof WebSocketEventMap>(
    type: E,
    listener: ((this: WebSocket, event: WebSocketEventMap[E]) => unknown) | null,
    options?: ListenerOptions,
  ): void;
  /** Adds a listener. */
  addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void;
}

const SocketEventTarget = EventTarget as new () => SocketEventTarget;

/** The link and the private state of a WebSocket. */
class Internals {
  readonly link: Link;
  readonly handlers: EventHandlers;
  readonly origin: string;
  readonly target: WebSocket;
  binaryType: BinaryType = "blob";
  protocol = "";
  extensions = "";

  constructor(target: WebSocket, url: URL, protocols: readonly string[], options: WebConnectOptions) {
    this.target = target;
    this.handlers = new EventHandlers(target);
    this.origin = url.origin;
    this.link = new Link(url, protocols, options, this);
  }

  /** Delivers the messages, each in a separate task. */
  async onOpen(connection: WebSocketConnection): Promise<void> {
    const { link } = this;
    this.protocol = connection.protocol;
    this.extensions = connection.extensions;
    link.isDelivering = true; // the peer's Close may have come with the response
    this.target.dispatchEvent(new Event("open"));
    await microtasksDone();
    link.isDelivering = false;
    for await (const batch of connection.batches()) {
      link.isDelivering = true;
      for (const message of batch) {
        if (link.readyState !== OPEN) break;
        this.target.dispatchEvent(new MessageEvent("message", { data: this.#dataOf(message), origin: this.origin }));
        await microtasksDone();
      }
      link.isDelivering = false;
    }
  }

  #dataOf(message: Message): string | ArrayBuffer | Blob {
    if (message.type === "text") return message.text;
    return this.binaryType === "blob" ? new Blob([message.bytes]) : toArrayBuffer(message.bytes);
  }

  async onClosed({ clean, code, reason, failed }: LinkEnd): Promise<void> {
    if (failed) {
      this.target.dispatchEvent(new Event("error"));
      await microtasksDone();
    }
    this.target.dispatchEvent(new CloseEvent("close", { wasClean: clean, code, reason }));
  }
}

/**
 * A client connection with the interface that browsers have: the WebSocket of the WHATWG standard.
 *
 * It keeps the process alive until it is closed. Messages that no listener takes are dropped.
 */
export class WebSocket extends SocketEventTarget {
  /** 0: the connection is not open yet. */
  declare static readonly CONNECTING: 0;
  /** 1: data flows both ways. */
  declare static readonly OPEN: 1;
  /** 2: the connection is closing. */
  declare static readonly CLOSING: 2;
  /** 3: the connection is closed, or could not be opened. */
  declare static readonly CLOSED: 3;
  /** 0: the connection is not open yet. */
  declare readonly CONNECTING: 0;
  /** 1: data flows both ways. */
  declare readonly OPEN: 1;
  /** 2: the connection is closing. */
  declare readonly CLOSING: 2;
  /** 3: the connection is closed, or could not be opened. */
  declare readonly CLOSED: 3;

  readonly #internals: Internals;

  /**
   * Starts to connect. Throws a SyntaxError DOMException for an invalid URL or subprotocol, and
   * INVALID_ARGUMENT for an invalid option.
   */
  constructor(url: string | URL, protocols?: string | Iterable<string>, options?: WebConnectOptions) {
    super();
    requireArguments(arguments.length, 1, "new WebSocket()");
    const text = toUsvString(url);
    const names = toSubprotocols(protocols);
    const target = parseWebSocketUrl(text);
    checkSubprotocols(names);
    this.#internals = new Internals(this, target, names, connectOptionsOf(options));
  }

  /** The URL, serialised. */
  get url(): string {
    return this.#internals.link.url.href;
  }

  /** CONNECTING, OPEN, CLOSING or CLOSED. */
  get readyState(): ReadyState {
    return this.#internals.link.readyState;
  }

  /**
   * Bytes of application data that were passed to `send()` and are not transmitted yet. It
   * decreases only between ticks of the event loop, and does not become 0 when the connection ends.
   */
  get bufferedAmount(): number {
    return this.#internals.link.bufferedAmount;
  }

  /** The extensions in use, "" for none and before the connection is open. */
  get extensions(): string {
    return this.#internals.extensions;
  }

  /** The subprotocol in use, "" for none and before the connection is open. */
  get protocol(): string {
    return this.#internals.protocol;
  }

  /** Type of the data of binary messages. Default: "blob". Other values are ignored. */
  get binaryType(): BinaryType {
    return this.#internals.binaryType;
  }

  set binaryType(value: BinaryType) {
    const internals = this.#internals;
    const type: string = `${value}`;
    if (type === "blob" || type === "arraybuffer") internals.binaryType = type;
  }

  /** Handler of the event `open`, or null. */
  get onopen(): Handler<Event> {
    return this.#internals.handlers.get("open") as Handler<Event>;
  }

  set onopen(handler: Handler<Event>) {
    this.#internals.handlers.set("open", handler);
  }

  /** Handler of the event `error`, or null. */
  get onerror(): Handler<Event> {
    return this.#internals.handlers.get("error") as Handler<Event>;
  }

  set onerror(handler: Handler<Event>) {
    this.#internals.handlers.set("error", handler);
  }

  /** Handler of the event `close`, or null. */
  get onclose(): Handler<CloseEvent> {
    return this.#internals.handlers.get("close") as Handler<CloseEvent>;
  }

  set onclose(handler: Handler<CloseEvent>) {
    this.#internals.handlers.set("close", handler);
  }

  /** Handler of the event `message`, or null. */
  get onmessage(): Handler<WebSocketEventMap["message"]> {
    return this.#internals.handlers.get("message") as Handler<WebSocketEventMap["message"]>;
  }

  set onmessage(handler: Handler<WebSocketEventMap["message"]>) {
    this.#internals.handlers.set("message", handler);
  }

  /**
   * Closes the connection after all messages that were sent. Code: 1000, or 3000 to 4999; default
   * none, which the peer gets as 1005. Throws an InvalidAccessError DOMException for another code,
   * and a SyntaxError for a reason of more than 123 bytes.
   */
  close(code?: number, reason?: string): void {
    const { link } = this.#internals;
    const checkedCode = code === undefined ? undefined : clampToUnsignedShort(code);
    const checkedReason = reason === undefined ? "" : toUsvString(reason);
    checkCloseArguments(checkedCode, checkedReason);
    link.close(checkedCode, checkedReason);
  }

  /**
   * Sends a message: text or binary. Lone surrogates become U+FFFD. Throws an InvalidStateError
   * DOMException while the connection is not open yet; drops the message when it is closing or
   * closed. When more than `maxWriteBufferSize` bytes would be buffered, the connection fails.
   */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob): void {
    const { link } = this.#internals;
    requireArguments(arguments.length, 1, "send()");
    const checked = toSendable(data);
    if (link.readyState === CONNECTING) throw new DOMException("the WebSocket is not open yet", "InvalidStateError");
    link.send(checked);
  }
}

defineInterface(WebSocket, "WebSocket", 1, {
  attributes: [
    "url",
    "readyState",
    "bufferedAmount",
    "onopen",
    "onerror",
    "onclose",
    "extensions",
    "protocol",
    "onmessage",
    "binaryType",
  ],
  operations: { close: 0, send: 1 },
  constants: { CONNECTING, OPEN, CLOSING, CLOSED },
});
