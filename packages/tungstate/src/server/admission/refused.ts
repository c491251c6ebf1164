import { buildRefusal, formatResponse, type Refusal, refusalFor, WebSocketError } from "@tungstate/protocol";

const RETRY_AFTER = "5"; // seconds

/** The error of a request that was refused. */
export class RefusedError extends WebSocketError {
  /** The response that the client gets, in bytes. */
  readonly response: Uint8Array;

  /**
   * `refusal`: a response other than the usual one for this error; `response`: the same in bytes.
   */
  constructor(error: WebSocketError, refusal?: Refusal, response?: Uint8Array) {
    const status = refusal?.status ?? error.status ?? 500;
    super(error.code, { fault: error.fault, status, text: error.message }, undefined, { cause: error.cause });
    this.response = response ?? formatResponse(refusal === undefined ? refusalFor(error) : buildRefusal(refusal));
  }
}

/** Returns a refusal with Retry-After. RFC 9110 §10.2.3, RFC 6585 §4. */
export function refusedForNow(error: WebSocketError): RefusedError {
  const { status, reason } = buildRefusal({ status: error.status ?? 503 });
  return new RefusedError(error, { status, headers: { "Retry-After": RETRY_AFTER }, body: `${reason}\n` });
}
