/**
 * Close codes by name (RFC 6455 §7.4.1 and the IANA registry). 1005, 1006 and 1015 never travel: they are what an endpoint
 * reports to its own caller.
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

export const MAX_CLOSE_REASON_BYTES = 123; // a control frame's 125 less the 2-byte code

/** Whether a Close frame may carry this code, in either direction. */
export function isSendableCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  // RFC 6455 §7.4.2: "3000-3999 ... reserved for use by libraries, frameworks, and applications", "4000-4999 ... private use"
  if (code >= 3000) return code <= 4999;
  // RFC 6455 §7.4.1: 1004 is reserved; 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame".
  // 1012, 1013 and 1014 were registered with IANA later.
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}
