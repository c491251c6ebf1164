import type { ClientInfo, PendingFanOut, Publication } from "../broker/broker.ts";
import { Channel, type ChannelContext } from "./channel.ts";
import type { Namespace } from "../settings/namespaces.ts";

/** Number of positions checked between two checks of the time slice. */
const CHECKS_AT_ONCE = 16;

/** The channels of this node. A channel is subscribed to the broker while it has references. */
export class Channels {
  private readonly context: ChannelContext;
  private readonly channels = new Map<string, Channel>();
  /**
   * Channels that are being unsubscribed: a new subscription waits for the end, so that the broker
   * gets the calls in order.
   */
  private readonly closing = new Map<string, Promise<void>>();

  /** Where `checkSome` continues. */
  private round: Iterator<Channel, undefined> | undefined;

  constructor(context: ChannelContext) {
    this.context = context;
  }

  get size(): number {
    return this.channels.size;
  }

  get(name: string): Channel | undefined {
    return this.channels.get(name);
  }

  values(): IterableIterator<Channel> {
    return this.channels.values();
  }

  /** Returns the channel, opening it if needed: `opened` tells when. Release it once. */
  acquire(name: string, namespace: Namespace): Channel {
    let channel = this.channels.get(name);
    if (channel === undefined) {
      channel = new Channel(name, namespace, this.context, this.closing.get(name));
      channel.opened.catch(() => undefined); // the callers that wait for it get the error
      this.channels.set(name, channel);
      this.context.metrics.channels++;
    }
    channel.references++;
    return channel;
  }

  release(channel: Channel): void {
    if (--channel.references > 0) return;
    const { name } = channel;
    this.channels.delete(name);
    this.context.metrics.channels--;
    channel.close();
    const closing = this.unsubscribe(channel).finally(() => {
      if (this.closing.get(name) === closing) this.closing.delete(name);
    });
    this.closing.set(name, closing);
    this.context.background.add(closing);
  }

  publication(name: string, publication: Publication, epoch: string): PendingFanOut | undefined {
    return this.channels.get(name)?.receive(publication, epoch);
  }

  join(name: string, info: ClientInfo): void {
    this.channels.get(name)?.join(info);
  }

  leave(name: string, info: ClientInfo): void {
    this.channels.get(name)?.leave(info);
  }

  /**
   * Publications of these channels, or of all, may have been lost. Yields to other work while it
   * checks them.
   */
  async interrupted(names: Iterable<string> | undefined): Promise<void> {
    const channels = names === undefined ? [...this.channels.values()] : this.known(names);
    await this.context.slices.each(channels, CHECKS_AT_ONCE, (some) => {
      for (const channel of some) channel.checkPosition();
    });
  }

  /**
   * Checks the positions of some channels that are not known to be right since `time`: of all
   * channels in `parts` calls.
   */
  async checkSome(parts: number, time: number): Promise<void> {
    const loop = this.context.slices.loop();
    for (let wanted = Math.ceil(this.channels.size / parts); wanted > 0; wanted--) {
      if (loop.isOver()) await loop.next();
      let next = this.round?.next();
      if (next === undefined || next.done === true) {
        this.round = this.channels.values();
        next = this.round.next();
        if (next.done === true) break;
      }
      next.value.checkPosition(time);
    }
    loop.end();
  }

  private known(names: Iterable<string>): Channel[] {
    return Array.from(names, (name) => this.channels.get(name)).filter((channel) => channel !== undefined);
  }

  private async unsubscribe(channel: Channel): Promise<void> {
    await channel.opened.catch(() => undefined);
    await this.context.broker.unsubscribe(channel.name).catch(this.context.background.onError);
  }
}
