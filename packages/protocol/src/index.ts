export { CLOSE_CODE, isSendableCloseCode, MAX_CLOSE_REASON_BYTES, sendableClose } from "./frames/close-codes.ts";
export {
  type ErrorEntry,
  type ErrorMaker,
  type Fault,
  PROTOCOL_ERRORS,
  protocolError,
  type ProtocolErrorCode,
  WebSocketError,
} from "./errors.ts";
export { MAX_CONTROL_PAYLOAD, OPCODE } from "./frames/frame.ts";
export { MaskingKeys, type RandomSource } from "./frames/masking-keys.ts";
export { Message } from "./messages/message.ts";
export {
  DEFAULT_LIMITS,
  type Heartbeat,
  ProtocolConfig,
  type ProtocolLimits,
  type ProtocolOptions,
} from "./endpoint/options.ts";
export type { Output, Taken } from "./endpoint/output.ts";
export { PreparedMessage, type PreparedMessageOptions } from "./messages/prepared.ts";
export type { Primitives } from "./bytes/primitives.ts";
export { Runtime } from "./runtime/runtime.ts";
export { Protocol } from "./endpoint/protocol.ts";
export type { Closing, ProtocolSink } from "./endpoint/sink.ts";
export type { ProtocolState } from "./endpoint/states.ts";
export { checkClose } from "./frames/close-payload.ts";
export type { Data } from "./messages/data.ts";
export { acceptValue, makeKey, type Random, type Sha1, type Sha1Base64 } from "./handshake/accept-key.ts";
export {
  ClientHandshake,
  type ClientHandshakeOptions,
  type ClientHandshakeProgress,
  type RejectedResponse,
} from "./handshake/client-handshake.ts";
export {
  type ClientExtension,
  type ExtensionOffer,
  formatExtensions,
  type NegotiatedExtension,
  parseExtensions,
  type ServerExtension,
} from "./handshake/extensions.ts";
export type { ClientOffer } from "./handshake/client-offer.ts";
export {
  ConnectHandshake,
  type ConnectHandshakeOptions,
  type ConnectHandshakeResult,
} from "./handshake/connect-handshake.ts";
export {
  acceptConnect,
  type AcceptedConnect,
  checkConnect,
  type ConnectRequest,
  type Http2Fields,
  isExtendedConnect,
  refuseConnect,
} from "./handshake/extended-connect.ts";
export { HeaderFields } from "./handshake/header-fields.ts";
export { DEFAULT_HEAD_LIMITS, type HeadLimits, RequestHeadParser, ResponseHeadParser } from "./handshake/http-head.ts";
export { checkHeaders, type HeaderInput } from "./handshake/outgoing-headers.ts";
export { buildRefusal, formatResponse, type HttpResponse, type Refusal, refusalFor } from "./handshake/refusal.ts";
export {
  type AcceptOptions,
  type AcceptedUpgrade,
  type Agreement,
  acceptUpgrade,
  ServerHandshake,
  type ServerHandshakeOptions,
  type ServerHandshakeProgress,
  type ServerNegotiation,
} from "./handshake/server-handshake.ts";
export { isAuthority, parseTarget, type Target } from "./handshake/target.ts";
export {
  checkUpgrade,
  chooseProtocol,
  type HandshakeOffer,
  isWebSocketUpgrade,
  type UpgradeFields,
  type UpgradeHead,
  type UpgradeRequest,
} from "./handshake/upgrade-request.ts";
export type { DeflateEngine, DeflateJob, ReceivedPayload } from "./deflate/engine.ts";
export type { OutgoingMessages } from "./deflate/deflate-queue.ts";
export type { IncomingMessages } from "./deflate/inflate-queue.ts";
export { type CodecFactory, codecFactory, MessageCodec } from "./deflate/message-codec.ts";
export { Window } from "./deflate/window.ts";
export {
  clientDeflate,
  clientDeflateWithFallback,
  type DeflateOptions,
  PERMESSAGE_DEFLATE,
  serverDeflate,
} from "./deflate/negotiation.ts";
export { type DeflateDirection, deflateDirections, type DeflateParams, type WindowBits } from "./deflate/params.ts";
