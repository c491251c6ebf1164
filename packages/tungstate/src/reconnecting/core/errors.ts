import type { ErrorEntry, ErrorMaker } from "@tungstate/protocol";
import { errorMaker } from "@tungstate/protocol/internal";

/** Errors that only `reconnecting` raises. */
export const RECONNECTING_ERRORS = {
  FATAL_CLOSE: { fault: "peer", text: "the server closed the connection with a code that rules out reconnecting" },
  INVALID_OPTIONS: { fault: "local", text: "connect() rejected the options of this attempt" },
  PROVIDER_FAILED: { fault: "local", text: "a function of the options url, headers, protocols or connect failed" },
  PROVIDER_TIMEOUT: { fault: "local", text: "a function that was given for url or headers did not answer in time" },
} as const satisfies Record<string, ErrorEntry>;

/** A name of RECONNECTING_ERRORS. */
export type ReconnectingErrorCode = keyof typeof RECONNECTING_ERRORS;

export const reconnectingError: ErrorMaker<ReconnectingErrorCode> = /* @__PURE__ */ errorMaker(RECONNECTING_ERRORS);
