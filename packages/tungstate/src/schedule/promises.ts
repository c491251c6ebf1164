import { protocolError, WebSocketError } from "@tungstate/protocol";

/** A promise that has resolved: what `send` and `flush` return when there is nothing to wait for. */
export const DONE: Promise<void> = Promise.resolve();

/**
 * Marks a promise as handled and returns it. A caller that awaits it gets its error; a caller that ignores it causes no unhandled
 * rejection, which would end the process.
 */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.then(undefined, ignore);
  return promise;
}

/** A rejected promise that is marked as handled. */
export function rejected(error: unknown): Promise<never> {
  return handled(Promise.reject(error));
}

/**
 * Reports the error of a call that returns a promise. Throws the error at once if an argument was wrong; returns a rejected promise if the state of
 * the connection forbids the call.
 */
export function failedCall(error: unknown): Promise<never> {
  const isState = error instanceof WebSocketError && STATE_ERRORS.has(error.code);
  if (isState) return rejected(error);
  throw error;
}

/** What a correct call may meet, because of what the peer, or other code, did before. */
const STATE_ERRORS: ReadonlySet<string> = new Set(["NOT_OPEN", "WRITE_BUFFER_FULL", "MESSAGE_IN_PROGRESS"]);

/** The error of a call that needs an open connection. `cause` is why the connection ended, unless it was closed in good order. */
export function notOpen(detail: string, cause?: WebSocketError): WebSocketError {
  if (cause === undefined) return protocolError("NOT_OPEN", detail);
  if (cause.code === "NOT_OPEN") return cause;
  return protocolError("NOT_OPEN", `${detail}: ${cause.code}, ${cause.message}`, { cause });
}

function ignore(): void {
  // whoever awaits the promise gets the error
}
