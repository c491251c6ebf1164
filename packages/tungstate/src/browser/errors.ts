import type { ErrorEntry, ErrorMaker } from "@tungstate/protocol";
import { errorMaker } from "@tungstate/protocol/internal";
import { CLOSE_TIMEOUT, CONNECTION_LOST, RECEIVE_QUEUE_FULL } from "../platform/errors.ts";

/** Errors that only connections over a platform's WebSocket raise. */
export const BROWSER_ERRORS = {
  INVALID_URL: { fault: "local", text: "the platform's WebSocket refuses the URL or the subprotocols" },
  ATTEMPT_FAILED: { fault: "transport", text: "the connection was not established; a browser does not say why" },
  ATTEMPT_TIMEOUT: { fault: "transport", text: "the connection was not established in time" },
  CONNECTION_LOST,
  CLOSE_TIMEOUT,
  HEARTBEAT_TIMEOUT: { fault: "transport", text: "the server answered no heartbeat within heartbeat.timeout" },
  RECEIVE_QUEUE_FULL,
} as const satisfies Record<string, ErrorEntry>;

/** A name of BROWSER_ERRORS. */
export type BrowserErrorCode = keyof typeof BROWSER_ERRORS;

export const browserError: ErrorMaker<BrowserErrorCode> = /* @__PURE__ */ errorMaker(BROWSER_ERRORS);
