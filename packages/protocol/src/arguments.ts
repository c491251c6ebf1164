import { protocolError } from "./errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "./errors.ts";

const SHOWN = 64; // characters of a peer's text in an error message

/** Quotes text of a peer for an error message: at most 64 characters, in printable ASCII, so that it is safe to log. */
export function quote(text: string): string {
  let shown = "";
  for (let at = 0; at < text.length && at < SHOWN; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) shown += `\\u${code.toString(16).padStart(4, "0")}`;
    else shown += code === 0x22 || code === 0x5c ? `\\${text.charAt(at)}` : text.charAt(at);
  }
  return text.length > SHOWN ? `"${shown}"... (${text.length} characters)` : `"${shown}"`;
}

/** Describes a value for an error message: text is quoted, objects and functions are named by kind. */
export function describe(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

/** Returns the INVALID_ARGUMENT error of a wrong argument. `expected` completes the sentence "WHAT must be". */
export function invalidArgument(what: string, expected: string, got: unknown): WebSocketError<ProtocolErrorCode> {
  return protocolError("INVALID_ARGUMENT", `${what} must be ${expected}, got ${describe(got)}`);
}

/** An error of a wrong argument or option, which the caller has to correct. */
export interface ArgumentError {
  readonly code: "INVALID_ARGUMENT";
  readonly fault: "local";
}

/**
 * Returns the error of a wrong option: a RangeError for a number, a TypeError for anything else. `expected` completes the sentence "NAME must be". `shown`
 * describes `got`; default: as `describe`.
 */
export function invalidOption(
  name: string,
  expected: string,
  got: unknown,
  shown: string = describe(got),
): (TypeError | RangeError) & ArgumentError {
  return argumentError(typeof got === "number" ? RangeError : TypeError, `${name} must be ${expected}, got ${shown}`);
}

/** Returns a TypeError or RangeError with the code INVALID_ARGUMENT. */
export function argumentError<E extends TypeError | RangeError>(
  Class: new (message: string) => E,
  message: string,
): E & ArgumentError {
  return Object.assign(new Class(message), { code: "INVALID_ARGUMENT", fault: "local" } as const);
}

/** Returns a limit, or its default if it is undefined. Throws INVALID_ARGUMENT. */
export function checkLimit(what: string, value: number | undefined, least: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (value === Infinity || (Number.isInteger(value) && value >= least)) return value;
  throw invalidArgument(what, `an integer of at least ${least}, or Infinity for no limit`, value);
}
