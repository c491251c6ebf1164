/**
 * Whether a value is a thenable. Promises of another realm or of a library are not instances of
 * Promise, and some are functions.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  return "then" in value && typeof value.then === "function";
}

/** Calls `next` with a value: at once, or with its result if it is a thenable. */
export function whenKnown<R>(value: unknown, next: (known: unknown) => R | Promise<R>): R | Promise<R> {
  return isThenable(value) ? Promise.resolve(value).then(next) : next(value);
}
