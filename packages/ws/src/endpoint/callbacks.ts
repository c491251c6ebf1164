import process from "node:process";
import type { Callback } from "../constants.ts";

/** Calls all callbacks in order. One that throws is an uncaught exception; those behind it are called in the next tick. */
export function callAll(callbacks: readonly Callback[], error?: Error | null, from = 0): void {
  let at = from;
  try {
    while (at < callbacks.length) callbacks[at++]?.(error);
  } finally {
    if (at < callbacks.length) process.nextTick(callAll, callbacks, error, at);
  }
}
