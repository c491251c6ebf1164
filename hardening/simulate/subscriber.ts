import { client, reconnecting, type ReconnectingConnection, type WebSocketConnection } from "tungstate";
import { CONNECTION, dialNode, type Directory } from "./talk.ts";
import { hold, type Life, type World } from "./world.ts";

/** All publications that there ever were: what is at each place of each stream. */
export class Truth {
  private readonly streams = new Map<string, Map<number, string>>();
  private readonly tops = new Map<string, { readonly epoch: string; readonly offset: number }>();

  publication(channel: string, epoch: string, offset: number, data: string): void {
    const key = `${channel} ${epoch}`;
    let stream = this.streams.get(key);
    if (stream === undefined) this.streams.set(key, (stream = new Map()));
    hold(offset === stream.size + 1, () => `${key}: the store gave ${offset} behind ${stream.size}`);
    stream.set(offset, data);
    this.tops.set(channel, { epoch, offset });
  }

  at(channel: string, epoch: string, offset: number): string | undefined {
    return this.streams.get(`${channel} ${epoch}`)?.get(offset);
  }

  /** The newest place of a channel. */
  top(channel: string): { readonly epoch: string; readonly offset: number } | undefined {
    return this.tops.get(channel);
  }
}

interface Place {
  epoch: string;
  offset: number;
}

interface Pub {
  readonly data: unknown;
  readonly offset?: number;
}

interface Line {
  readonly id?: number;
  readonly error?: { readonly code: number; readonly message: string };
  readonly connect?: { readonly client: string };
  readonly subscribe?: {
    readonly epoch?: string;
    readonly offset?: number;
    readonly recovered?: boolean;
    readonly publications?: readonly Pub[];
  };
  readonly push?: { readonly channel?: string; readonly pub?: Pub; readonly unsubscribe?: { readonly code: number } };
}

const RETRY = 500; // ms

/** A client of the hub, by its protocol. What it sees of each channel has no gap and no double but those that it is told of. */
export class Subscriber {
  readonly name: string;
  readonly connection: ReconnectingConnection;
  /** Its id at the hub, while it is connected. */
  client: string | undefined;
  private readonly world: World;
  private readonly life: Life;
  private readonly truth: Truth;
  private readonly channels: readonly string[];
  private readonly places = new Map<string, Place>();
  private readonly live = new Set<string>();
  private readonly asked = new Map<number, string>();
  /** Where it wants to go on, by channel. */
  private readonly since = new Map<string, Place>();
  private current: WebSocketConnection | undefined;
  private nextId = 1;
  /** The id of the first command on the current connection. */
  private begunAt = 1;

  constructor(world: World, name: string, where: Directory, channels: readonly string[], truth: Truth) {
    const { dice } = world;
    this.world = world;
    this.name = name;
    this.truth = truth;
    this.channels = channels;
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
      world.log(name, `waits behind ${why}`);
    });
  }

  /** Whether it is subscribed to everything, and has everything. */
  caughtUp(): boolean {
    return this.channels.every((channel) => {
      const top = this.truth.top(channel);
      const place = this.places.get(channel);
      return (
        this.live.has(channel) && (top === undefined || (top.epoch === place?.epoch && top.offset === place.offset))
      );
    });
  }

  describe(): string {
    const at = this.channels.map((channel) => {
      const [place, top] = [this.places.get(channel), this.truth.top(channel)];
      return `${channel} ${this.live.has(channel) ? "live" : "not live"} at ${place?.epoch} ${place?.offset} of ${top?.epoch} ${top?.offset}`;
    });
    return `${this.name} (${this.connection.status.state}): ${at.join("; ")}`;
  }

  /** One connection's messages behind another's, with a gap between them. */
  private async read(): Promise<void> {
    const { dice } = this.world;
    for await (const item of this.connection.withGaps()) {
      if (item.type === "gap") this.forget();
      else for (const line of item.text.split("\n")) this.take(line);
      // a reader that is slow now and then
      if (dice.chance(0.03)) await new Promise<void>((resolve) => this.life.after(dice.whole(50, 3_000), resolve));
    }
  }

  private opened(connection: WebSocketConnection): void {
    this.current = connection;
    this.begunAt = this.nextId;
    this.ask({ connect: {} }, "connect");
  }

  /** What comes now is of another connection: nothing is left of what was subscribed and asked on the one before. */
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
    const line = JSON.parse(text) as Line;
    try {
      if (line.push !== undefined) this.pushed(line.push);
      else this.answered(line);
    } catch (error) {
      this.world.fail(error);
    }
  }

  private answered({ id = 0, error, connect, subscribe }: Line): void {
    const what = this.asked.get(id);
    // an answer of a connection before: its messages come first, and they were told of its end
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
      for (const channel of this.channels) this.subscribe(channel);
    } else if (subscribe !== undefined) this.subscribed(what, subscribe);
  }

  private subscribe(channel: string): void {
    const isAsked = [...this.asked.values()].includes(channel);
    if (this.live.has(channel) || isAsked) return;
    const place = this.places.get(channel);
    if (place === undefined) this.since.delete(channel);
    else this.since.set(channel, { ...place });
    this.ask({ subscribe: { channel, ...(place !== undefined && { recover: true, ...place }) } }, channel);
  }

  private subscribed(channel: string, result: NonNullable<Line["subscribe"]>): void {
    const { epoch = "", offset = 0, recovered = false, publications = [] } = result;
    const place = this.places.get(channel);
    this.live.add(channel);
    if (place !== undefined && recovered) {
      const since = this.since.get(channel);
      hold(epoch === place.epoch, () => `${this.name} ${channel}: recovered from another stream`);
      // where it stands before the publications
      hold(
        offset === since?.offset && offset === place.offset,
        () =>
          `${this.name} ${channel}: wanted to go on at ${since?.offset}, stands at ${place.offset}, was told ${offset}`,
      );
      this.world.count("recoveries");
      this.world.count("publications recovered", publications.length);
      for (const publication of publications) this.follow(channel, publication);
    } else {
      if (place !== undefined) this.world.count("losses that a subscriber was told of");
      this.places.set(channel, { epoch, offset });
    }
    this.world.log(
      this.name,
      `${channel} at ${offset}${place === undefined ? "" : recovered ? ", recovered" : ", not recovered"}`,
    );
  }

  private pushed({ channel = "", pub, unsubscribe }: NonNullable<Line["push"]>): void {
    if (pub !== undefined) this.follow(channel, pub);
    if (unsubscribe === undefined) return;
    this.world.log(this.name, `${channel} unsubscribed by ${unsubscribe.code}`);
    this.live.delete(channel);
    const { current } = this;
    this.life.after(RETRY, () => {
      if (this.current === current && current?.state === "open") this.subscribe(channel);
    });
  }

  /** A publication has to be the next one, and what was published there. */
  private follow(channel: string, { data, offset = 0 }: Pub): void {
    const place = this.places.get(channel);
    hold(
      place !== undefined && this.live.has(channel),
      () => `${this.name} ${channel}: ${offset} without a subscription`,
    );
    hold(offset === place.offset + 1, () => `${this.name} ${channel}: ${offset} behind ${place.offset}`);
    this.world.count("publications received");
    const published = this.truth.at(channel, place.epoch, offset);
    hold(
      JSON.stringify(data) === published,
      () => `${this.name} ${channel} ${offset}: ${JSON.stringify(data)}, published was ${published}`,
    );
    place.offset = offset;
  }

  checkEnd(): void {
    hold(this.life.pending === 0, () => `${this.name}: ${this.life.pending} timers are left`);
  }
}
