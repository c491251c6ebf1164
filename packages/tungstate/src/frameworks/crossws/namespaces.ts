import type { AdapterOptions, Peer, SyncDriver } from "crossws";
import { randomUUID } from "node:crypto";
import { PreparedMessage } from "../../connection/prepared-message.ts";
import { reportHandlerError } from "../../schedule/report.ts";
import { payloadOf } from "./payload.ts";
import type { Neighbours, TungstatePeer } from "./peer.ts";

/** Options of `publish`. */
interface PublishOptions {
  readonly compress?: boolean;
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
}

/** The peers of an adapter by namespace, and the messages that are published to them. */
export class Namespaces implements Neighbours {
  readonly all = new Map<string, Set<Peer>>();
  /** Connects other instances; undefined without the option `sync`. */
  readonly sync: SyncDriver | undefined;
  readonly #onError: NonNullable<AdapterOptions["onError"]>;

  constructor({ sync, onError = reportHandlerError }: AdapterOptions) {
    this.#onError = onError;
    this.sync = sync?.({ id: randomUUID() });
    this.#attempt("subscribe", () =>
      this.sync?.subscribe(({ namespace, topic, data }) =>
        this.#attempt("delivery", () => this.#deliver(topic, data, { namespace: namespace || undefined }, undefined)),
      ),
    );
  }

  /** Returns the peers of a namespace. */
  peers(namespace: string): Set<Peer> {
    let peers = this.all.get(namespace);
    if (peers === undefined) this.all.set(namespace, (peers = new Set()));
    return peers;
  }

  add(peer: TungstatePeer): void {
    this.peers(peer.namespace).add(asPeer(peer));
  }

  /** A namespace without peers is forgotten: clients may choose it by their path. */
  delete(peer: TungstatePeer): void {
    const peers = this.all.get(peer.namespace);
    peers?.delete(asPeer(peer));
    if (peers?.size === 0) this.all.delete(peer.namespace);
  }

  /**
   * Sends a message to the subscribers of a topic but `except`, on this and all other instances.
   */
  publish(topic: string, data: unknown, options: PublishOptions = {}, except?: TungstatePeer): void {
    const payload = payloadOf(data);
    this.#deliver(topic, payload, options, except);
    this.#attempt("publish", () => this.sync?.publish({ namespace: options.namespace ?? "", topic, data: payload }));
  }

  #deliver(
    topic: string,
    payload: string | Uint8Array,
    { namespace, compress }: PublishOptions,
    except: TungstatePeer | undefined,
  ): void {
    const namespaces = namespace === undefined ? this.all.values() : [this.all.get(namespace) ?? []];
    const prepared = new PreparedMessage(payload); // encoded once for all
    for (const peers of namespaces) {
      for (const peer of peers as Iterable<unknown> as Iterable<TungstatePeer>) {
        if (peer === except || !peer.topics.has(topic)) continue;
        peer.connection.write(prepared, compress === undefined ? {} : { compress });
      }
    }
  }

  /** A failure of the other instances does not concern the caller. */
  #attempt(stage: "subscribe" | "publish" | "delivery", run: () => unknown): void {
    try {
      void Promise.resolve(run()).catch((error: unknown) => this.#onError(error, { stage }));
    } catch (error) {
      this.#onError(error, { stage });
    }
  }
}

/** A peer, as hooks get it: the class of crossws has private members. */
export const asPeer = (peer: TungstatePeer): Peer => peer as unknown as Peer;
