export { CLOSE_CODE, isSendableCloseCode, MAX_CLOSE_REASON_BYTES } from "./close-codes.ts";
export {
  type ErrorEntry,
  type Fault,
  PROTOCOL_ERRORS,
  protocolError,
  type ProtocolErrorCode,
  WebSocketError,
} from "./errors.ts";
export { OPCODE } from "./frame.ts";
export { MaskingKeys, type RandomSource } from "./mask.ts";
export { Message } from "./message.ts";
export { giveBack, type Output, type Taken } from "./output.ts";
export { PreparedMessage } from "./prepared.ts";
export { type Primitives, usePrimitives } from "./primitives.ts";
export {
  type Closing,
  DEFAULT_LIMITS,
  type Heartbeat,
  Protocol,
  type ProtocolLimits,
  type ProtocolOptions,
  type ProtocolSink,
  type ProtocolState,
} from "./protocol.ts";
export type { Data } from "./sender.ts";
