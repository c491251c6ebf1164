export {
  HeaderFields,
  type HeaderInput,
  type HeadLimits,
  type Heartbeat,
  Message,
  type Refusal,
  type RejectedResponse,
  sendableClose,
  WebSocketError,
} from "@tungstate/protocol";
export type { Clock } from "./schedule/clock.ts";
export {
  MemoryBudget,
  type MemoryPart,
  type MemoryPartOptions,
  sharedMemoryBudget,
} from "./connection/memory-budget.ts";
export type { MemoryUse } from "./connection/memory-use.ts";
export { PreparedMessage } from "./connection/prepared-message.ts";
export type { ConnectionOptions, MinDataRate } from "./connection/options.ts";
export type {
  CloseInfo,
  ConnectionEvents,
  ConnectionState,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
  WriteOptions,
} from "./connection/types.ts";
export { accept, type AcceptOptions } from "./server/accept.ts";
export type { AdmissionOptions } from "./server/admission/admission.ts";
export type { DiagnosticsChannels } from "./server/diagnostics.ts";
export { RefusedError } from "./server/admission/refused.ts";
export type { Decision, Grant } from "./server/admission/decision.ts";
export { clientOf } from "./server/admission/addresses.ts";
export type { AllowedHosts } from "./server/admission/hosts.ts";
export type { OriginPolicy } from "./server/admission/origin.ts";
export type { TrustedProxies } from "./server/admission/proxies.ts";
export type { HttpApp } from "./server/http/app.ts";
export { HandshakeRequest } from "./server/admission/request.ts";
export type { ServerEvents, ServerListenOptions, ServerStats, WebSocketServerOptions } from "./server/options.ts";
export { type AttachOptions, WebSocketServer } from "./server/server.ts";
export type { Http2Options } from "./server/http2/backend.ts";
export type { StreamHandler } from "./server/stream.ts";
export { client, type ClientOptions, HandshakeRejectedError } from "./client/client.ts";
export { clientTls, type ClientTlsOptions, connect, type ConnectOptions } from "./client/connect.ts";
export {
  type ConnectionErrorCode,
  ConnectError,
  CONNECTION_ERRORS,
  type ConnectStep,
  type Tried,
  ENDPOINT_ERRORS,
  type EndpointErrorCode,
} from "./errors.ts";
export { Http2Sessions, type Http2SessionsOptions } from "./http2/client/http2-sessions.ts";
export { dial, type Dialed } from "./dial/dial.ts";
export type { DialOptions, DialTarget } from "./dial/options.ts";
export { type InterfaceAddress, listInterfaces, type NetworkInterface } from "./dial/interfaces.ts";
export { secure, type Secured, type SecureOptions } from "./tls/secure.ts";
export type { TlsOptions } from "./tls/options.ts";
export type { CompressionOptions } from "./deflate/settings.ts";
export { Routes } from "./dial/routes.ts";
export type { InterfaceStrategy } from "./dial/options.ts";
export type { Lookup } from "./dial/resolve.ts";
export { pinOf } from "./tls/options.ts";
export { sharedTlsSessions, TlsSessionCache, type TlsSessionCacheOptions } from "./tls/session-cache.ts";
export { reconnecting } from "./reconnecting/reconnecting.ts";
export type { BackoffOptions } from "./reconnecting/core/backoff.ts";
export { RECONNECTING_ERRORS, type ReconnectingErrorCode } from "./reconnecting/core/errors.ts";
export type { Provided } from "./reconnecting/core/provide.ts";
export type { Attempt, Ending, Gap, Waiting } from "./reconnecting/core/types.ts";
export type { Connector, ReconnectOptions } from "./reconnecting/options.ts";
export type { OutboxOptions, OutboxPolicy } from "./reconnecting/core/outbox.ts";
export type { ReconnectingConnection, ReconnectingEvents, ReconnectingStatus } from "./reconnecting/types.ts";
export type { ByteStream } from "./transport/byte-stream.ts";
export type { HttpVersion, Route } from "./transport/route.ts";
export type { TlsInfo } from "./transport/tls-info.ts";
