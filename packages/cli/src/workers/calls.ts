import type {
  BrokerPublishOptions,
  BrokerResult,
  ClientInfo,
  HistoryFilter,
  HistoryPage,
  NewPublication,
  PresenceEntry,
  PresenceFilter,
  PresencePage,
  PresenceStats,
  Publication,
} from "@tungstate/hub";
import type { Certificate } from "../tls/certificate.ts";
import type { ProcessMetrics } from "../metrics/process-metrics.ts";
import type { ServeConfig } from "../settings/config.ts";

/**
 * Store functions that the primary process provides to a worker's hub. `id` distinguishes a
 * subscription from an earlier one to the same channel.
 */
export interface StoreCalls {
  brokerStart(): Promise<void>;
  brokerStop(): Promise<void>;
  subscribe(channel: string, id: number): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  /** `call` identifies the publication when it is delivered back to the worker. */
  publish(
    channel: string,
    publication: NewPublication,
    options: BrokerPublishOptions,
    call: number,
  ): Promise<BrokerResult>;
  publishJoin(channel: string, info: ClientInfo): Promise<void>;
  publishLeave(channel: string, info: ClientInfo): Promise<void>;
  history(channel: string, filter: HistoryFilter, metaTtl: number): Promise<HistoryPage>;
  removeHistory(channel: string): Promise<void>;
  sendControl(message: string): Promise<void>;
  presenceAdd(channel: string, info: ClientInfo): Promise<void>;
  presenceRemove(channel: string, info: ClientInfo): Promise<void>;
  presenceRenew(entries: readonly PresenceEntry[]): Promise<void>;
  presenceClients(channel: string, filter: PresenceFilter): Promise<PresencePage>;
  presenceStats(channel: string): Promise<PresenceStats>;
}

/** Deliveries from the primary process to a worker's hub. */
export interface DeliveryCalls {
  publication(
    channel: string,
    id: number,
    publication: Publication,
    epoch: string,
    /** The worker's own `publish` call, if this worker published it. */
    call: number | undefined,
  ): void;
  join(channel: string, id: number, info: ClientInfo): void;
  leave(channel: string, id: number, info: ClientInfo): void;
  control(message: string): void;
}

/** Functions that the primary process provides to a worker. */
export interface PrimaryCalls extends StoreCalls {
  /**
   * Sends a message to the clients of `/ws` in all workers. Resolves when no worker that accepts
   * messages has many queued.
   */
  broadcast(type: "text" | "binary", bytes: Uint8Array): Promise<void>;
  allMetrics(): Promise<readonly ProcessMetrics[]>;
  /** The worker has received the connection with this id. */
  confirm(id: number): void;
}

/** Values that all workers must agree on. */
export interface Shared {
  readonly ticketKeys: Uint8Array;
  /** Milliseconds. */
  readonly presenceTtl: number;
}

/** Functions that a worker provides to the primary process. */
export interface WorkerCalls extends DeliveryCalls {
  /** Resolves with the URL. */
  start(config: ServeConfig, shared: Shared): Promise<string>;
  broadcast(type: "text" | "binary", bytes: Uint8Array): void;
  /**
   * Reports that messages were dropped because the worker did not accept them: publications, joins
   * and leaves, or messages of `/ws`.
   */
  lost(what: { readonly publications: boolean; readonly broadcasts: boolean }): void;
  /** Answering shows that the worker's event loop is running. */
  ping(): void;
  /** Answering means that a connection may be sent. */
  offer(): void;
  ownMetrics(): Promise<ProcessMetrics>;
  setCertificate(certificate: Certificate): void;
  stopListening(): void;
  close(timeout: number): Promise<void>;
}
