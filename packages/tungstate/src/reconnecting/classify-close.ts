import { CLOSE_CODE, type HeaderFields, type WebSocketError } from "@tungstate/protocol";
import { HandshakeRejectedError } from "../client/client.ts";
import type { CloseInfo } from "../connection/types.ts";
import { type Hint, NO_HINT } from "./backoff.ts";
import { reconnectingError } from "./errors.ts";
import type { Ending } from "./types.ts";

/**
 * The decision whether to try again, with what the server asked for. `error`: why not; undefined
 * for an orderly end.
 */
export type RetryDecision =
  { readonly again: true; readonly hint: Hint } | { readonly again: false; readonly error: WebSocketError | undefined };

export interface Circumstances {
  /** Largest wait of the backoff in ms. */
  readonly maxDelay: number;
  /** Whether the next attempt can have other credentials. */
  readonly mayRefresh: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Close codes that blame this client, which would do the same again. (RFC 6455 §7.4.1: protocol
 * error, unsupported data, invalid payload, policy violation, too big, extension needed.)
 */
const FATAL_CLOSE_CODES: ReadonlySet<number> = new Set([
  CLOSE_CODE.PROTOCOL_ERROR,
  CLOSE_CODE.UNSUPPORTED_DATA,
  CLOSE_CODE.INVALID_PAYLOAD,
  CLOSE_CODE.POLICY_VIOLATION,
  CLOSE_CODE.TOO_BIG,
  CLOSE_CODE.MANDATORY_EXTENSION,
]);

/** Errors that another attempt cannot change: wrong options, and features that are missing here. */
const FATAL_ERRORS: ReadonlySet<string> = new Set([
  "INVALID_ARGUMENT",
  "INVALID_URL",
  "PACKAGE_MISSING",
  "NOT_SUPPORTED",
  "BIND_NOT_PERMITTED",
  "INVALID_PROXY",
  "PROXY_DENIED",
  "PROXY_AUTH",
  "TLS_CLIENT_CERTIFICATE",
]);

/**
 * 4xx statuses that are temporary: Request Timeout, Too Early (RFC 8470 §5.2), Too Many Requests
 * (RFC 6585 §4).
 */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);
const CREDENTIAL_STATUSES: ReadonlySet<number> = new Set([401, 403]);

/**
 * The registration of 1012 asks for "a randomized delay of 5 - 30s" (IANA's WebSocket Close Code
 * Number Registry, hybi list).
 */
const RESTART_HINT: Hint = { notBefore: 5_000, spread: 25_000 };

/**
 * Upper bound for a time that a server asks for, in ms; a server that asks for a week may be wrong.
 */
const LONGEST_HINT_MS = 60 * 60 * 1000;

/** Decides whether to try again, from how a connection or an attempt has ended. */
export function classifyClose(ending: Ending, circumstances: Circumstances): RetryDecision {
  return ending.type === "closed"
    ? classifyCloseInfo(ending.info, circumstances)
    : judgeFailure(ending.error, circumstances);
}

function classifyCloseInfo({ code, reason, error }: CloseInfo, { maxDelay }: Circumstances): RetryDecision {
  if (error !== undefined && error.fault === "local") return { again: false, error };
  // the server violated the protocol, and its Close only answers ours
  if (error !== undefined && error.closeCode !== undefined) return AGAIN;
  // RFC 6455 §7.4.1: "the purpose for which the connection was established has been fulfilled"
  if (code === CLOSE_CODE.NORMAL) return { again: false, error: undefined };
  if (FATAL_CLOSE_CODES.has(code)) {
    return { again: false, error: fatalClose(code, reason) };
  }
  if (code === CLOSE_CODE.SERVICE_RESTART) return { again: true, hint: RESTART_HINT };
  // the server is overloaded: wait for the longest time, spread widely
  if (code === CLOSE_CODE.TRY_AGAIN_LATER) return { again: true, hint: { notBefore: maxDelay, spread: maxDelay } };
  return AGAIN;
}

function judgeFailure(error: WebSocketError, { mayRefresh, now }: Circumstances): RetryDecision {
  if (FATAL_ERRORS.has(error.code)) return { again: false, error };
  if (!(error instanceof HandshakeRejectedError)) return AGAIN;
  const { status, headers } = error.response;
  if (CREDENTIAL_STATUSES.has(status) && mayRefresh) return AGAIN;
  if (status >= 400 && status < 500 && !PASSING_STATUSES.has(status)) return { again: false, error };
  return { again: true, hint: { notBefore: Math.min(retryAfter(headers, now) ?? 0, LONGEST_HINT_MS), spread: 0 } };
}

/** Whether the credentials were refused: another attempt needs others. */
export function refusesCredentials(ending: Ending): boolean {
  if (ending.type === "closed" || !(ending.error instanceof HandshakeRejectedError)) return false;
  return CREDENTIAL_STATUSES.has(ending.error.response.status);
}

/** Returns the decision to give up. */
export function givenUp(ending: Ending): RetryDecision {
  if (ending.type === "failed") return { again: false, error: ending.error };
  const { code, reason, error } = ending.info;
  return { again: false, error: error ?? fatalClose(code, reason) };
}

export const AGAIN: RetryDecision = { again: true, hint: NO_HINT };

function fatalClose(code: number, reason: string): WebSocketError {
  return reconnectingError("FATAL_CLOSE", `${code}${reason === "" ? "" : ` ${reason}`}`);
}

/**
 * Returns the ms that a response asks to wait. RFC 9110 §10.2.3: "Retry-After = HTTP-date /
 * delay-seconds". A date is compared with the response's own Date, so that clocks need not agree.
 * Undefined if there is no valid value.
 */
export function retryAfter(headers: HeaderFields, now: number): number | undefined {
  const value = headers.getAll("retry-after")[0]?.trim() ?? "";
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const until = httpDate(value);
  if (until === undefined) return undefined;
  return Math.max(0, until - (httpDate(headers.get("date") ?? "") ?? now));
}

/**
 * Parses an HTTP date. RFC 9110 §5.6.7: each form begins with the day of the week. (Date.parse
 * alone takes "-5" for a date.)
 */
function httpDate(text: string): number | undefined {
  const time = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}
