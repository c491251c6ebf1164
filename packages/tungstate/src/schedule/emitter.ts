import { isThenable } from "./thenable.ts";

/** What it returns is not looked at, but for the promise of an async function, whose rejection counts as a throw. */
type Listener<Args extends unknown[]> = (...args: Args) => unknown;

/** What the listeners inherit from, instead of what all objects have: an event of the name "constructor" is like any other. */
const NOTHING = Object.freeze(Object.create(null)) as object;

/**
 * Typed events. Unlike Node's, an `error` that nobody listens to is no exception (it is told by `close` as well), and a listener
 * that throws does not unwind whoever emitted: `onThrow` hears of it, and the next listener is called.
 */
export abstract class Emitter<Events extends { [E in keyof Events]: unknown[] }> {
  /** A single listener of an event stands by itself. */
  protected readonly listeners = Object.create(NOTHING) as {
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
    // not deleted: an object that loses properties is slow from then on, at each message
    this.listeners[event] = present.length === 1 ? undefined : present.toSpliced(at, 1);
    return this;
  }

  /** For `events.once` and others that speak to Node's emitters. */
  removeListener<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this {
    return this.off(event, listener);
  }

  listenerCount(event: keyof Events): number {
    const present = this.listeners[event];
    return present === undefined ? 0 : several(present).length;
  }

  /** Calls the listeners in order; false if there is none. Listeners put on or taken off meanwhile count from the next time. */
  protected emit<E extends keyof Events>(event: E, ...args: Events[E]): boolean {
    const present = this.listeners[event];
    if (present === undefined) return false;
    for (const listener of several(present)) {
      if (this.isSilenced(event)) break;
      try {
        const result: unknown = listener(...args);
        // an async listener is a promise that nobody waits for
        if (isThenable(result)) result.then(undefined, (error: unknown) => this.onThrow(error, event, args));
      } catch (error) {
        this.onThrow(error, event, args);
      }
    }
    return true;
  }

  /** Whether the listeners of an event are not to be called any more. Asked before each of them: the one before may have brought it about. */
  protected isSilenced(_event: keyof Events): boolean {
    return false;
  }

  /** A listener of `event`, called with `args`, threw; or the promise of an async one was rejected, which may be much later. */
  protected abstract onThrow<E extends keyof Events>(error: unknown, event: E, args: Events[E]): void;
}

/** All listeners of an event. */
function several<L>(present: L | readonly L[]): readonly L[] {
  return Array.isArray(present) ? (present as readonly L[]) : [present as L];
}

function checkListener(event: PropertyKey, listener: unknown): void {
  if (typeof listener === "function") return;
  throw new TypeError(`a listener for "${String(event)}" has to be a function, got ${typeof listener}`);
}

/** What `once` wraps, so that `off` finds it. */
const originals = new WeakMap<object, object>();
