import { type ClientInfo, MemoryBroker, MemoryEngine, MemoryPresenceStore, type Clock } from "@tungstate/hub";
import type { DeliveryCalls, StoreCalls } from "./calls.ts";
import type { Link } from "./link.ts";

/** Client information that must be withdrawn when a worker ends. */
class ClientRecords {
  private readonly byClient = new Map<string, Map<string, ClientInfo>>();

  add(channel: string, info: ClientInfo): void {
    let channels = this.byClient.get(info.client);
    if (channels === undefined) this.byClient.set(info.client, (channels = new Map()));
    channels.set(channel, info);
  }

  remove(channel: string, { client }: ClientInfo): void {
    const channels = this.byClient.get(client);
    channels?.delete(channel);
    if (channels?.size === 0) this.byClient.delete(client);
  }

  *all(): Generator<readonly [channel: string, info: ClientInfo]> {
    for (const channels of this.byClient.values()) yield* channels;
  }
}

/** Access of one worker to the stores. */
export interface StoreAccess {
  /** Functions that the worker's link calls here. */
  readonly calls: StoreCalls;
  /**
   * Removes the clients of a worker that has ended from presence, and publishes leaves for those
   * that had joined.
   */
  end(): Promise<void>;
}

/** Channels and presence of all workers, in the memory of the primary process. */
export class SharedStores {
  private readonly engine: MemoryEngine;
  private readonly presence: MemoryPresenceStore;
  /**
   * The `publish` call in progress. The publication that the engine delivers meanwhile belongs to
   * it.
   */
  private publishing: { readonly worker: unknown; readonly call: number } | undefined;

  constructor(clock?: Clock, historyBytes?: number) {
    const options = clock === undefined ? {} : { clock };
    this.engine = new MemoryEngine(historyBytes === undefined ? options : { ...options, historyBytes });
    this.presence = new MemoryPresenceStore(options);
  }

  /** `link` is called when a delivery is sent. */
  accessFor(link: () => Link<DeliveryCalls>): StoreAccess {
    const { presence } = this;
    const broker = new MemoryBroker(this.engine);
    const worker = {};
    const ids = new Map<string, number>();
    const present = new ClientRecords();
    const joined = new ClientRecords();
    const idOf = (channel: string): number => ids.get(channel) ?? 0;
    const calls: StoreCalls = {
      brokerStart: () =>
        broker.start({
          publication: (channel, publication, epoch) => {
            const call = this.publishing?.worker === worker ? this.publishing.call : undefined;
            link().note("publication", channel, idOf(channel), publication, epoch, call);
            // the fan-out is reported by the workers
            return undefined;
          },
          join: (channel, info) => link().note("join", channel, idOf(channel), info),
          leave: (channel, info) => link().note("leave", channel, idOf(channel), info),
          control: (message) => link().note("control", message),
          interrupted: () => undefined, // unreachable: a memory broker loses nothing
        }),
      brokerStop: () => broker.stop(),
      subscribe(channel, id) {
        ids.set(channel, id);
        return broker.subscribe(channel);
      },
      unsubscribe(channel) {
        ids.delete(channel);
        return broker.unsubscribe(channel);
      },
      publish: (channel, publication, options, call) => {
        this.publishing = { worker, call };
        try {
          return broker.publish(channel, publication, options);
        } finally {
          this.publishing = undefined;
        }
      },
      publishJoin(channel, info) {
        joined.add(channel, info);
        return broker.publishJoin(channel, info);
      },
      publishLeave(channel, info) {
        joined.remove(channel, info);
        return broker.publishLeave(channel, info);
      },
      history: (channel, filter, metaTtl) => broker.history(channel, filter, metaTtl),
      removeHistory: (channel) => broker.removeHistory(channel),
      sendControl: (message) => broker.control(message),
      presenceAdd(channel, info) {
        present.add(channel, info);
        return presence.add(channel, info);
      },
      presenceRemove(channel, info) {
        present.remove(channel, info);
        return presence.remove(channel, info);
      },
      presenceRenew: (entries) => presence.renew(entries),
      presenceClients: (channel, filter) => presence.clients(channel, filter),
      presenceStats: (channel) => presence.stats(channel),
    };
    return {
      calls,
      async end() {
        await broker.stop();
        for (const [channel, info] of present.all()) await presence.remove(channel, info);
        for (const [channel, info] of joined.all()) await broker.publishLeave(channel, info);
      },
    };
  }

  /** Lifetime of a presence entry without renewal, in ms. */
  get presenceTtl(): number {
    return this.presence.ttl;
  }
}
