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
import type { Certificate } from "../certificate.ts";
import type { Figures } from "../figures.ts";
import type { ServePlan } from "../plan.ts";

/** What a primary does for a worker's hub. `id` tells one subscription from an earlier one to the same channel. */
export interface StoreCalls {
  brokerStart(): Promise<void>;
  brokerStop(): Promise<void>;
  subscribe(channel: string, id: number): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  /** `call`: by which the worker knows its own publication when it is delivered. */
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

/** What a worker's hub is told by the primary. */
export interface DeliveryCalls {
  publication(
    channel: string,
    id: number,
    publication: Publication,
    epoch: string,
    /** Of the worker's own call that published it. */
    call: number | undefined,
  ): void;
  join(channel: string, id: number, info: ClientInfo): void;
  leave(channel: string, id: number, info: ClientInfo): void;
  control(message: string): void;
}

/** What a primary does for a worker. */
export interface PrimaryCalls extends StoreCalls {
  /** To the clients of `/ws` of all workers. Resolves when more may be sent: no worker that takes what it is sent has much waiting. */
  broadcast(type: "text" | "binary", bytes: Uint8Array): Promise<void>;
  allFigures(): Promise<readonly Figures[]>;
}

/** What all workers have to agree on. */
export interface Shared {
  readonly ticketKeys: Uint8Array;
  /** ms */
  readonly presenceTtl: number;
}

/** What a worker does for its primary. */
export interface WorkerCalls extends DeliveryCalls {
  /** Returns the URL. */
  start(plan: ServePlan, shared: Shared): Promise<string>;
  broadcast(type: "text" | "binary", bytes: Uint8Array): void;
  /** It has not taken what it was sent: publications, joins and leaves, or messages of `/ws`, were dropped. */
  lost(what: { readonly publications: boolean; readonly broadcasts: boolean }): void;
  /** The answer shows that its event loop goes on. */
  ping(): void;
  figures(): Promise<Figures>;
  setCertificate(certificate: Certificate): void;
  stopListening(): void;
  close(timeout: number): Promise<void>;
}
