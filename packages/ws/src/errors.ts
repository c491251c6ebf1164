import type { WebSocketError } from "@tungstate/protocol";

/** Key of an error's close code. */
const CLOSE_CODE = Symbol("close code");

interface Report {
  readonly message: string;
  readonly code: string;
  readonly closeCode: number;
}

const INVALID = "Invalid WebSocket frame: ";

/** The header of an invalid frame. */
export interface FrameHeader {
  readonly firstByte: number;
  readonly secondByte: number;
  readonly declaredLength: number;
}

function invalid(what: string, code: string, closeCode = 1002): Report {
  return { message: INVALID + what, code, closeCode };
}

function reservedBits({ firstByte }: FrameHeader): Report {
  return (firstByte & 0x30) === 0
    ? invalid("RSV1 must be clear", "WS_ERR_UNEXPECTED_RSV_1")
    : invalid("RSV2 and RSV3 must be clear", "WS_ERR_UNEXPECTED_RSV_2_3");
}

function opcode({ firstByte }: FrameHeader): Report {
  return invalid(`invalid opcode ${firstByte & 0x0f}`, "WS_ERR_INVALID_OPCODE");
}

function controlLength({ secondByte }: FrameHeader): Report {
  return invalid(`invalid payload length ${secondByte & 0x7f}`, "WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH");
}

function tooBig({ declaredLength }: FrameHeader): Report {
  return declaredLength > Number.MAX_SAFE_INTEGER ? BEYOND_NUMBERS : TOO_BIG;
}

const BEYOND_NUMBERS: Report = {
  message: "Unsupported WebSocket frame: payload length > 2^53 - 1",
  code: "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH",
  closeCode: 1009,
};
const TOO_BIG: Report = {
  message: "Max payload size exceeded",
  code: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH",
  closeCode: 1009,
};

/** The error of ws for each violation that the core reports. */
const REPORTS: Readonly<Record<string, (header: FrameHeader) => Report>> = {
  RESERVED_BITS: reservedBits,
  INVALID_OPCODE: opcode,
  UNEXPECTED_CONTINUATION: opcode,
  EXPECTED_CONTINUATION: opcode,
  FRAGMENTED_CONTROL: () => invalid("FIN must be set", "WS_ERR_EXPECTED_FIN"),
  CONTROL_TOO_LONG: controlLength,
  INVALID_CLOSE_PAYLOAD: controlLength,
  UNMASKED_FRAME: () => invalid("MASK must be set", "WS_ERR_EXPECTED_MASK"),
  MASKED_FRAME: () => invalid("MASK must be clear", "WS_ERR_UNEXPECTED_MASK"),
  INVALID_UTF8: () => invalid("invalid UTF-8 sequence", "WS_ERR_INVALID_UTF8", 1007),
  INVALID_LENGTH: () => BEYOND_NUMBERS,
  FRAME_TOO_BIG: tooBig,
  MESSAGE_TOO_BIG: () => TOO_BIG,
  TOO_MANY_FRAGMENTS: () => ({
    message: "Too many message fragments",
    code: "WS_ERR_TOO_MANY_BUFFERED_PARTS",
    closeCode: 1008,
  }),
  TOO_MANY_CHUNKS: () => ({
    message: "Too many buffered chunks",
    code: "WS_ERR_TOO_MANY_BUFFERED_PARTS",
    closeCode: 1008,
  }),
};

/** Returns the close code for an error of a received frame. */
export function closeCodeOf(error: Error): number | undefined {
  return Reflect.get(error, CLOSE_CODE);
}

function withCode<E extends Error>(error: E, closeCode: number, code?: string): E {
  Reflect.defineProperty(error, CLOSE_CODE, { value: closeCode });
  return code === undefined ? error : Object.assign(error, { code });
}

/** Returns the error that ws emits for a violation that the core reports. */
export function receiveError(error: WebSocketError, header: FrameHeader): Error {
  // the error of zlib itself, as with ws
  if (error.code === "INVALID_DEFLATE") {
    const { cause } = error;
    return withCode(cause instanceof Error ? cause : new Error(error.message), 1007);
  }
  const report = REPORTS[error.code]?.(header);
  if (report === undefined) return withCode(error, error.closeCode ?? 1002);
  const Kind = error.code === "INVALID_UTF8" ? Error : RangeError;
  return withCode(new Kind(report.message), report.closeCode, report.code);
}

/** Returns the error for a Close frame with a code that must not be sent. */
export function invalidCloseCode(code: number): Error {
  return withCode(new RangeError(`${INVALID}invalid status code ${code}`), 1002, "WS_ERR_INVALID_CLOSE_CODE");
}

/** Returns the error for a Close frame whose reason is not UTF-8. */
export function invalidReason(): Error {
  const { message, code, closeCode } = invalid("invalid UTF-8 sequence", "WS_ERR_INVALID_UTF8", 1007);
  return withCode(new Error(message), closeCode, code);
}

/** Returns the error of Node.js for a write to a destroyed stream. */
export function destroyedError(): Error {
  return Object.assign(new Error("Cannot call write after a stream was destroyed"), { code: "ERR_STREAM_DESTROYED" });
}
