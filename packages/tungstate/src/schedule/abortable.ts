import { onAbort } from "./abort-signal.ts";
import { abortedError, type ConnectErrorOptions } from "../errors.ts";

/**
 * A promise made of callbacks that `signal` can end. `start` gives back what undoes its work; that runs when the signal
 * comes first, before the promise rejects.
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

/** A controller that is aborted when its parent is, and that the parent forgets on `unlink`. */
export interface LinkedController {
  readonly signal: AbortSignal;
  readonly abort: (reason: unknown) => void;
  /** To be called when the work is done: a signal that lives long must not collect listeners. */
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

/** What was caught, which JavaScript does not promise to be an error. */
export function asError(caught: unknown): Error {
  return caught instanceof Error ? caught : new Error(String(caught), { cause: caught });
}
