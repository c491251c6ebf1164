import { protocolError } from "@tungstate/protocol";
import { timeFault } from "./time.ts";

const MAX_SIZE = 2 ** 31 - 1; // bytes; what one array can hold on every supported Node

type Keys<T, V> = { [K in keyof T]-?: V extends T[K] ? K : never }[keyof T] & string;

/**
 * Returns an option that is a number of bytes, checked. `Infinity` means the largest possible
 * number.
 */
export function size<T extends object>(
  options: T,
  name: Keys<T, number>,
  otherwise: number,
  least: number,
  prefix = "",
): number {
  const value: unknown = options[name];
  if (value === undefined) return otherwise;
  if (value === Infinity) return MAX_SIZE;
  return whole(value, prefix + name, "bytes", least, MAX_SIZE);
}

/** Returns an option that is a time in ms, checked: 1 to MAX_TIME. */
export function time<T extends object>(options: T, name: Keys<T, number>, otherwise: number, prefix = ""): number {
  const value: unknown = options[name];
  if (value === undefined) return otherwise;
  const fault = timeFault(prefix + name, value);
  if (fault !== undefined) throw protocolError("INVALID_ARGUMENT", fault);
  return Number(value);
}

/** Returns an option that is a count, checked: at least `least`. `Infinity` means no limit. */
export function count<T extends object>(options: T, name: Keys<T, number>, otherwise: number, least: number): number {
  const value: unknown = options[name];
  if (value === undefined) return otherwise;
  return value === Infinity ? Infinity : whole(value, name, "a count", least, Number.MAX_SAFE_INTEGER);
}

export function flag<T extends object>(options: T, name: Keys<T, boolean>, otherwise: boolean): boolean {
  const value: unknown = options[name];
  if (value === undefined || typeof value === "boolean") return value ?? otherwise;
  throw protocolError("INVALID_ARGUMENT", `${name} is true or false, got ${describe(value)}`);
}

/** Throws INVALID_ARGUMENT unless the option is undefined or a function. */
export function checkFunction<T extends object>(options: T, name: keyof T & string): void {
  const value = options[name];
  if (value === undefined || typeof value === "function") return;
  throw protocolError("INVALID_ARGUMENT", `${name} is a function, got ${describe(value)}`);
}

function whole(value: unknown, name: string, unit: string, least: number, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw protocolError("INVALID_ARGUMENT", `${name} is ${unit} from ${least} to ${most}, got ${describe(value)}`);
}

/**
 * Returns a short description of a value for an error message, without content that may be large or
 * secret.
 */
export function describe(value: unknown): string {
  if (typeof value === "string")
    return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`;
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return String(value);
}

/**
 * Throws INVALID_ARGUMENT unless the signal is undefined or an AbortSignal of any implementation.
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const { aborted, addEventListener }: Partial<AbortSignal> = Object(signal);
  if (typeof aborted === "boolean" && typeof addEventListener === "function") return;
  throw protocolError("INVALID_ARGUMENT", `signal is an AbortSignal, got ${describe(signal)}`);
}

/** Throws INVALID_ARGUMENT unless the value is undefined or an integer in this range. */
export function checkInteger(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < min || value > max) invalid(name, `an integer from ${min} to ${max}`, value);
}

export function invalid(name: string, expected: string, got: unknown): never {
  throw protocolError("INVALID_ARGUMENT", `${name} has to be ${expected}, not ${JSON.stringify(got) ?? String(got)}`);
}
