import { argumentError } from "@tungstate/protocol/internal";
import { isThenable } from "./thenable.ts";

/** Its return value is ignored, except for a promise, whose rejection counts as a throw. */
type Listener<Args extends unknown[]> = (...args: Args) => unknown;

/** Prototype of the table of listeners, so that an event may be named "constructor". */
const NOTHING = Object.freeze(Object.create(null)) as object;

/** A constructor: its objects use less memory than those of Object.create, for each connection. */
const Table = function () {} as unknown as new () => object;
Table.prototype = NOTHING;

/**
 * Typed events. Unlike with Node's EventEmitter, an `error` event without a listener does not throw
 * (`close` reports the error too), and a listener that throws does not unwind the emitter:
 * `onThrow` is called, then the next listener.
 */
export abstract class Emitter<Events extends { [E in keyof Events]: unknown[] }> {
  /** An event with one listener has the listener itself instead of an array. */
  protected readonly listeners = new Table() as {
    [E in keyof Events]?: Listener<Events[E]> | readonly Listener<Events[E]>[];
  };

  on<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this {
    checkListener(event, listener);
    const present = this.listeners[event];
    this.listeners[event] = present === undefined ? listener : [...several(present), listener];
    return this;
  }

  once<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this {
    checkListener(event, listener);
    const wrapped: Listener<Events[E]> = (...args) => {
      this.off(event, wrapped);
      return listener(...args);
    };
    originals.set(wrapped, listener);
    return this.on(event, wrapped);
  }

  off<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this {
    const present = several(this.listeners[event] ?? []);
    const at = present.findLastIndex((each) => each === listener || originals.get(each) === listener);
    if (at < 0) return this;
    // not deleted: access to an object becomes slow when a property is deleted
    this.listeners[event] = present.length === 1 ? undefined : present.toSpliced(at, 1);
    return this;
  }

  /** For `events.once` and other code that expects a Node emitter. */
  removeListener<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this {
    return this.off(event, listener);
  }

  listenerCount(event: keyof Events): number {
    const present = this.listeners[event];
    return present === undefined ? 0 : several(present).length;
  }

  /**
   * Calls the listeners in order; returns false if there is none. Listeners added or removed
   * meanwhile count from the next event on.
   */
  protected emit<E extends keyof Events>(event: E, ...args: Events[E]): boolean {
    const present = this.listeners[event];
    if (present === undefined) return false;
    if (typeof present === "function") {
      if (!this.isSilenced(event)) this.callOne(present, event, args);
      return true;
    }
    for (const listener of several(present)) {
      if (this.isSilenced(event)) break;
      this.callOne(listener, event, args);
    }
    return true;
  }

  private callOne<E extends keyof Events>(listener: Listener<Events[E]>, event: E, args: Events[E]): void {
    try {
      const result: unknown = listener(...args);
      // nothing else awaits the promise of an async listener
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.onThrow(error, event, args));
    } catch (error) {
      this.onThrow(error, event, args);
    }
  }

  /**
   * Whether the listeners of an event must not be called any more. Checked before each one: the one
   * before may have ended the connection.
   */
  protected isSilenced(_event: keyof Events): boolean {
    return false;
  }

  /**
   * Called when a listener of `event` threw, or when its promise rejected, which may be much later.
   */
  protected abstract onThrow<E extends keyof Events>(error: unknown, event: E, args: Events[E]): void;
}

/** Returns all listeners of an event. */
function several<L>(present: L | readonly L[]): readonly L[] {
  return Array.isArray(present) ? (present as readonly L[]) : [present as L];
}

function checkListener(event: PropertyKey, listener: unknown): void {
  if (typeof listener === "function") return;
  throw argumentError(TypeError, `a listener for "${String(event)}" must be a function, got ${String(listener)}`);
}

/** The listener that `once` wrapped, for `off`. */
const originals = new WeakMap<object, object>();
