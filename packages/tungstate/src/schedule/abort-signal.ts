import { reportHandlerError } from "./report.ts";

/**
 * The callbacks of each signal, behind one listener on the signal: Node.js prints
 * MaxListenersExceededWarning from the eleventh listener of an AbortSignal on.
 */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();
const listeners = new WeakMap<AbortSignal, () => void>();

/**
 * Calls `callback` once when `signal` aborts, and returns a function that prevents it. Call that
 * function when the work is done: a signal may live as long as the process. It does not call back
 * for a signal that is aborted already: check `signal.aborted` first.
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return nothing;
  let callbacks = waiting.get(signal);
  if (callbacks === undefined) waiting.set(signal, (callbacks = listenTo(signal)));
  const entry = (): void => callback(); // the same callback may be registered twice
  callbacks.add(entry);
  return () => {
    if (callbacks.delete(entry) && callbacks.size === 0) stopListening(signal);
  };
}

function listenTo(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  const listener = (): void => {
    stopListening(signal);
    for (const callback of callbacks) {
      try {
        callback();
      } catch (error) {
        // for example a stream whose `destroy` throws; the other callbacks still run
        reportHandlerError(error);
      }
    }
    callbacks.clear();
  };
  listeners.set(signal, listener);
  signal.addEventListener("abort", listener);
  return callbacks;
}

function stopListening(signal: AbortSignal): void {
  const listener = listeners.get(signal);
  waiting.delete(signal);
  listeners.delete(signal);
  if (listener !== undefined) signal.removeEventListener("abort", listener);
}

function nothing(): void {
  // there is no signal
}
