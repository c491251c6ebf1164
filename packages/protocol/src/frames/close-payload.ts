import { invalidOption } from "../arguments.ts";
import { checkUtf8, decodeUtf8, utf8Length, UTF8_START, writeUtf8 } from "../bytes/utf8.ts";
import { type ProtocolErrorCode, protocolError, type WebSocketError } from "../errors.ts";
import { CLOSE_CODE, isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from "./close-codes.ts";

/** Code and reason of a Close frame. */
export interface CloseReason {
  /** 1005 for a Close without a code. */
  readonly code: number;
  readonly reason: string;
}

/** Returns code and reason of a peer's Close, or an error. RFC 6455 §5.5.1. */
export function readClosePayload(payload: Uint8Array): CloseReason | WebSocketError<ProtocolErrorCode> {
  if (payload.length === 0) return { code: CLOSE_CODE.NO_STATUS, reason: "" };
  // §5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer"
  if (payload.length === 1) return protocolError("INVALID_CLOSE_PAYLOAD");
  const code = (payload[0] << 8) | payload[1];
  if (!isSendableCloseCode(code)) return protocolError("INVALID_CLOSE_CODE", `${code}`);
  // §5.5.1: the reason is "UTF-8-encoded data"
  if (checkUtf8(payload, 2, payload.length, UTF8_START) !== UTF8_START) {
    return protocolError("INVALID_UTF8", "in the reason of a Close");
  }
  return { code, reason: decodeUtf8(payload, 2, payload.length) };
}

/**
 * Returns the payload of a Close with this code and reason; an empty one without a code. Throws
 * what `checkClose` throws.
 */
export function writeClosePayload(code: number | undefined, reason: string): Uint8Array {
  const length = checkClose(code, reason);
  if (code === undefined) return new Uint8Array(0);
  const payload = new Uint8Array(2 + length);
  payload[0] = code >>> 8;
  payload[1] = code;
  writeUtf8(reason, payload, 2);
  return payload;
}

/**
 * Returns the reason's length in bytes. Throws INVALID_ARGUMENT for a code or a reason that no
 * Close can carry.
 */
export function checkClose(code: number | undefined, reason: string): number {
  if (code !== undefined && !isSendableCloseCode(code)) {
    throw invalidOption("a close code", "1000 to 1014 (not 1004 to 1006) or 3000 to 4999", code);
  }
  if (typeof reason !== "string") throw invalidOption("a close reason", "a string", reason);
  if (code === undefined && reason !== "")
    throw invalidOption("a close reason", "absent or empty without a close code", reason);
  const length = utf8Length(reason);
  if (length > MAX_CLOSE_REASON_BYTES) {
    throw invalidOption("a close reason", `at most ${MAX_CLOSE_REASON_BYTES} bytes of UTF-8`, length);
  }
  return length;
}
