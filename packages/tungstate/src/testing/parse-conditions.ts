import { argumentError } from "@tungstate/protocol/internal";
import type { ConditionsOptions, When } from "./conditions.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Setter = (options: Mutable<ConditionsOptions>, value: string, key: string) => void;

const KEYS = new Map<string, Setter>([
  ["latency", (options, value, key) => (options.latency = needed(time(value), key, TIME, value))],
  ["jitter", (options, value, key) => (options.jitter = needed(time(value), key, TIME, value))],
  ["bandwidth", (options, value, key) => (options.bandwidth = needed(rate(value), key, RATE, value))],
  ["chunk", (options, value, key) => (options.chunking = needed(chunk(value), key, CHUNK, value))],
  ["loss-stall", (options, value, key) => (options.stall = needed(stall(value), key, STALL, value))],
  ["half-open", (options, value, key) => (options.halfOpen = needed(when(value), key, WHEN, value))],
  ["reset", (options, value, key) => (options.reset = needed(when(value), key, WHEN, value))],
  ["seed", (options, value, key) => (options.seed = needed(integer(value), key, "an integer", value))],
  ["direction", (options, value, key) => (options.direction = needed(direction(value), key, DIRECTION, value))],
]);

const TIME = "a time such as 200ms or 1.5s";
const RATE = "bytes per second such as 64KiB or 1MB";
const CHUNK = "bytes such as 100, or a range such as 1-1400";
const STALL = "a chance such as 1%, or with its length such as 1%/300ms";
const WHEN = "a time such as 30s, or an amount of bytes such as 1MiB";
const DIRECTION = "both, in or out";

/**
 * Parses the command-line form of conditions: `latency=200ms,jitter=50ms,loss-stall=1%`. Further
 * keys: `bandwidth=64KiB` (per second), `chunk=1-1400`, `half-open=30s` and `reset=1MiB` (after
 * that time, or that many bytes), `seed=7`, `direction=in`. Throws INVALID_ARGUMENT.
 */
export function parseConditions(text: string): ConditionsOptions {
  const options: Mutable<ConditionsOptions> = {};
  const seen = new Set<string>();
  for (const part of text.split(",")) {
    const [key = "", ...rest] = part.split("=");
    const name = key.trim();
    const set = KEYS.get(name);
    if (set === undefined) {
      throw argumentError(
        TypeError,
        `each condition must be one of ${[...KEYS.keys()].join(", ")}, with a value, got ${JSON.stringify(part)}`,
      );
    }
    if (seen.has(name)) throw argumentError(TypeError, `${name} must be given once, got it twice`);
    seen.add(name);
    set(options, rest.join("=").trim(), name);
  }
  return options;
}

function needed<T>(value: T | undefined, key: string, expected: string, got: string): T {
  if (value !== undefined) return value;
  throw argumentError(TypeError, `${key} must be ${expected}, got ${JSON.stringify(got)}`);
}

const TIME_UNITS = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
]);

const SIZE_UNITS = new Map([
  ["", 1],
  ["B", 1],
  ["kB", 1e3],
  ["KB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
]);

function quantity(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = units.get(unit);
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

function time(text: string): number | undefined {
  return quantity(text, TIME_UNITS);
}

function bytes(text: string): number | undefined {
  const size = quantity(text, SIZE_UNITS);
  return size !== undefined && Number.isInteger(size) && size >= 1 ? size : undefined;
}

function rate(text: string): number | undefined {
  return bytes(text.replace(/\/s$/, ""));
}

function chunk(text: string): ConditionsOptions["chunking"] {
  const [min, max, ...more] = text.split("-").map(bytes);
  if (min === undefined || more.length > 0) return undefined;
  if (!text.includes("-")) return min;
  return max === undefined || max < min ? undefined : { min, max };
}

function stall(text: string): ConditionsOptions["stall"] {
  const [chance = "", length, ...more] = text.split("/");
  const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(chance) ?? [];
  if (percent === undefined || Number(percent) > 100 || more.length > 0) return undefined;
  if (length === undefined) return { chance: Number(percent) / 100 };
  const duration = time(length);
  return duration === undefined ? undefined : { chance: Number(percent) / 100, duration };
}

function when(text: string): When | undefined {
  const after = time(text);
  if (after !== undefined) return { after };
  const afterBytes = bytes(text);
  return afterBytes === undefined ? undefined : { afterBytes };
}

function integer(text: string): number | undefined {
  const value = Number(text);
  return /^-?\d+$/.test(text) && Number.isSafeInteger(value) ? value : undefined;
}

function direction(text: string): ConditionsOptions["direction"] {
  return text === "both" || text === "in" || text === "out" ? text : undefined;
}
