export { Hub, type Incoming, type PastPublication, type PastPublications, type PresentClient } from "./hub.ts";
export {
  COST,
  type HubOptions,
  type LimitedMethod,
  type LimitOptions,
  type Limits,
  type PingOptions,
  type Rate,
  RATES,
} from "./options.ts";
export type { HistorySettings, NamespaceOptions } from "./namespaces.ts";
export type {
  AccessFunction,
  AccessRequest,
  Audience,
  SubscribeFunction,
  SubscribeGrant,
  SubscribeRequest,
} from "./access.ts";
export type { ClientSession } from "./client-session.ts";
export type {
  BroadcastReport,
  ClientSelection,
  DisconnectOptions,
  HistoryOptions,
  Operations,
  PublishOptions,
  PublishReport,
} from "./operations.ts";
export type { NodeInfo } from "./control.ts";
export type { SurveyAnswer, SurveyHandler, SurveyOptions, SurveyRequest } from "./surveys.ts";
export type { RpcHandler, RpcRequest } from "./parts.ts";
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
} from "./credentials.ts";
export { createTokenVerifier, type TokenKey, type TokenOptions } from "./tokens/verifier.ts";
export { createToken, type NewToken } from "./tokens/sign.ts";
export { type HubConnection, SharedMessage, type WhenFull } from "./connection.ts";
export { attachSocket, HUB_SUBPROTOCOLS } from "./socket.ts";
export { type ApiHeaders, type ApiResponse, createHttpApi, type HttpApi, type HttpApiOptions } from "./api/http-api.ts";
export type { Counts, Histogram, HubMetrics, StoreMetrics } from "./metrics.ts";
export type { Clock } from "./clock.ts";
export type { JsonText } from "./json.ts";
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
