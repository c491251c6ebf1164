import { checkCloseArguments, codeFor } from "./close.ts";
import { defineInterface, enforceUnsignedShort, toDictionary, toDomString, toUsvString } from "./web-idl.ts";

/** How a WebSocketStream ended, or is to end. */
export interface WebSocketCloseInfo {
  /** The close code. */
  readonly closeCode?: number;
  /** The close reason. Default: "". */
  readonly reason?: string;
}

/** Reads a dictionary WebSocketCloseInfo. Throws a TypeError for values of another type. */
export function closeInfoOf(given: WebSocketCloseInfo | undefined): { code: number | undefined; reason: string } {
  const { closeCode, reason } = toDictionary(given, "closeInfo");
  const code = closeCode === undefined ? undefined : enforceUnsignedShort(closeCode, "closeCode");
  return { code, reason: reason === undefined ? "" : toUsvString(reason) };
}

/** The close code and reason of an error that came from a peer: they are not checked. */
interface Received {
  readonly code: number;
  readonly reason: string;
}

/** Creates the error of a connection that ended without a closing handshake. */
export let uncleanCloseError: (message: string, received: Received) => WebSocketError;

/**
 * An error with a close code. The promises and streams of a WebSocketStream reject with it; as the
 * reason of `abort()` or `cancel()`, it chooses the close code.
 */
export class WebSocketError extends DOMException {
  #closeCode: number | null;
  #reason: string;

  static {
    uncleanCloseError = (message, { code, reason }) => {
      const error = new WebSocketError(message);
      error.#closeCode = code;
      error.#reason = reason;
      return error;
    };
  }

  /** Throws as `WebSocketStream.close()` does. A reason without a code implies 1000. */
  constructor(message: string = "", init: WebSocketCloseInfo = {}) {
    super(toDomString(message), "WebSocketError");
    const { code, reason } = closeInfoOf(init);
    checkCloseArguments(code, reason);
    this.#closeCode = codeFor(code, reason) ?? null;
    this.#reason = reason;
  }

  /** The close code, or null for none. */
  get closeCode(): number | null {
    return this.#closeCode;
  }

  /** The close reason, "" for none. */
  get reason(): string {
    return this.#reason;
  }
}

defineInterface(WebSocketError, "WebSocketError", 0, { attributes: ["closeCode", "reason"] });
