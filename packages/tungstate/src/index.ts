export { Message, PreparedMessage, WebSocketError } from "@tungstate/protocol";
export type { Clock } from "./clock.ts";
export type { ConnectionOptions } from "./options.ts";
export type {
  ByteStream,
  CloseInfo,
  ConnectionEvents,
  ConnectionState,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
} from "./types.ts";
export { accept, type AcceptOptions } from "./server/accept.ts";
export { type AdmissionOptions, type Decision, RefusedError } from "./server/admission.ts";
export type { OriginPolicy } from "./server/origin.ts";
export { HandshakeRequest } from "./server/request.ts";
export { type ServerEvents, WebSocketServer, type WebSocketServerOptions } from "./server/server.ts";
export type { StreamHandler } from "./server/stream.ts";
export { client, type ClientOptions, HandshakeRejectedError } from "./client.ts";
