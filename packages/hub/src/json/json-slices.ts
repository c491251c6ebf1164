import { BACKSLASH, CLOSE_BRACE, CLOSE_BRACKET, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE, SPACE } from "./json.ts";
import type { Loop } from "../schedule/time-slices.ts";

/** Number of characters that are parsed at a time. */
const CHUNK = 32 * 1024;
const STEP = 4 * 1024; // characters that count as a step of a loop

const COLON = 58;

/** As JSON.parse, for long texts; yields to other work meanwhile. Rejects with a SyntaxError. */
export function parseInSlices(text: string, loop: Loop): Promise<unknown> {
  return parseRange(text, 0, text.length, loop);
}

async function parseRange(text: string, from: number, to: number, loop: Loop): Promise<unknown> {
  const start = skipSpace(text, from, to);
  const first = text.charCodeAt(start);
  if (to - start <= CHUNK || (first !== OPEN_BRACKET && first !== OPEN_BRACE))
    return parse(text.slice(start, to), loop);
  return first === OPEN_BRACKET ? parseArray(text, start, to, loop) : parseObject(text, start, to, loop);
}

async function parseArray(text: string, start: number, to: number, loop: Loop): Promise<unknown[]> {
  const array: unknown[] = [];
  for (const [from, end] of partsOf(text, start, to, CLOSE_BRACKET)) {
    if (end - from > 2 * CHUNK) array.push(await parseRange(text, from, end, loop));
    else for (const element of (await parse(`[${text.slice(from, end)}]`, loop)) as unknown[]) array.push(element);
  }
  return array;
}

async function parseObject(text: string, start: number, to: number, loop: Loop): Promise<object> {
  const object = {};
  for (const [from, end] of partsOf(text, start, to, CLOSE_BRACE)) {
    if (end - from <= 2 * CHUNK) {
      copyMembers((await parse(`{${text.slice(from, end)}}`, loop)) as object, object);
      continue;
    }
    const keyEnd = endOfString(text, skipSpace(text, from, end), end);
    const colon = skipSpace(text, keyEnd, end);
    if (text.charCodeAt(colon) !== COLON) throw new SyntaxError("a key without a value in JSON");
    const key: unknown = JSON.parse(text.slice(from, keyEnd));
    if (typeof key !== "string") throw new SyntaxError("a key of a JSON object must be a string");
    define(object, key, await parseRange(text, colon + 1, end, loop));
  }
  return object;
}

async function parse(text: string, loop: Loop): Promise<unknown> {
  const value: unknown = JSON.parse(text);
  if (loop.isOver(1 + text.length / STEP)) await loop.next();
  return value;
}

/**
 * Yields the elements or members of the container at `start` in groups of about a chunk; a larger
 * one comes alone. Only the bounds are searched: whether the text between them is JSON shows when
 * it is parsed.
 */
function* partsOf(
  text: string,
  start: number,
  to: number,
  close: number,
): Generator<readonly [from: number, end: number]> {
  let at = skipSpace(text, start + 1, to);
  let from = at;
  let end = at;
  for (let isLast = text.charCodeAt(at) === close; !isLast; at = end + 1) {
    end = endOfPart(text, at, to);
    if (skipSpace(text, at, end) === end) throw new SyntaxError("an element is missing in JSON");
    isLast = text.charCodeAt(end) !== COMMA;
    if (isLast && (end >= to || text.charCodeAt(end) !== close)) throw new SyntaxError("a bracket is missing in JSON");
    if (end - from <= CHUNK && !isLast) continue;
    if (end - from > 2 * CHUNK && at > from) {
      yield [from, at - 1]; // the members before a large one
      from = at;
    }
    yield [from, end];
    from = end + 1;
  }
  if (skipSpace(text, end + 1, to) !== to) throw new SyntaxError("unexpected text behind JSON");
}

/**
 * Returns where the element or member at `at` ends: at the comma or bracket after it; `to` if there
 * is none.
 */
function endOfPart(text: string, at: number, to: number): number {
  let depth = 0;
  for (let end = at; end < to; end++) {
    const code = text.charCodeAt(end);
    if (code === QUOTE) end = endOfString(text, end, to) - 1;
    else if (code === OPEN_BRACKET || code === OPEN_BRACE) depth++;
    else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
      if (depth-- === 0) return end;
    } else if (code === COMMA && depth === 0) return end;
  }
  return to;
}

/** Returns the offset after the string literal at `start`. Throws if it has no end. */
function endOfString(text: string, start: number, to: number): number {
  for (let at = start + 1; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) at++;
  }
  throw new SyntaxError("a string without an end in JSON");
}

function skipSpace(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && text.charCodeAt(at) <= SPACE) at++;
  return at;
}

function copyMembers(from: object, to: object): void {
  for (const [key, value] of Object.entries(from)) define(to, key, value);
}

/** Defines a property, even one named `__proto__`. */
function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}
