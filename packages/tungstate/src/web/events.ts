import {
  defineInterface,
  requireArguments,
  toDictionary,
  toDomString,
  toUnsignedShort,
  toUsvString,
} from "./web-idl.ts";

/** Options of `new MessageEvent()`. */
export interface MessageEventInit {
  /** Default: false. */
  readonly bubbles?: boolean;
  /** Default: false. */
  readonly cancelable?: boolean;
  /** Default: false. */
  readonly composed?: boolean;
  /** Default: null. */
  readonly data?: unknown;
  /** Default: "". */
  readonly origin?: string;
  /** Default: "". */
  readonly lastEventId?: string;
  /** Default: null. */
  readonly source?: object | null;
  /** Default: none. */
  readonly ports?: Iterable<object>;
}

/** The `message` event: HTML §9.1. */
export class MessageEvent<T = unknown> extends Event {
  readonly #data: unknown;
  readonly #origin: string;
  readonly #lastEventId: string;
  readonly #source: object | null;
  readonly #ports: readonly object[];

  /** Creates an event. */
  constructor(type: string, init?: MessageEventInit) {
    requireArguments(arguments.length, 1, "new MessageEvent()");
    const { data = null, origin = "", lastEventId = "", source = null, ports, ...rest } = toDictionary(init, "init");
    super(toDomString(type), rest);
    this.#data = data;
    this.#origin = toUsvString(origin);
    this.#lastEventId = toDomString(lastEventId);
    this.#source = source;
    this.#ports = ports === undefined ? NO_PORTS : Object.freeze([...ports]);
  }

  /** The message: a string, a Blob or an ArrayBuffer. */
  get data(): T {
    return this.#data as T;
  }

  /** The origin of the WebSocket's URL, such as "wss://example.com". */
  get origin(): string {
    return this.#origin;
  }

  /** "" for a WebSocket. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** Null for a WebSocket. */
  get source(): object | null {
    return this.#source;
  }

  /** Empty for a WebSocket. */
  get ports(): readonly object[] {
    return this.#ports;
  }
}

const NO_PORTS: readonly object[] = Object.freeze([]);

/** Options of `new CloseEvent()`. */
export interface CloseEventInit {
  /** Default: false. */
  readonly bubbles?: boolean;
  /** Default: false. */
  readonly cancelable?: boolean;
  /** Default: false. */
  readonly composed?: boolean;
  /** Default: false. */
  readonly wasClean?: boolean;
  /** Default: 0. */
  readonly code?: number;
  /** Default: "". */
  readonly reason?: string;
}

/** The `close` event: WebSockets §6. */
export class CloseEvent extends Event {
  readonly #wasClean: boolean;
  readonly #code: number;
  readonly #reason: string;

  /** Creates an event. */
  constructor(type: string, init?: CloseEventInit) {
    requireArguments(arguments.length, 1, "new CloseEvent()");
    const { wasClean = false, code = 0, reason = "", ...rest } = toDictionary(init, "init");
    super(toDomString(type), rest);
    this.#wasClean = Boolean(wasClean);
    this.#code = toUnsignedShort(code);
    this.#reason = toUsvString(reason);
  }

  /** Whether the closing handshake was completed. */
  get wasClean(): boolean {
    return this.#wasClean;
  }

  /** The peer's close code; 1005 if its Close had none, 1006 if none came. */
  get code(): number {
    return this.#code;
  }

  /** The peer's reason, "" for none. */
  get reason(): string {
    return this.#reason;
  }
}

defineInterface(MessageEvent, "MessageEvent", 1, {
  attributes: ["data", "origin", "lastEventId", "source", "ports"],
});
defineInterface(CloseEvent, "CloseEvent", 1, { attributes: ["wasClean", "code", "reason"] });
