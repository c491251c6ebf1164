import type { ErrorEntry, ErrorMaker } from "@tungstate/protocol";
import { errorMaker } from "@tungstate/protocol/internal";
import { CLOSE_TIMEOUT, CONNECTION_LOST, RECEIVE_QUEUE_FULL } from "../platform/errors.ts";

/** Errors of connections over a server socket of the platform. */
export const WORKERS_ERRORS = {
  CONNECTION_LOST,
  CLOSE_TIMEOUT,
  RECEIVE_QUEUE_FULL,
  NOT_SUPPORTED: { fault: "local", text: "the runtime does not support this" },
} as const satisfies Record<string, ErrorEntry>;

/** A name of WORKERS_ERRORS. */
export type WorkersErrorCode = keyof typeof WORKERS_ERRORS;

/** Returns the error for a row of WORKERS_ERRORS. */
export const workersError: ErrorMaker<WorkersErrorCode> = /* @__PURE__ */ errorMaker(WORKERS_ERRORS);
