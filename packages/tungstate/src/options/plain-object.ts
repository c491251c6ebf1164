/** Returns whether a value is a plain object without fields other than `fields`. */
export function hasOnly<T extends object>(value: unknown, fields: ReadonlySet<unknown>): value is T {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // an object of a class, such as the Response of a fetch, an Error or a Map, grants nothing,
  // whatever it has
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false;
  return Reflect.ownKeys(value).every((field) => fields.has(field));
}
