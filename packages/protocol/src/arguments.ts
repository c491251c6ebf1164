const SHOWN = 64; // characters of a peer's text in an error message

/**
 * Quotes text of a peer for an error message: at most 64 characters, in printable ASCII, so that it
 * is safe to log.
 */
export function quote(text: string): string {
  let shown = "";
  for (let at = 0; at < text.length && at < SHOWN; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) shown += `\\u${code.toString(16).padStart(4, "0")}`;
    else shown += code === 0x22 || code === 0x5c ? `\\${text.charAt(at)}` : text.charAt(at);
  }
  return text.length > SHOWN ? `"${shown}"... (${text.length} characters)` : `"${shown}"`;
}

/**
 * Describes a value for an error message: text is quoted, objects and functions are named by kind.
 */
export function describe(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

/** An error of a wrong argument or option, which the caller has to correct. */
export interface ArgumentError {
  readonly code: "INVALID_ARGUMENT";
  readonly fault: "local";
}

/**
 * Returns the error of a wrong argument or option: a RangeError for a number, a TypeError for
 * anything else. `expected` completes the sentence "NAME must be". `shown` describes `got`;
 * default: as `describe`.
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
  Class: new (message: string, options?: ErrorOptions) => E,
  message: string,
  options?: ErrorOptions,
): E & ArgumentError {
  return Object.assign(new Class(message, options), { code: "INVALID_ARGUMENT", fault: "local" } as const);
}

/** Whether an error was made by `argumentError` or `invalidOption`. */
export function isArgumentError(error: unknown): error is (TypeError | RangeError) & ArgumentError {
  return (
    (error instanceof TypeError || error instanceof RangeError) && "code" in error && error.code === "INVALID_ARGUMENT"
  );
}

/** Returns a limit, or its default if it is undefined. Throws INVALID_ARGUMENT. */
export function checkLimit(what: string, value: number | undefined, least: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (value === Infinity || (Number.isInteger(value) && value >= least)) return value;
  throw invalidOption(what, `an integer of at least ${least}, or Infinity for no limit`, value);
}
