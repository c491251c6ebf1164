import { onAbort } from "../../schedule/abort-signal.ts";
import type { Timers } from "../../schedule/timers.ts";
import { linkedController } from "../../schedule/linked-controller.ts";
import { reconnectingError } from "./errors.ts";
import type { Attempt } from "./types.ts";

/**
 * A value, or a function that is called for it before each attempt, for example for tokens that
 * expire.
 */
export type Provided<T> = T | ((attempt: Attempt) => T | Promise<T>);

/**
 * Calls the functions for an attempt, all at once. Rejects with PROVIDER_TIMEOUT when one takes
 * longer than `timeout` ms, with its error when it fails, and with the signal's reason.
 */
export async function provide<T extends readonly unknown[]>(
  wanted: { readonly [I in keyof T]: Provided<T[I]> },
  attempt: Attempt,
  clock: Timers,
  timeout: number,
): Promise<T> {
  if (!wanted.some(isFunction)) return wanted as unknown as T;
  const { signal, abort, unlink } = linkedController(attempt.signal);
  const cancel = clock.after(timeout, () => abort(reconnectingError("PROVIDER_TIMEOUT", `${timeout} ms`)));
  try {
    const asked = { ...attempt, signal };
    const all = Promise.all(wanted.map((each) => ask(each, asked)));
    return (await Promise.race([all, rejection(signal)])) as unknown as T;
  } finally {
    cancel();
    unlink();
  }
}

async function ask<T>(given: Provided<T>, attempt: Attempt): Promise<T> {
  return isFunction(given) ? await given(attempt) : given;
}

function isFunction<T>(given: Provided<T>): given is (attempt: Attempt) => T | Promise<T> {
  return typeof given === "function";
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else onAbort(signal, abort);
  });
}
