import { argumentError } from "tungstate/internal";
/** A serialised JSON value on one line. */
export type JsonText = string;

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** An object of JSON.parse. Keys such as `__proto__` are own properties of it. */
export type JsonObject = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Returns `value` as JSON on one line. Throws for values without JSON: undefined, functions,
 * cycles, BigInt.
 */
export function toJson(value: unknown, what: string): JsonText {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw argumentError(
      TypeError,
      `${what} must be a JSON value: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
  if (text === undefined) throw argumentError(TypeError, `${what} must be a JSON value, got ${typeof value}`);
  return text;
}

/** As `toJson`; undefined stays undefined. */
export function optionalJson(value: unknown, what: string): JsonText | undefined {
  return value === undefined ? undefined : toJson(value, what);
}

export const QUOTE = 34;
export const BACKSLASH = 92;
export const COMMA = 44;
export const OPEN_BRACKET = 91;
export const CLOSE_BRACKET = 93;
export const OPEN_BRACE = 123;
export const CLOSE_BRACE = 125;
export const SPACE = 32; // tab, newline and carriage return are below it

/**
 * Whether `text` nests objects and arrays deeper than `limit`. It is called before JSON.parse
 * creates objects. For text that is not JSON the result is arbitrary, in linear time.
 */
export function isDeeperThan(text: string, limit: number): boolean {
  if (text.length <= limit) return false; // each level takes at least one character
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (end <= at) return false; // the string has no end, and JSON.parse will reject it
      at = end - 1;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > limit) return true;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
  }
  return false;
}

/**
 * Returns the text of the value at `path` (keys of objects from the outside in) in `text`, which
 * JSON.parse has accepted. Of duplicate keys the last one counts, as for JSON.parse. Undefined: no
 * such value.
 */
export function sliceAt(text: string, path: readonly string[]): JsonText | undefined {
  let at = skipSpace(text, 0);
  for (const key of path) {
    at = valueOf(text, at, key);
    if (at < 0) return undefined;
  }
  return text.slice(at, endOfValue(text, at));
}

/** Returns the texts of the elements of the array `text`, which JSON.parse has accepted. */
export function elementsOf(text: string): JsonText[] {
  const elements: JsonText[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1); // behind the bracket
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return elements;
}

/** Returns `text` on one line: outside of strings, a newline is whitespace. */
export function onOneLine(text: JsonText): JsonText {
  return text.replace(/[\n\r]/g, " ");
}

/**
 * Returns where the value of `key` starts in the object that starts at `start`; -1 if there is
 * none.
 */
function valueOf(text: string, start: number, key: string): number {
  if (text.charCodeAt(start) !== OPEN_BRACE) return -1;
  let found = -1;
  let at = skipSpace(text, start + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(text, at);
    const value = skipSpace(text, skipSpace(text, keyEnd) + 1); // behind the colon
    if (isKey(text, at, keyEnd, key)) found = value;
    at = skipSpace(text, endOfValue(text, value));
    if (text.charCodeAt(at) !== COMMA) break;
    at = skipSpace(text, at + 1);
  }
  return found;
}

/** Whether the string literal `text[start..end)` equals `key`. */
function isKey(text: string, start: number, end: number, key: string): boolean {
  if (end - start - 2 === key.length) return text.startsWith(key, start + 1);
  // written with escapes it is longer
  return (
    end - start - 2 > key.length && text.slice(start, end).includes("\\") && JSON.parse(text.slice(start, end)) === key
  );
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  let at = start;
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= SPACE) break;
    }
    return at;
  }
  let depth = 0;
  do {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
    at++;
  } while (depth > 0);
  return at;
}

/** Returns the offset after the string literal that starts at `start`; 0 if it has no end. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (text.charCodeAt(end - 1) === BACKSLASH && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end + 1;
}

/** Whether an odd number of backslashes precedes `at`. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

function skipSpace(text: string, at: number): number {
  while (text.charCodeAt(at) <= SPACE) at++;
  return at;
}
