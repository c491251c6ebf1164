import { WebSocketError } from "@tungstate/protocol";
import { callError } from "@tungstate/protocol/internal";

/** A resolved promise: the result of `send` and `flush` when there is nothing to wait for. */
export const DONE: Promise<void> = Promise.resolve();

/**
 * Marks a promise as handled and returns it. A caller that awaits it gets its error. A caller that
 * ignores it causes no unhandled rejection, which would end the process.
 */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.then(undefined, ignore);
  return promise;
}

/** Returns a rejected promise that is marked as handled. */
export function rejected(error: unknown): Promise<never> {
  return handled(Promise.reject(error));
}

/**
 * Reports the error of a call that returns a promise. Throws if an argument was wrong; returns a
 * rejected promise if the state of the connection forbids the call.
 */
export function failedCall(error: unknown): Promise<never> {
  const isState = error instanceof WebSocketError && STATE_ERRORS.has(error.code);
  if (isState) return rejected(error);
  throw error;
}

/** Errors that a correct call may meet because of the peer or of other code. */
const STATE_ERRORS: ReadonlySet<string> = new Set(["NOT_OPEN", "WRITE_BUFFER_FULL", "MESSAGE_IN_PROGRESS"]);

/**
 * Returns the error of a call that needs an open connection. `cause` says why the connection ended,
 * unless it was closed in good order.
 */
export function notOpen(detail: string, cause?: WebSocketError): WebSocketError {
  if (cause === undefined) return callError("NOT_OPEN", detail);
  if (cause.code === "NOT_OPEN") return cause;
  return callError("NOT_OPEN", `${detail}: ${cause.code}, ${cause.message}`, { cause });
}

function ignore(): void {
  // a caller that awaits the promise gets the error
}
