import type {
  Broker,
  BrokerHandler,
  BrokerResult,
  ClientInfo,
  HistoryFilter,
  HistoryPage,
  NewPublication,
  BrokerPublishOptions,
} from "./broker.ts";
import { type EngineNode, MemoryEngine } from "./memory-engine.ts";
import { HubError } from "../errors.ts";

/**
 * A broker in the memory of this process. It loses nothing while the process runs, and everything
 * when it ends. Hubs of one process share channels if their brokers share an engine.
 */
export class MemoryBroker implements Broker {
  readonly lossy = false;
  readonly #engine: MemoryEngine;
  #node: EngineNode | undefined;

  constructor(engine: MemoryEngine = new MemoryEngine()) {
    this.#engine = engine;
  }

  async start(handler: BrokerHandler): Promise<void> {
    if (this.#node !== undefined) throw new HubError("INVALID_STATE", "this broker already serves a hub");
    this.#node = this.#engine.attach(handler);
  }

  async stop(): Promise<void> {
    if (this.#node !== undefined) this.#engine.detach(this.#node);
    this.#node = undefined;
  }

  async subscribe(channel: string): Promise<void> {
    this.#engine.subscribe(this.#started(), channel);
  }

  async unsubscribe(channel: string): Promise<void> {
    if (this.#node !== undefined) this.#engine.unsubscribe(this.#node, channel);
  }

  publish(channel: string, publication: NewPublication, options: BrokerPublishOptions): Promise<BrokerResult> {
    return this.#engine.publish(channel, publication, options);
  }

  async publishJoin(channel: string, info: ClientInfo): Promise<void> {
    this.#engine.publishJoin(channel, info);
  }

  async publishLeave(channel: string, info: ClientInfo): Promise<void> {
    this.#engine.publishLeave(channel, info);
  }

  async history(channel: string, filter: HistoryFilter, metaTtl: number): Promise<HistoryPage> {
    return this.#engine.history(channel, filter, metaTtl);
  }

  async removeHistory(channel: string): Promise<void> {
    this.#engine.removeHistory(channel);
  }

  async control(message: string): Promise<void> {
    this.#engine.control(this.#started(), message);
  }

  #started(): EngineNode {
    if (this.#node === undefined) throw new HubError("INVALID_STATE", "the broker has not been started");
    return this.#node;
  }
}
