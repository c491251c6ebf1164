/** Whether a value is a promise of any kind: those of another realm or of a library are no instances of Promise, and some are functions. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  return "then" in value && typeof value.then === "function";
}

/** Calls `next` with a value: at once, or if it is a promise of any kind, with what it resolves to. */
export function whenKnown<R>(value: unknown, next: (known: unknown) => R | Promise<R>): R | Promise<R> {
  return isThenable(value) ? Promise.resolve(value).then(next) : next(value);
}
