import {
  buildRefusal,
  formatResponse,
  type HttpResponse,
  type Refusal,
  refusalFor,
  WebSocketError,
} from "@tungstate/protocol";
import { describe } from "../../options/describe.ts";
import { SERVER_ERRORS, serverError } from "../errors.ts";

const RETRY_AFTER = "5"; // seconds

/** The error of a request that was refused. */
export class RefusedError extends WebSocketError {
  /** The response that the client gets. */
  readonly httpResponse: HttpResponse;
  #bytes: Uint8Array | undefined;

  /**
   * `refusal`: a response other than the usual one for this error; `bytes`: the same as HTTP/1.1
   * writes it, if not as to a GET request.
   */
  constructor(error: WebSocketError, refusal?: Refusal, bytes?: Uint8Array) {
    const status = refusal?.status ?? error.status ?? 500;
    super(error.code, { fault: error.fault, status, text: error.message }, undefined, { cause: error.cause });
    this.httpResponse = refusal === undefined ? refusalFor(error) : buildRefusal(refusal);
    this.#bytes = bytes;
  }

  /** The response in the bytes of HTTP/1.1. */
  get response(): Uint8Array {
    return (this.#bytes ??= formatResponse(this.httpResponse));
  }
}

/** Returns a refusal with Retry-After. RFC 9110 §10.2.3, RFC 6585 §4. */
export function refusedForNow(error: WebSocketError): RefusedError {
  const { status, reason } = buildRefusal({ status: error.status ?? 503 });
  return new RefusedError(error, { status, headers: { "Retry-After": RETRY_AFTER }, body: `${reason}\n` });
}

/**
 * A mistake of the application: its details are in the error, not in the response to the client.
 */
export function failedByApplication(code: "AUTHORIZE_FAILED" | "RESPONSE_FAILED", cause: unknown): RefusedError {
  const { status, text } = SERVER_ERRORS[code];
  const detail = cause instanceof Error ? cause.message : describe(cause);
  return new RefusedError(serverError(code, detail, { cause }), { status, body: `${text}\n` });
}
