export { reconnecting } from "./reconnecting.ts";
export type { ReconnectOptions } from "./options.ts";
export type { HeartbeatOptions } from "./heartbeat.ts";
export { BROWSER_ERRORS, type BrowserErrorCode } from "./errors.ts";
export { Message, type MessageData } from "../platform/message.ts";
export type { PlatformWebSocket, PlatformWebSocketClass } from "./platform.ts";
export type {
  BrowserWebSocketConnection,
  ReconnectingConnection,
  ReconnectingEvents,
  ReconnectingStatus,
} from "./types.ts";
export type { BackoffOptions } from "../reconnecting/core/backoff.ts";
export type { OutboxOptions, OutboxPolicy } from "../reconnecting/core/outbox.ts";
export type { Provided } from "../reconnecting/core/provide.ts";
export type { Attempt, Ending, Gap, Waiting } from "../reconnecting/core/types.ts";
export { RECONNECTING_ERRORS, type ReconnectingErrorCode } from "../reconnecting/core/errors.ts";
export type { CloseInfo, ConnectionState, ConnectionStats } from "../connection/types.ts";
