import { isFieldValue, isToken } from "./header-fields.ts";
import { invalidOption } from "../arguments.ts";

/**
 * Header fields to send: names and values in order (an array of pairs, a Map, a HeaderFields), or
 * an object of them.
 */
export type HeaderInput =
  Iterable<readonly [name: string, value: string]> | Readonly<Record<string, string | readonly string[]>>;

const RESERVED: ReadonlySet<string> = new Set(["connection", "upgrade", "content-length", "transfer-encoding"]);

/** Names that only the handshake itself sets. */
function isReserved(name: string): boolean {
  const key = name.toLowerCase();
  return RESERVED.has(key) || key.startsWith("sec-websocket-");
}

function isIterable(input: HeaderInput): input is Iterable<readonly [string, string]> {
  return typeof (input as Partial<Iterable<unknown>>)[Symbol.iterator] === "function";
}

function pairs(input: HeaderInput): Iterable<readonly [string, string]> {
  if (isIterable(input)) return input;
  return Object.entries(input).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, one]),
  );
}

/** Throws INVALID_ARGUMENT for what can't be a field value, such as one with CR, LF or NUL. */
export function checkFieldValue(what: string, value: string): void {
  if (typeof value !== "string") throw invalidOption(what, "a string", value);
  if (!isFieldValue(value)) {
    throw invalidOption(what, "a header value without control characters or characters above U+00FF", value);
  }
}

/**
 * The caller's header fields, flat. Throws INVALID_ARGUMENT for names that are no tokens or belong
 * to the handshake, and for values that could end the line (CR, LF, NUL and all else that is not
 * allowed in one). `option`: the name of the option in its message. `allowed`: which fields the
 * message says are expected.
 */
export function checkHeaders(
  input: HeaderInput = [],
  option = "headers",
  allowed = "fields that the handshake does not set itself",
): readonly (readonly [name: string, value: string])[] {
  if (typeof input !== "object" || input === null)
    throw invalidOption(option, "an object, or an iterable of pairs of a name and a value", input);
  const fields: (readonly [string, string])[] = [];
  for (const pair of pairs(input)) {
    if (!Array.isArray(pair)) throw invalidOption(`each of ${option}`, "a pair of a name and a value", pair);
    const [name, value] = pair;
    if (typeof name !== "string" || !isToken(name)) throw invalidOption(`each name of ${option}`, "a token", name);
    if (isReserved(name)) throw invalidOption(option, allowed, name);
    checkFieldValue(`${option}: ${name}`, value);
    fields.push([name, value]);
  }
  return fields;
}

/** An HTTP/1.1 head of parts that have been checked. */
export function formatHead(startLine: string, fields: Iterable<readonly [name: string, value: string]>): string {
  let head = `${startLine}\r\n`;
  for (const [name, value] of fields) head += `${name}: ${value}\r\n`;
  return `${head}\r\n`;
}
