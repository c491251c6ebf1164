export {
  HeaderFields,
  type HeaderInput,
  type HeadLimits,
  type Heartbeat,
  Message,
  PreparedMessage,
  type Refusal,
  type RejectedResponse,
  sendableClose,
  WebSocketError,
} from "@tungstate/protocol";
export type { Clock } from "./schedule/clock.ts";
export { MemoryBudget, type MemoryPart, type MemoryPartOptions, type MemoryUse, sharedMemoryBudget } from "./connection/memory-budget.ts";
export type { ConnectionOptions, MinProgress } from "./connection/options.ts";
export type {
  ByteStream,
  CloseInfo,
  ConnectionEvents,
  ConnectionState,
  ConnectionStats,
  MessageData,
  WebSocketConnection,
  WriteOptions,
} from "./connection/types.ts";
export { accept, type AcceptOptions } from "./server/accept.ts";
export { type AdmissionOptions, RefusedError } from "./server/admission.ts";
export type { Decision, Grant } from "./server/decision.ts";
export { clientOf } from "./server/addresses.ts";
export type { OriginPolicy } from "./server/origin.ts";
export type { TrustedProxies } from "./server/proxies.ts";
export type { HttpApp } from "./server/http-app.ts";
export { HandshakeRequest } from "./server/request.ts";
export {
  type ServerEvents,
  type ServerListenOptions,
  type ServerStats,
  WebSocketServer,
  type WebSocketServerOptions,
} from "./server/server.ts";
export type { StreamHandler } from "./server/stream.ts";
export { client, type ClientOptions, HandshakeRejectedError } from "./client/client.ts";
export { clientTls, type ClientTlsOptions, connect, type ConnectOptions } from "./client/connect.ts";
export { type ConnectionErrorCode, ConnectError, CONNECTION_ERRORS, type ConnectStep, type Tried } from "./errors.ts";
export { dial, type Dialed, type Road } from "./dial/dial.ts";
export type { DialOptions, DialTarget } from "./dial/options.ts";
export { type InterfaceAddress, listInterfaces, type NetworkInterface } from "./dial/interfaces.ts";
export { secure, type Secured, type SecureOptions, type TlsInfo } from "./tls/secure.ts";
export type { TlsOptions } from "./tls/options.ts";
export type { CompressionOptions } from "./deflate/settings.ts";
export { Roads } from "./dial/routes.ts";
export type { InterfaceStrategy } from "./dial/options.ts";
export type { Lookup } from "./dial/resolve.ts";
export { pinOf } from "./tls/options.ts";
export { sharedTlsSessions, TlsSessionCache, type TlsSessionCacheOptions } from "./tls/session-cache.ts";
export { reconnecting } from "./reconnecting/reconnecting.ts";
export type { BackoffOptions } from "./reconnecting/backoff.ts";
export { RECONNECTING_ERRORS, type ReconnectingErrorCode } from "./reconnecting/errors.ts";
export type { Connector, Provided, ReconnectOptions } from "./reconnecting/options.ts";
export type { OutboxOptions, OutboxPolicy } from "./reconnecting/outbox.ts";
export type {
  Attempt,
  Ending,
  Gap,
  ReconnectingConnection,
  ReconnectingEvents,
  ReconnectingStatus,
  Waiting,
} from "./reconnecting/types.ts";
