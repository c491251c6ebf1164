import type { HeaderFields, WebSocketError } from "@tungstate/protocol";
import { HandshakeRejectedError } from "../client/client.ts";
import { AGAIN, type RetryDecision } from "./core/close-decision.ts";

export interface Circumstances {
  /** Whether the next attempt can have other credentials. */
  readonly mayRefresh: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Errors that another attempt cannot change: wrong options, and features that are missing here. */
const FATAL_ERRORS: ReadonlySet<string> = new Set([
  "INVALID_OPTIONS",
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
 * Upper bound for a time that a server asks for, in ms; a server that asks for a week may be wrong.
 */
const LONGEST_HINT_MS = 60 * 60 * 1000;

/** Decides whether to try again after a failed attempt. */
export function classifyFailure(error: WebSocketError, { mayRefresh, now }: Circumstances): RetryDecision {
  if (FATAL_ERRORS.has(error.code)) return { again: false, error };
  if (!(error instanceof HandshakeRejectedError)) return AGAIN;
  const { status, headers } = error.response;
  if (CREDENTIAL_STATUSES.has(status) && mayRefresh) return AGAIN;
  if (status >= 400 && status < 500 && !PASSING_STATUSES.has(status)) return { again: false, error };
  return { again: true, hint: { notBefore: Math.min(retryAfter(headers, now) ?? 0, LONGEST_HINT_MS), spread: 0 } };
}

/** Whether the credentials were refused: another attempt needs others. */
export function refusesCredentials(error: WebSocketError): boolean {
  return error instanceof HandshakeRejectedError && CREDENTIAL_STATUSES.has(error.response.status);
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
