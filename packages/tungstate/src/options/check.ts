import { invalidOption } from "@tungstate/protocol/internal";
import { checkTime } from "./time.ts";
import { describe } from "./describe.ts";

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
  return whole(value, prefix + name, " (bytes)", least, MAX_SIZE);
}

/** Returns an option that is a time in ms, checked: 1 to MAX_TIME. */
export function time<T extends object>(options: T, name: Keys<T, number>, otherwise: number, prefix = ""): number {
  const value: unknown = options[name];
  if (value === undefined) return otherwise;
  return checkTime(prefix + name, value);
}

/** Returns an option that is a count, checked: at least `least`. `Infinity` means no limit. */
export function count<T extends object>(options: T, name: Keys<T, number>, otherwise: number, least: number): number {
  const value: unknown = options[name];
  if (value === undefined) return otherwise;
  return value === Infinity ? Infinity : whole(value, name, "", least, Number.MAX_SAFE_INTEGER);
}

export function flag<T extends object>(options: T, name: Keys<T, boolean>, otherwise: boolean): boolean {
  const value: unknown = options[name];
  if (value === undefined || typeof value === "boolean") return value ?? otherwise;
  return invalid(name, "true or false", value);
}

/** Throws INVALID_ARGUMENT unless the option is undefined or a function. */
export function checkFunction<T extends object>(options: T, name: keyof T & string): void {
  const value = options[name];
  if (value === undefined || typeof value === "function") return;
  invalid(name, "a function", value);
}

function whole(value: unknown, name: string, unit: string, least: number, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  return invalid(name, `an integer from ${least} to ${most}${unit}`, value);
}

/**
 * Throws INVALID_ARGUMENT unless the signal is undefined or an AbortSignal of any implementation.
 */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const { aborted, addEventListener }: Partial<AbortSignal> = Object(signal);
  if (typeof aborted === "boolean" && typeof addEventListener === "function") return;
  invalid("signal", "an AbortSignal", signal);
}

/** Throws INVALID_ARGUMENT unless the value is undefined or an integer in this range. */
export function checkInteger(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < min || value > max) invalid(name, `an integer from ${min} to ${max}`, value);
}

/** Throws the error of a wrong option. */
export function invalid(name: string, expected: string, got: unknown): never {
  throw invalidOption(name, expected, got, describe(got));
}
