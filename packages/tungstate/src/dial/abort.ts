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
    const onAbort = (): void => {
      undo();
      reject(abortedError(signal, options));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const settled = (): void => signal.removeEventListener("abort", onAbort);
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
  const onAbort = (): void => controller.abort(parent?.reason);
  if (parent?.aborted === true) onAbort();
  else parent?.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => parent?.removeEventListener("abort", onAbort),
  };
}

/** What was caught, which JavaScript does not promise to be an error. */
export function asError(caught: unknown): Error {
  return caught instanceof Error ? caught : new Error(String(caught), { cause: caught });
}
