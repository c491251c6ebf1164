import { CLOSE_CODE, type WebSocketError } from "@tungstate/protocol";
import type { CloseInfo } from "../../connection/types.ts";
import { type Hint, NO_HINT } from "./backoff.ts";
import { reconnectingError } from "./errors.ts";
import type { Ending } from "./types.ts";

/**
 * The decision whether to try again, with what the server asked for. `error`: why not; undefined
 * for an orderly end.
 */
export type RetryDecision =
  { readonly again: true; readonly hint: Hint } | { readonly again: false; readonly error: WebSocketError | undefined };

export const AGAIN: RetryDecision = { again: true, hint: NO_HINT };

/**
 * Close codes that blame this client, which would do the same again. (RFC 6455 §7.4.1: protocol
 * error, unsupported data, invalid payload, policy violation, too big, extension needed.)
 */
const FATAL_CLOSE_CODES: ReadonlySet<number> = /* @__PURE__ */ new Set([
  CLOSE_CODE.PROTOCOL_ERROR,
  CLOSE_CODE.UNSUPPORTED_DATA,
  CLOSE_CODE.INVALID_PAYLOAD,
  CLOSE_CODE.POLICY_VIOLATION,
  CLOSE_CODE.TOO_BIG,
  CLOSE_CODE.MANDATORY_EXTENSION,
]);

/**
 * The registration of 1012 asks for "a randomized delay of 5 - 30s" (IANA's WebSocket Close Code
 * Number Registry, hybi list).
 */
const RESTART_HINT: Hint = { notBefore: 5_000, spread: 25_000 };

/**
 * Decides whether to try again after an open connection. `maxDelay`: largest wait of the backoff in
 * ms.
 */
export function classifyCloseInfo({ code, reason, error }: CloseInfo, maxDelay: number): RetryDecision {
  if (error !== undefined && error.fault === "local") return { again: false, error };
  // the server violated the protocol, and its Close only answers ours
  if (error !== undefined && error.closeCode !== undefined) return AGAIN;
  // RFC 6455 §7.4.1: "the purpose for which the connection was established has been fulfilled"
  if (code === CLOSE_CODE.NORMAL) return { again: false, error: undefined };
  if (FATAL_CLOSE_CODES.has(code)) return { again: false, error: fatalClose(code, reason) };
  if (code === CLOSE_CODE.SERVICE_RESTART) return { again: true, hint: RESTART_HINT };
  // the server is overloaded: wait for the longest time, spread widely
  if (code === CLOSE_CODE.TRY_AGAIN_LATER) return { again: true, hint: { notBefore: maxDelay, spread: maxDelay } };
  return AGAIN;
}

/** Returns the decision to give up. */
export function givenUp(ending: Ending): RetryDecision {
  if (ending.type === "failed") return { again: false, error: ending.error };
  const { code, reason, error } = ending.info;
  return { again: false, error: error ?? fatalClose(code, reason) };
}

function fatalClose(code: number, reason: string): WebSocketError {
  return reconnectingError("FATAL_CLOSE", `${code}${reason === "" ? "" : ` ${reason}`}`);
}
