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

/** Returns what was caught as an Error; JavaScript may throw any value. */
export function asError(caught: unknown): Error {
  return caught instanceof Error ? caught : new Error(String(caught), { cause: caught });
}
