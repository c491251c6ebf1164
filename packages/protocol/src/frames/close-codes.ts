import { invalidOption } from "../arguments.ts";
import { utf8Length } from "../bytes/utf8.ts";

/**
 * Close codes by name (RFC 6455 §7.4.1 and the IANA registry). 1005, 1006 and 1015 never travel:
 * they are what an endpoint reports to its own caller.
 */
export const CLOSE_CODE = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
  NO_STATUS: 1005,
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY_VIOLATION: 1008,
  TOO_BIG: 1009,
  MANDATORY_EXTENSION: 1010,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
  BAD_GATEWAY: 1014,
} as const;

/** Maximum length of a close reason in bytes of UTF-8: 125 less the 2-byte code (RFC 6455 §5.5). */
export const MAX_CLOSE_REASON_BYTES = 123; // a control frame's 125 less the 2-byte code

/** Whether a Close frame may carry this code, in either direction. */
export function isSendableCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  // RFC 6455 §7.4.2: "3000-3999 ... reserved for use by libraries, frameworks, and applications",
  // "4000-4999 ... private use"
  if (code >= 3000) return code <= 4999;
  // RFC 6455 §7.4.1: 1004 is reserved; 1005, 1006 and 1015 "MUST NOT be set as a status code in a
  // Close control frame". 1012, 1013 and 1014 were registered with IANA later.
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/**
 * Turns the end of one connection into the arguments that close another one:
 * `other.close(...sendableClose(info))`. `info` is a CloseInfo, the `close` event of another
 * WebSocket, or anything else with a close code.
 *
 * A code that a Close may carry stays as it is. RFC 6455 §7.4.1 says of 1005, 1006 and 1015 that
 * they "MUST NOT be set as a status code in a Close control frame": 1005 (a Close without a code)
 * becomes 1000, 1006 (no Close came) becomes 1001, since the endpoint behind this one has gone
 * away; 1015 and all others become 1011. A reason of more than 123 bytes is cut where a character
 * of its UTF-8 ends. Throws INVALID_ARGUMENT if the code is no number or the reason is no string.
 */
export function sendableClose(info: {
  readonly code: number;
  readonly reason?: string;
}): [code: number, reason: string] {
  const { code, reason = "" }: { readonly code: unknown; readonly reason?: unknown } = Object(info);
  if (typeof code !== "number") throw invalidOption("a close code", "a number", code);
  if (typeof reason !== "string") throw invalidOption("a close reason", "a string", reason);
  return [isSendableCloseCode(code) ? code : (STAND_INS.get(code) ?? CLOSE_CODE.INTERNAL_ERROR), cutReason(reason)];
}

/** Replacements for codes that are never sent. */
const STAND_INS: ReadonlyMap<number, number> = new Map([
  [CLOSE_CODE.NO_STATUS, CLOSE_CODE.NORMAL],
  [CLOSE_CODE.ABNORMAL, CLOSE_CODE.GOING_AWAY],
]);

/** Returns the longest part of a reason that a Close has room for, in complete characters. */
function cutReason(reason: string): string {
  if (utf8Length(reason) <= MAX_CLOSE_REASON_BYTES) return reason;
  let kept = "";
  let bytes = 0;
  for (const character of reason) {
    bytes += utf8Length(character);
    if (bytes > MAX_CLOSE_REASON_BYTES) break;
    kept += character;
  }
  return kept;
}
