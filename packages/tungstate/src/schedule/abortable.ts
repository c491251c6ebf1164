import { onAbort } from "./abort-signal.ts";
import { abortedError, type ConnectErrorOptions } from "../errors.ts";

/**
 * Returns a promise over callbacks that `signal` can end. `start` returns a function that undoes
 * its work; it is called before the promise rejects when the signal comes first.
 */
export function abortable<T>(
  signal: AbortSignal,
  start: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
  options?: ConnectErrorOptions,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) {
      reject(abortedError(signal, options));
      return;
    }
    const settled = onAbort(signal, () => {
      undo();
      reject(abortedError(signal, options));
    });
    const undo = start(
      (value) => {
        settled();
        resolve(value);
      },
      (error) => {
        settled();
        reject(error);
      },
    );
  });
}

/** An AbortController that is aborted when its parent signal is. */
export interface LinkedController {
  readonly signal: AbortSignal;
  readonly abort: (reason: unknown) => void;
  /**
   * Removes the listener on the parent. Call it when the work is done: a signal that lives long
   * must not collect listeners.
   */
  readonly unlink: () => void;
}

export function linkedController(parent: AbortSignal | undefined): LinkedController {
  const controller = new AbortController();
  if (parent?.aborted === true) controller.abort(parent.reason);
  const unlink = onAbort(parent, () => controller.abort(parent?.reason));
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink,
  };
}

/** Returns what was caught as an Error; JavaScript may throw any value. */
export function asError(caught: unknown): Error {
  return caught instanceof Error ? caught : new Error(String(caught), { cause: caught });
}
