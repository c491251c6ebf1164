import type { Broker, BrokerHandler, HistoryPage, PendingFanOut, Publication } from "../../src/broker/broker.ts";
import { MemoryBroker } from "../../src/broker/memory-broker.ts";

/** A broker with deliveries and history controlled by a test. */
export class FaultyBroker implements Broker {
  lossy = true;
  /** Decides about a delivery: false loses it. */
  passes: (publication: Publication) => boolean = () => true;
  /** Called before and after history is read. */
  onHistory: (() => Promise<void>) | undefined;
  changePage: ((page: HistoryPage) => HistoryPage) | undefined;
  handler: BrokerHandler | undefined;
  readonly inner = new MemoryBroker();
  readonly calls: string[] = [];

  start(handler: BrokerHandler): Promise<void> {
    this.handler = handler;
    return this.inner.start({
      ...handler,
      publication: (channel, publication, epoch): PendingFanOut | undefined =>
        this.passes(publication) ? handler.publication(channel, publication, epoch) : undefined,
    });
  }
  stop = (): Promise<void> => this.inner.stop();
  subscribe(channel: string): Promise<void> {
    this.calls.push(`subscribe ${channel}`);
    return this.inner.subscribe(channel);
  }
  unsubscribe(channel: string): Promise<void> {
    this.calls.push(`unsubscribe ${channel}`);
    return this.inner.unsubscribe(channel);
  }
  publish: Broker["publish"] = (...args) => this.inner.publish(...args);
  publishJoin: Broker["publishJoin"] = (...args) => this.inner.publishJoin(...args);
  publishLeave: Broker["publishLeave"] = (...args) => this.inner.publishLeave(...args);
  async history(...args: Parameters<Broker["history"]>): Promise<HistoryPage> {
    const page = await this.inner.history(...args);
    await this.onHistory?.();
    return this.changePage?.(page) ?? page;
  }
  removeHistory: Broker["removeHistory"] = (...args) => this.inner.removeHistory(...args);
  control: Broker["control"] = (...args) => this.inner.control(...args);
}
