import {
  ChannelFollower,
  type HubLine,
  type HubPublication,
  type SubscribeResult,
} from "../support/channel-follower.ts";
import { client, reconnecting, type ReconnectingConnection, type WebSocketConnection } from "tungstate";
import { CONNECTION, dialNode, type Directory } from "./talk.ts";
import { hold, type Life, type World } from "./world.ts";

/** All publications of a run, by stream and offset. */
export class Truth {
  private readonly streams = new Map<string, Map<number, string>>();
  private readonly tops = new Map<string, { readonly epoch: string; readonly offset: number }>();

  publication(channel: string, epoch: string, offset: number, data: string): void {
    const key = `${channel} ${epoch}`;
    let stream = this.streams.get(key);
    if (stream === undefined) this.streams.set(key, (stream = new Map()));
    hold(offset === stream.size + 1, () => `${key}: the store assigned ${offset} after ${stream.size}`);
    stream.set(offset, data);
    this.tops.set(channel, { epoch, offset });
  }

  at(channel: string, epoch: string, offset: number): string | undefined {
    return this.streams.get(`${channel} ${epoch}`)?.get(offset);
  }

  /** The newest offset of a channel. */
  top(channel: string): { readonly epoch: string; readonly offset: number } | undefined {
    return this.tops.get(channel);
  }
}

const RETRY = 500; // ms

/**
 * A client of the hub's protocol. Its channels must have no gaps or duplicates except those it is
 * notified of.
 */
export class Subscriber {
  readonly name: string;
  readonly connection: ReconnectingConnection;
  /** Its client id while it is connected. */
  client: string | undefined;
  private readonly world: World;
  private readonly life: Life;
  private readonly truth: Truth;
  private readonly followers: ReadonlyMap<string, ChannelFollower>;
  private readonly live = new Set<string>();
  private readonly asked = new Map<number, string>();
  private current: WebSocketConnection | undefined;
  private nextId = 1;
  /** The id of the first command on the current connection. */
  private begunAt = 1;

  constructor(world: World, name: string, where: Directory, channels: readonly string[], truth: Truth) {
    const { dice } = world;
    this.world = world;
    this.name = name;
    this.truth = truth;
    this.followers = new Map(channels.map((channel) => [channel, new ChannelFollower(channel)]));
    this.life = world.life(name);
    this.connection = reconnecting("ws://node/hub", {
      ...CONNECTION,
      clock: this.life,
      random: () => dice.number(),
      fillRandom: (target) => dice.bytes(target),
      watchNetworks: false,
      backoff: { initialDelay: 100, maxDelay: 1_000, resetAfter: 500 },
      receiveQueueSize: dice.pick([200, 50_000]),
      connect: (url, options) =>
        client(
          url,
          dialNode(world, where, (node, far) => node.serveHub(far)),
          options,
        ),
    });
    this.connection.on("open", (connection) => this.opened(connection));
    this.read().catch((error: unknown) => world.fail(error));
    this.connection.on("waiting", ({ after }) => {
      const why = after.type === "closed" ? `${after.info.code}` : after.error.code;
      world.log(name, `waits after ${why}`);
    });
  }

  /** Whether it is subscribed to all channels and has all publications. */
  caughtUp(): boolean {
    return [...this.followers.values()].every(({ channel, place }) => {
      const top = this.truth.top(channel);
      return (
        this.live.has(channel) && (top === undefined || (top.epoch === place?.epoch && top.offset === place.offset))
      );
    });
  }

  describe(): string {
    const at = Array.from(this.followers.values(), ({ channel, place }) => {
      const top = this.truth.top(channel);
      return `${channel} ${this.live.has(channel) ? "live" : "not live"} at ${place?.epoch} ${place?.offset} of ${top?.epoch} ${top?.offset}`;
    });
    return `${this.name} (${this.connection.status.state}): ${at.join("; ")}`;
  }

  /** Separates the messages of consecutive connections. */
  private async read(): Promise<void> {
    const { dice } = this.world;
    for await (const item of this.connection.withGaps()) {
      if (item.type === "gap") this.forget();
      else for (const line of item.text.split("\n")) this.take(line);
      // sometimes reads slowly
      if (dice.chance(0.03)) await new Promise<void>((resolve) => this.life.after(dice.whole(50, 3_000), resolve));
    }
  }

  private opened(connection: WebSocketConnection): void {
    this.current = connection;
    this.begunAt = this.nextId;
    this.ask({ connect: {} }, "connect");
  }

  /** Starts a new connection: subscriptions and requests of the previous one are void. */
  private forget(): void {
    this.client = undefined;
    this.live.clear();
    for (const id of this.asked.keys()) if (id < this.begunAt) this.asked.delete(id);
  }

  private ask(command: object, what: string): void {
    const id = this.nextId++;
    this.asked.set(id, what);
    this.current?.write(JSON.stringify({ id, ...command }));
  }

  private take(text: string): void {
    if (text === "{}") {
      this.current?.write("{}");
      return;
    }
    const line = JSON.parse(text) as HubLine;
    try {
      if (line.push !== undefined) this.pushed(line.push);
      else this.answered(line);
    } catch (error) {
      this.world.fail(error);
    }
  }

  private answered({ id = 0, error, connect, subscribe }: HubLine): void {
    const what = this.asked.get(id);
    // a reply to an earlier connection: its messages precede the notification of its end
    if (what === undefined) return;
    this.asked.delete(id);
    if (error !== undefined) {
      this.world.log(this.name, `${what}: error ${error.code}`);
      const { current } = this;
      this.life.after(RETRY, () => {
        if (this.current !== current || current?.state !== "open") return;
        if (what === "connect") this.ask({ connect: {} }, "connect");
        else this.subscribe(what);
      });
    } else if (connect !== undefined) {
      this.client = connect.client;
      for (const channel of this.followers.keys()) this.subscribe(channel);
    } else if (subscribe !== undefined) this.subscribed(what, subscribe);
  }

  private subscribe(channel: string): void {
    const isAsked = [...this.asked.values()].includes(channel);
    if (this.live.has(channel) || isAsked) return;
    const follower = this.followers.get(channel);
    if (follower !== undefined) this.ask(follower.subscribeCommand(), channel);
  }

  private subscribed(channel: string, result: SubscribeResult): void {
    const { offset = 0, publications = [] } = result;
    const follower = this.followers.get(channel);
    hold(follower !== undefined, () => `${this.name}: a subscription to ${channel}`);
    this.live.add(channel);
    const { place } = follower;
    const { outcome, fault } = follower.subscribed(result);
    hold(
      outcome !== "recovered" || follower.place?.epoch === place?.epoch,
      () => `${this.name} ${channel}: recovered from another stream`,
    );
    hold(fault === undefined, () => `${this.name} ${channel}: ${fault}`);
    if (outcome === "recovered") {
      this.world.count("recoveries");
      this.world.count("publications recovered", publications.length);
      for (const publication of publications) this.follow(channel, publication);
    } else if (outcome === "lost") this.world.count("losses reported to a subscriber");
    this.world.log(this.name, `${channel} at ${offset}, ${outcome}`);
  }

  private pushed({ channel = "", pub, unsubscribe }: NonNullable<HubLine["push"]>): void {
    if (pub !== undefined) this.follow(channel, pub);
    if (unsubscribe === undefined) return;
    this.world.log(this.name, `${channel} unsubscribed by ${unsubscribe.code}`);
    this.live.delete(channel);
    const { current } = this;
    this.life.after(RETRY, () => {
      if (this.current === current && current?.state === "open") this.subscribe(channel);
    });
  }

  /** A publication must be the next one and have the published contents. */
  private follow(channel: string, publication: HubPublication): void {
    const { data, offset = 0 } = publication;
    const follower = this.followers.get(channel);
    hold(
      follower?.place !== undefined && this.live.has(channel),
      () => `${this.name} ${channel}: ${offset} without a subscription`,
    );
    const { epoch } = follower.place;
    const fault = follower.published(publication);
    hold(fault === undefined, () => `${this.name} ${channel}: ${fault}`);
    this.world.count("publications received");
    const published = this.truth.at(channel, epoch, offset);
    hold(
      JSON.stringify(data) === published,
      () => `${this.name} ${channel} ${offset}: ${JSON.stringify(data)}, published was ${published}`,
    );
  }

  checkEnd(): void {
    hold(this.life.pending === 0, () => `${this.name}: ${this.life.pending} timers are left`);
  }
}
