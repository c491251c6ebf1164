/**
 * Throws a TypeError for an option that there is not. Nobody would see that one is misspelled: `audiance` would let in who has a token for
 * something else. The compiler sees to it that `names` has all of them.
 */
export function checkNames<T extends object>(
  what: string,
  given: T,
  names: Readonly<Record<keyof T & string, true>>,
): void {
  if (typeof given !== "object" || given === null) throw new TypeError(`${what} are an object, got ${String(given)}`);
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(names, name)) continue;
    throw new TypeError(`${what}: there is no ${name}; there are ${Object.keys(names).toSorted().join(", ")}`);
  }
}
