import { type ClientInfo, MemoryBroker, MemoryEngine, MemoryPresenceStore, type Clock } from "@tungstate/hub";
import type { DeliveryCalls, StoreCalls } from "./calls.ts";
import type { Link } from "./link.ts";

/** What a worker has told that has to be taken back when it dies. */
class Traces {
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

/** One worker's access to the stores. */
export interface StoreAccess {
  /** What its link does for it. */
  readonly calls: StoreCalls;
  /** The worker is gone: so are its clients, from presence, and by a leave where they had joined. */
  end(): Promise<void>;
}

/** Channels and presence of all workers, in the memory of their primary. */
export class SharedStores {
  private readonly engine: MemoryEngine;
  private readonly presence: MemoryPresenceStore;
  /** The call that is being published: what the engine hands over meanwhile is its publication. */
  private publishing: { readonly worker: unknown; readonly call: number } | undefined;

  constructor(clock?: Clock) {
    const options = clock === undefined ? {} : { clock };
    this.engine = new MemoryEngine(options);
    this.presence = new MemoryPresenceStore(options);
  }

  /** `link`: asked for when there is something to tell. */
  accessFor(link: () => Link<DeliveryCalls>): StoreAccess {
    const { presence } = this;
    const broker = new MemoryBroker(this.engine);
    const worker = {};
    const ids = new Map<string, number>();
    const present = new Traces();
    const joined = new Traces();
    const idOf = (channel: string): number => ids.get(channel) ?? 0;
    const calls: StoreCalls = {
      brokerStart: () =>
        broker.start({
          publication: (channel, publication, epoch) => {
            const call = this.publishing?.worker === worker ? this.publishing.call : undefined;
            link().note("publication", channel, idOf(channel), publication, epoch, call);
            // what becomes of it is known elsewhere
            return undefined;
          },
          join: (channel, info) => link().note("join", channel, idOf(channel), info),
          leave: (channel, info) => link().note("leave", channel, idOf(channel), info),
          control: (message) => link().note("control", message),
          interrupted: () => undefined, // impossible: nothing is lost in memory
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

  /** How long an entry of presence lives without being renewed, ms. */
  get presenceTtl(): number {
    return this.presence.ttl;
  }
}
