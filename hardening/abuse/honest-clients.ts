import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { connect, type WebSocketConnection } from "tungstate";
import { ChannelFollower, type HubLine, type HubPublication } from "../support/channel-follower.ts";

const ECHOES = 5;
const EVERY = 25; // ms
const SUBSCRIBERS = 5;
const CUT_EVERY = 1_500; // ms: each subscriber loses its connection and comes back
const PUBLISH_EVERY = 50; // ms
const CHANNEL = "public:honest";
const ADDRESS = "127.0.0.33";
const DELAY_RESOLUTION = 2; // ms of the timer that measures the event loop of this process

/** What became of the honest clients. */
export interface HonestReport {
  /** From sending a message to its echo, ms. */
  readonly p99: number;
  /**
   * The 99th percentile of how late timers of this process were, ms: a part of `p99` that is not
   * the server's.
   */
  readonly ownDelay: number;
  readonly echoes: number;
  /** Publications that were confirmed. */
  readonly published: number;
  /** Publications that a subscriber did not get, or got out of order. */
  readonly lost: number;
}

/**
 * Clients that echo, publish and subscribe with recovery, from another address than the attackers.
 */
export class Honest {
  private readonly url: string;
  private readonly times: number[] = [];
  private readonly delay: IntervalHistogram = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION });
  private readonly subscribers: Subscriber[] = [];
  private readonly sockets = new Set<WebSocketConnection>();
  private published = 0;
  private isOver = false;

  private constructor(url: string) {
    this.url = url;
  }

  static async start(url: string): Promise<Honest> {
    const honest = new Honest(url.replace("http", "ws"));
    honest.delay.enable();
    for (let index = 0; index < SUBSCRIBERS; index++) {
      const subscriber = new Subscriber(() => honest.open("/connection/websocket"), index * (CUT_EVERY / SUBSCRIBERS));
      await subscriber.start();
      honest.subscribers.push(subscriber);
    }
    for (let index = 0; index < ECHOES; index++) void honest.keep(() => honest.echo());
    void honest.keep(() => honest.publish());
    return honest;
  }

  /** What was measured before does not count. */
  reset(): void {
    this.times.length = 0;
    this.delay.reset();
  }

  /** Waits until the subscribers have all that was published, or for so long. */
  async stop(timeout: number): Promise<HonestReport> {
    this.isOver = true;
    const ownDelay = Math.max(0, this.delay.percentile(99) / 1e6 - DELAY_RESOLUTION);
    const until = performance.now() + timeout;
    const isThere = (): boolean => this.subscribers.every(({ last }) => last >= this.published);
    while (!isThere() && performance.now() < until) await sleep(20);
    const lost = this.subscribers.reduce((sum, { gaps, last }) => sum + gaps + Math.max(0, this.published - last), 0);
    for (const subscriber of this.subscribers) subscriber.stop();
    for (const socket of this.sockets) socket.terminate();
    const sorted = this.times.toSorted((a, b) => a - b);
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Infinity;
    return { p99, ownDelay, echoes: sorted.length, published: this.published, lost };
  }

  private async open(path: string): Promise<WebSocketConnection> {
    const socket = await connect(this.url + path, { proxy: false, localAddress: ADDRESS });
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    return socket;
  }

  private async keep(run: () => Promise<void>): Promise<void> {
    while (!this.isOver) {
      await run().catch(() => undefined);
      await sleep(50);
    }
  }

  private async echo(): Promise<void> {
    const from = performance.now();
    let socket: WebSocketConnection;
    try {
      socket = await this.open("/echo");
    } finally {
      // not to be let in is also to wait
      if (performance.now() - from > 1_000) this.times.push(performance.now() - from);
    }
    const iterator = socket[Symbol.asyncIterator]();
    while (!this.isOver) {
      const sent = performance.now();
      await socket.send("x".repeat(64));
      const { done } = await iterator.next();
      this.times.push(performance.now() - sent);
      if (done === true) return;
      await sleep(EVERY);
    }
  }

  /** Numbers, each once it was confirmed that the one before is there. */
  private async publish(): Promise<void> {
    const socket = await this.open("/connection/websocket");
    await socket.send(JSON.stringify({ id: 1, connect: {} }));
    let id = 1;
    for await (const { text } of socket) {
      for (const line of text.split("\n")) {
        if (line === "{}") socket.write("{}");
        const reply = JSON.parse(line) as HubLine;
        if (reply.id !== id) continue;
        if (id > 1 && reply.error === undefined) this.published++;
        if (this.isOver) return;
        await sleep(PUBLISH_EVERY);
        await socket.send(JSON.stringify({ id: ++id, publish: { channel: CHANNEL, data: this.published + 1 } }));
      }
    }
  }
}

/** Counts what is missing between the numbers that it gets, over all of its connections. */
class Subscriber {
  /** The highest number. */
  last = 0;
  gaps = 0;
  private readonly follower = new ChannelFollower(CHANNEL);
  private socket: WebSocketConnection | undefined;
  private isOver = false;
  private readonly open: () => Promise<WebSocketConnection>;
  private readonly delay: number;

  constructor(open: () => Promise<WebSocketConnection>, delay: number) {
    this.open = open;
    this.delay = delay;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => void this.run(resolve));
    setTimeout(() => {
      const timer = setInterval(() => {
        if (this.isOver) clearInterval(timer);
        else this.socket?.terminate();
      }, CUT_EVERY);
    }, this.delay).unref();
  }

  stop(): void {
    this.isOver = true;
    this.socket?.terminate();
  }

  private async run(onSubscribed: () => void): Promise<void> {
    while (!this.isOver) {
      await this.once(onSubscribed).catch(() => undefined);
      await sleep(50);
    }
  }

  private async once(onSubscribed: () => void): Promise<void> {
    const socket = (this.socket = await this.open());
    const commands = [
      { id: 1, connect: {} },
      { id: 2, ...this.follower.subscribeCommand() },
    ];
    await socket.send(commands.map((command) => JSON.stringify(command)).join("\n"));
    for await (const { text } of socket) {
      for (const line of text.split("\n")) {
        if (line === "{}") socket.write("{}");
        const { subscribe, push } = JSON.parse(line) as HubLine;
        if (subscribe !== undefined) {
          const { outcome, fault } = this.follower.subscribed(subscribe);
          if (outcome === "lost" || fault !== undefined) this.gaps++;
          for (const each of subscribe.publications ?? []) this.take(each);
          onSubscribed();
        }
        if (push?.pub !== undefined && push.channel === CHANNEL) this.take(push.pub);
      }
    }
  }

  private take(publication: HubPublication): void {
    if (this.follower.published(publication) !== undefined) this.gaps++;
    if (typeof publication.data === "number") this.last = Math.max(this.last, publication.data);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
