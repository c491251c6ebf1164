// Conversions of arguments and shapes of classes, as Web IDL defines them.

/** Returns a string without lone surrogates. Web IDL §3.2.12: USVString. */
export function toUsvString(value: unknown): string {
  const text: string & { toWellFormed?(): string } = toDomString(value);
  return text.toWellFormed?.() ?? text; // ES2024, in all supported runtimes
}

/**
 * Returns the string of any value but a symbol, which throws a TypeError. Web IDL §3.2.10:
 * DOMString.
 */
export function toDomString(value: unknown): string {
  // not String(value), which accepts a symbol
  return typeof value === "string" ? value : `${value as string}`;
}

/** ECMAScript ToNumber: throws a TypeError for a symbol and for a bigint. */
function toNumber(value: unknown): number {
  return +(value as number);
}

const MAX_UNSIGNED_SHORT = 65_535;

/**
 * Web IDL §3.3.3: [Clamp] unsigned short. Rounds to the nearest integer, ties to even; NaN is 0.
 */
export function clampToUnsignedShort(value: unknown): number {
  const clamped = Math.min(Math.max(toNumber(value), 0), MAX_UNSIGNED_SHORT);
  if (Number.isNaN(clamped)) return 0;
  const floor = Math.floor(clamped);
  const rest = clamped - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** Web IDL §3.3.6: [EnforceRange] unsigned short. Throws a TypeError outside 0 to 65535. */
export function enforceUnsignedShort(value: unknown, name: string): number {
  const integer = Math.trunc(toNumber(value));
  if (integer >= 0 && integer <= MAX_UNSIGNED_SHORT) return integer + 0;
  throw new TypeError(`${name} must be an integer from 0 to ${MAX_UNSIGNED_SHORT}, got ${String(value)}`);
}

/** Web IDL §3.2.4.4: unsigned short, modulo 65536. */
export function toUnsignedShort(value: unknown): number {
  return new Uint16Array([toNumber(value)])[0] ?? 0;
}

/**
 * Returns the members of a dictionary. Web IDL §3.2.17: undefined and null are an empty one; other
 * primitives throw a TypeError.
 */
export function toDictionary<T extends object>(value: T | undefined | null, name: string): Partial<T> {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" || typeof value === "function") return value;
  throw new TypeError(`${name} must be an object, got ${String(value)}`);
}

/** Web IDL §3.2.21: a sequence of strings. Throws a TypeError for a value that is not iterable. */
export function toSequence(value: unknown, name: string, convert: (each: unknown) => string): string[] {
  if (!isObject(value) || !(Symbol.iterator in value)) {
    throw new TypeError(`${name} must be an iterable of strings, got ${String(value)}`);
  }
  return Array.from(value as Iterable<unknown>, convert);
}

export function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** Throws a TypeError for a call with too few arguments. */
export function requireArguments(given: number, least: number, what: string): void {
  if (given < least) throw new TypeError(`${what} requires ${least} argument${least === 1 ? "" : "s"}, got ${given}`);
}

type Constructor = abstract new (...args: never[]) => object;

/** The members of a Web IDL interface. */
interface Members {
  readonly attributes: readonly string[];
  /** Numbers of required arguments by operation. */
  readonly operations?: Readonly<Record<string, number>>;
  readonly constants?: Readonly<Record<string, number>>;
}

/**
 * Gives a class the shape of a Web IDL interface: attributes and operations are enumerable
 * properties of the prototype, constants are read-only properties of class and prototype, and
 * Object.prototype.toString() shows the name. Web IDL §3.7. `required`: number of required
 * arguments of the constructor.
 */
export function defineInterface(target: Constructor, name: string, required: number, members: Members): void {
  const { attributes, operations = {}, constants = {} } = members;
  const prototype = target.prototype as object;
  for (const each of attributes) Object.defineProperty(prototype, each, { enumerable: true });
  for (const [each, length] of Object.entries(operations)) {
    Object.defineProperty(prototype, each, { enumerable: true });
    Object.defineProperty(Reflect.get(prototype, each), "length", { value: length });
  }
  for (const [each, value] of Object.entries(constants)) {
    const property = { value, enumerable: true, writable: false, configurable: false };
    Object.defineProperty(target, each, property);
    Object.defineProperty(prototype, each, property);
  }
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
  Object.defineProperty(target, "length", { value: required });
}
