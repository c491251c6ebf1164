const MAX_REASON_BYTES = 123; // 125 of a control frame less the 2-byte code

/**
 * Checks the arguments of `close`. Throws an InvalidAccessError DOMException for a code that an
 * application must not send, and a SyntaxError DOMException for a reason that is too long.
 */
export function checkCloseArguments(code: number | undefined, reason: string): void {
  if (code !== undefined && code !== 1000 && (code < 3000 || code > 4999)) {
    throw new DOMException(`the close code must be 1000 or 3000 to 4999, got ${code}`, "InvalidAccessError");
  }
  const size = Buffer.byteLength(reason);
  if (size > MAX_REASON_BYTES) {
    throw new DOMException(
      `the close reason must have at most ${MAX_REASON_BYTES} bytes of UTF-8, got ${size}`,
      "SyntaxError",
    );
  }
}

/** A reason needs a code: 1000 if the caller gives none. */
export function codeFor(code: number | undefined, reason: string): number | undefined {
  return code === undefined && reason !== "" ? 1000 : code;
}
