/** The names of the error codes of HTTP/2, from 0 (RFC 9113 §7). */
const NAMES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

// not from the constants of node:http2, which is loaded only where HTTP/2 is used
export const NO_ERROR = 0x0;
export const REFUSED_STREAM = 0x7;
export const CANCEL = 0x8;
export const ENHANCE_YOUR_CALM = 0xb;

/** The name of an error code, such as CANCEL. */
export function nameOf(code: number): string {
  return NAMES[code] ?? `0x${code.toString(16)}`;
}
