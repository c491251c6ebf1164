import {
  type Broker,
  type BrokerHandler,
  type BrokerPublishOptions,
  type BrokerResult,
  type ClientInfo,
  CommandError,
  type HistoryFilter,
  type HistoryPage,
  type NewPublication,
  type PendingFanOut,
  type PresenceEntry,
  type PresenceFilter,
  type PresencePage,
  type PresenceStats,
  type PresenceStore,
  QuotaExceededError,
  StoreUnavailableError,
} from "@tungstate/hub";
import type { DeliveryCalls, StoreCalls } from "./calls.ts";
import { type Link, LinkError } from "./link.ts";

/** A broker whose channels are stored in the primary process. */
export class RemoteBroker implements Broker {
  readonly lossy = false;
  /** Functions that the primary's link calls here. */
  readonly deliveries: DeliveryCalls;
  private readonly link: () => Link<StoreCalls>;
  private handler: BrokerHandler | undefined;
  /** Subscription ID by channel. Deliveries for an earlier subscription are ignored. */
  private readonly ids = new Map<string, number>();
  private lastId = 0;
  private lastCall = 0;
  /** Fan-out of this process by `publish` call. */
  private readonly fanOuts = new Map<number, PendingFanOut>();

  /** `link` is called when it is needed. The other end of the link must be a `SharedStores`. */
  constructor(link: () => Link<StoreCalls>) {
    this.link = link;
    const handlerOf = (channel: string, id: number): BrokerHandler | undefined =>
      this.ids.get(channel) === id ? this.handler : undefined;
    this.deliveries = {
      publication: (channel, id, publication, epoch, call) => {
        const fanOut = handlerOf(channel, id)?.publication(channel, publication, epoch);
        if (call !== undefined && fanOut !== undefined) this.fanOuts.set(call, fanOut);
      },
      join: (channel, id, info) => handlerOf(channel, id)?.join(channel, info),
      leave: (channel, id, info) => handlerOf(channel, id)?.leave(channel, info),
      control: (message) => this.handler?.control(message),
    };
  }

  /** Reports that publications may have been lost. Clients then recover from history. */
  interrupted(): void {
    this.handler?.interrupted();
  }

  async start(handler: BrokerHandler): Promise<void> {
    if (this.handler !== undefined) throw new Error("this broker already serves a hub");
    this.handler = handler;
    await ask(this.link(), "brokerStart");
  }

  async stop(): Promise<void> {
    if (this.handler === undefined) return;
    this.handler = undefined;
    this.ids.clear();
    await ask(this.link(), "brokerStop");
  }

  subscribe(channel: string): Promise<void> {
    const id = ++this.lastId;
    this.ids.set(channel, id);
    return ask(this.link(), "subscribe", channel, id);
  }

  unsubscribe(channel: string): Promise<void> {
    this.ids.delete(channel);
    return ask(this.link(), "unsubscribe", channel);
  }

  /** Publishes. The returned fan-out covers this process only. */
  async publish(channel: string, publication: NewPublication, options: BrokerPublishOptions): Promise<BrokerResult> {
    const call = ++this.lastCall;
    try {
      const result = await ask(this.link(), "publish", channel, publication, options, call);
      return { ...result, fanOut: this.fanOuts.get(call) };
    } finally {
      this.fanOuts.delete(call);
    }
  }

  publishJoin(channel: string, info: ClientInfo): Promise<void> {
    return ask(this.link(), "publishJoin", channel, info);
  }

  publishLeave(channel: string, info: ClientInfo): Promise<void> {
    return ask(this.link(), "publishLeave", channel, info);
  }

  history(channel: string, filter: HistoryFilter, metaTtl: number): Promise<HistoryPage> {
    return ask(this.link(), "history", channel, filter, metaTtl);
  }

  removeHistory(channel: string): Promise<void> {
    return ask(this.link(), "removeHistory", channel);
  }

  control(message: string): Promise<void> {
    return ask(this.link(), "sendControl", message);
  }
}

/** A presence store in the primary process. */
export class RemotePresenceStore implements PresenceStore {
  readonly ttl: number;
  private readonly link: () => Link<StoreCalls>;

  /** `ttl` is that of the primary's store, in ms. */
  constructor(link: () => Link<StoreCalls>, ttl: number) {
    this.link = link;
    this.ttl = ttl;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  add(channel: string, info: ClientInfo): Promise<void> {
    return ask(this.link(), "presenceAdd", channel, info);
  }

  remove(channel: string, info: ClientInfo): Promise<void> {
    return ask(this.link(), "presenceRemove", channel, info);
  }

  renew(entries: readonly PresenceEntry[]): Promise<void> {
    return ask(this.link(), "presenceRenew", entries);
  }

  clients(channel: string, filter: PresenceFilter = {}): Promise<PresencePage> {
    return ask(this.link(), "presenceClients", channel, filter);
  }

  stats(channel: string): Promise<PresenceStats> {
    return ask(this.link(), "presenceStats", channel);
  }
}

/**
 * Calls the primary. Rejects with a `StoreUnavailableError` if it does not answer; clients may
 * retry.
 */
async function ask<N extends keyof StoreCalls>(
  link: Link<StoreCalls>,
  name: N,
  ...args: Parameters<StoreCalls[N]>
): Promise<Awaited<ReturnType<StoreCalls[N]>>> {
  try {
    return await link.call(name, ...args);
  } catch (error) {
    throw storeError(error);
  }
}

/**
 * Returns an error of the primary as the class that the hub expects: links transfer only the code.
 */
function storeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code: unknown = "code" in error ? error.code : undefined;
  const { message } = error;
  if (error instanceof LinkError || code === "STORE_UNAVAILABLE") {
    return new StoreUnavailableError(message, { cause: error });
  }
  if (code === "QUOTA_EXCEEDED") return new QuotaExceededError(message, { cause: error });
  return typeof code === "number" ? new CommandError(code, message, { cause: error }) : error;
}
