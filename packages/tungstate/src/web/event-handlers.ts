import { isObject } from "./web-idl.ts";

interface Handler {
  value: object;
  readonly listener: (event: Event) => unknown;
}

/**
 * The event handlers of one target: its `on…` attributes (HTML §8.1.8.1). A handler is a listener
 * in the place where it was first set; another value takes the same place. Null removes it.
 */
export class EventHandlers {
  readonly #target: EventTarget;
  readonly #handlers = new Map<string, Handler>();

  constructor(target: EventTarget) {
    this.#target = target;
  }

  get(type: string): object | null {
    return this.#handlers.get(type)?.value ?? null;
  }

  /**
   * Web IDL [LegacyTreatNonObjectAsNull]: a value that is no object is null; an object that cannot
   * be called is kept, and never called.
   */
  set(type: string, value: unknown): void {
    const current = this.#handlers.get(type);
    if (!isObject(value)) {
      if (current === undefined) return;
      this.#target.removeEventListener(type, current.listener);
      this.#handlers.delete(type);
      return;
    }
    if (current !== undefined) {
      current.value = value;
      return;
    }
    const handler: Handler = {
      value,
      listener: (event) => {
        const call: unknown = handler.value;
        if (typeof call !== "function") return;
        // HTML, "the event handler processing algorithm": false cancels the event
        if (Reflect.apply(call, this.#target, [event]) === false) event.preventDefault();
      },
    };
    this.#handlers.set(type, handler);
    this.#target.addEventListener(type, handler.listener);
  }
}
