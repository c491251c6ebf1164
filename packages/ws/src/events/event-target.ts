import type { EventEmitter } from "node:events";

type Kind = "open" | "message" | "close" | "error";

/** An event that a WebSocket gives to listeners of `addEventListener`. */
class Event {
  readonly #type: string;
  readonly #target: unknown;

  constructor(type: string, target: unknown) {
    this.#type = type;
    this.#target = target;
  }

  get type(): string {
    return this.#type;
  }

  get target(): unknown {
    return this.#target;
  }
}

class MessageEvent extends Event {
  readonly #data: unknown;

  constructor(target: unknown, data: unknown) {
    super("message", target);
    this.#data = data;
  }

  get data(): unknown {
    return this.#data;
  }
}

class CloseEvent extends Event {
  readonly #code: number;
  readonly #reason: string;
  readonly #wasClean: boolean;

  constructor(target: unknown, code: number, reason: string, wasClean: boolean) {
    super("close", target);
    this.#code = code;
    this.#reason = reason;
    this.#wasClean = wasClean;
  }

  get code(): number {
    return this.#code;
  }

  get reason(): string {
    return this.#reason;
  }

  get wasClean(): boolean {
    return this.#wasClean;
  }
}

class ErrorEvent extends Event {
  readonly #error: Error;

  constructor(target: unknown, error: Error) {
    super("error", target);
    this.#error = error;
  }

  get error(): Error {
    return this.#error;
  }

  get message(): string {
    return this.#error.message;
  }
}

// enumerable, as the attributes of DOM events are
for (const [{ prototype }, names] of [
  [Event, ["type", "target"]],
  [MessageEvent, ["data"]],
  [CloseEvent, ["code", "reason", "wasClean"]],
  [ErrorEvent, ["error", "message"]],
] as const) {
  for (const name of names) Object.defineProperty(prototype, name, { enumerable: true });
}

/** The members of a WebSocket that events use. */
interface Target extends EventEmitter {
  readonly _closeFrameReceived: boolean;
  readonly _closeFrameSent: boolean;
}

/** A listener, or an object with one. */
export type Handler = ((event: object) => void) | { handleEvent(event: object): void };

const HANDLER = Symbol("handler");
const IS_ATTRIBUTE = Symbol("set by an on* attribute");

type Wrapper = ((this: Target, ...args: unknown[]) => void) & {
  [HANDLER]?: Handler;
  [IS_ATTRIBUTE]?: boolean;
};

/** Creates an event from the arguments of the emitter's listeners. */
const EVENTS: Readonly<Record<Kind, (target: Target, first: never, second: never) => Event>> = {
  open: (target) => new Event("open", target),
  message: (target, data: Buffer, isBinary: boolean) => new MessageEvent(target, isBinary ? data : data.toString()),
  close: (target, code: number, reason: Buffer) =>
    new CloseEvent(target, code, reason.toString(), target._closeFrameReceived && target._closeFrameSent),
  error: (target, error: Error) => new ErrorEvent(target, error),
};

function isKind(type: string): type is Kind {
  return Object.hasOwn(EVENTS, type);
}

function wrap(type: Kind, handler: Handler, isAttribute: boolean): Wrapper {
  const wrapper: Wrapper = function (this: Target, ...args: unknown[]): void {
    const [first, second] = args as [never, never];
    const event = EVENTS[type](this, first, second);
    if (typeof handler === "function") handler.call(this, event);
    else handler.handleEvent(event);
  };
  wrapper[HANDLER] = handler;
  wrapper[IS_ATTRIBUTE] = isAttribute;
  return wrapper;
}

function wrappersOf(target: EventEmitter, type: string): Wrapper[] {
  return target.listeners(type) as Wrapper[];
}

/**
 * Adds a listener for `open`, `message`, `close` or `error`. Does nothing for a listener that was
 * already added, and for other types.
 */
export function addEventListener(
  target: EventEmitter,
  type: string,
  handler: Handler,
  options?: { readonly once?: boolean },
): void {
  if (!isKind(type)) return;
  if (wrappersOf(target, type).some((each) => each[HANDLER] === handler && each[IS_ATTRIBUTE] !== true)) return;
  const wrapper = wrap(type, handler, false);
  if (options?.once) target.once(type, wrapper);
  else target.on(type, wrapper);
}

/** Removes a listener that `addEventListener` has added. */
export function removeEventListener(target: EventEmitter, type: string, handler: Handler): void {
  const found = wrappersOf(target, type).find((each) => each[HANDLER] === handler && each[IS_ATTRIBUTE] !== true);
  if (found !== undefined) target.removeListener(type, found);
}

/** Returns the value of an event handler attribute such as `onopen`, or null. */
export function getAttribute(target: EventEmitter, type: Kind): Handler | null {
  return wrappersOf(target, type).find((each) => each[IS_ATTRIBUTE] === true)?.[HANDLER] ?? null;
}

/** Sets an event handler attribute such as `onopen`. A value that is not a function removes it. */
export function setAttribute(target: EventEmitter, type: Kind, handler: unknown): void {
  const found = wrappersOf(target, type).find((each) => each[IS_ATTRIBUTE] === true);
  if (found !== undefined) target.removeListener(type, found);
  if (typeof handler === "function") target.on(type, wrap(type, handler as Handler, true));
}
