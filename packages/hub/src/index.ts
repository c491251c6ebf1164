export { Hub } from "./hub/hub.ts";
export type { Incoming } from "./hub/incoming.ts";
export type { PastPublication, PastPublications, PresentClient } from "./hub/past-publications.ts";
export { HUB_OPTIONS, type HubOptionKind, type HubOptions, type PingOptions } from "./settings/options.ts";
export { COST, type LimitedMethod, type LimitOptions, type Limits, type Rate, RATES } from "./settings/limits.ts";
export type { HistorySettings, NamespaceOptions } from "./settings/namespaces.ts";
export type {
  AccessFunction,
  AccessRequest,
  Audience,
  SubscribeFunction,
  SubscribeGrant,
  SubscribeRequest,
} from "./settings/access.ts";
export type { ClientSession } from "./settings/client-session.ts";
export type {
  BroadcastReport,
  ClientSelection,
  DisconnectOptions,
  HistoryOptions,
  PublishOptions,
  PublishReport,
} from "./hub/operation-types.ts";
export type { Operations } from "./hub/operations.ts";
export type { NodeInfo } from "./nodes/control.ts";
export type { SurveyAnswer, SurveyHandler, SurveyOptions, SurveyRequest } from "./nodes/surveys.ts";
export type { RpcHandler, RpcRequest } from "./sessions/parts.ts";
export { HUB_ERRORS, HubError, type HubErrorCode } from "./errors.ts";
export {
  type CodeAndReason,
  COMMAND_ERRORS,
  CommandError,
  commandError,
  type CommandErrorName,
  Disconnect,
  DISCONNECTS,
  reconnectsAfter,
  UNSUBSCRIBES,
} from "./codes.ts";
export {
  type Authenticate,
  type ConnectRequest,
  type Credentials,
  type ServerSubscription,
  type SubscriptionCredentials,
  TokenError,
  type TokenVerifier,
} from "./settings/credentials.ts";
export { createTokenVerifier, type TokenKey, type TokenOptions } from "./tokens/verifier.ts";
export { createToken, type NewToken } from "./tokens/sign.ts";
export { type HubConnection, SharedMessage, type WhenFull } from "./output/connection.ts";
export { attachSocket, HUB_SUBPROTOCOLS } from "./hub/socket.ts";
export { type ApiHeaders, type ApiResponse, createHttpApi, type HttpApi, type HttpApiOptions } from "./api/http-api.ts";
export type { Counts, Histogram, HubMetrics, StoreMetrics } from "./metrics.ts";
export type { Clock } from "./schedule/clock.ts";
export type { JsonText } from "./json/json.ts";
export type {
  Broker,
  BrokerHandler,
  BrokerPublishOptions,
  BrokerResult,
  ClientInfo,
  FanOut,
  PendingFanOut,
  HistoryFilter,
  HistoryPage,
  NewPublication,
  Position,
  Publication,
} from "./broker/broker.ts";
export { QuotaExceededError, StoreUnavailableError } from "./broker/broker.ts";
export { MemoryBroker } from "./broker/memory-broker.ts";
export { MemoryEngine, type MemoryEngineOptions } from "./broker/memory-engine.ts";
export type {
  PresenceEntry,
  PresenceFilter,
  PresencePage,
  PresenceStats,
  PresenceStore,
} from "./presence/presence-store.ts";
export { MemoryPresenceStore, type MemoryPresenceStoreOptions } from "./presence/memory-presence-store.ts";
