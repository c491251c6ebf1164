import { connect, type WebSocketConnection } from "tungstate";
import { type Payload, type Record, View } from "./model.ts";
import type { Random } from "./random.ts";

const LONGEST_DELAY = 20_000; // ms, as in the SDKs
const SUBSCRIBE_DELAY = 500; // ms

interface Publication {
  readonly offset?: number;
  readonly data: Payload;
}

/** The fields of replies and pushes that the client reads. */
interface Line {
  readonly id?: number;
  readonly error?: { readonly code: number; readonly message: string; readonly temporary?: boolean };
  readonly connect?: object;
  readonly subscribe?: Parameters<View["begin"]>[0];
  readonly push?: {
    readonly channel: string;
    readonly pub?: Publication;
    readonly unsubscribe?: { readonly code: number; readonly reason: string };
  };
}

export interface ClientOptions {
  readonly name: string;
  readonly channels: readonly string[];
  /** URL of a node that accepts connections. */
  readonly pick: () => string;
  readonly record: Record;
  readonly random: Random;
  /**
   * Minimum ms before the first reconnect; the maximum is twice that. The SDKs use 500 by default.
   */
  readonly minReconnectDelay: number;
}

/**
 * A client like the SDKs: reconnects by itself, with its positions, and checks everything it
 * receives.
 */
export class ModelClient {
  readonly views: readonly View[];
  /** Channels with a subscription at the moment. */
  readonly subscribed = new Set<string>();
  private readonly options: ClientOptions;
  private readonly byChannel: ReadonlyMap<string, View>;
  private socket: WebSocketConnection | undefined;
  private readonly asked = new Map<number, View>();
  private nextId = 1;
  private attempts = 0;
  private readonly timers = new Set<NodeJS.Timeout>();
  private isStopped = false;

  constructor(options: ClientOptions) {
    this.options = options;
    this.views = options.channels.map((channel) => new View(options.name, channel, options.record));
    this.byChannel = new Map(this.views.map((view) => [view.channel, view]));
  }

  start(): void {
    void this.connect();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    for (const timer of this.timers) clearTimeout(timer);
    await this.socket?.close(1000);
  }

  private async connect(): Promise<void> {
    if (this.isStopped) return;
    let socket: WebSocketConnection;
    try {
      socket = await connect(this.options.pick(), { handshakeTimeout: 10_000 });
    } catch {
      this.comeBack();
      return;
    }
    this.socket = socket;
    this.asked.clear();
    this.subscribed.clear();
    socket.on("message", (message) => {
      if (message.type !== "text") return;
      for (const line of message.text.split("\n")) this.read(line, socket);
    });
    socket.on("close", ({ code }) => {
      if (this.isStopped) return;
      this.options.record.disconnects++;
      if ((code >= 3500 && code < 4000) || (code >= 4500 && code < 5000)) {
        this.options.record.problem(`${this.options.name} was disconnected permanently with ${code}`);
      }
      this.subscribed.clear();
      this.comeBack();
    });
    socket.write(JSON.stringify({ id: this.nextId++, connect: {} }));
  }

  private comeBack(): void {
    const { random, minReconnectDelay } = this.options;
    const delay = Math.min(LONGEST_DELAY, minReconnectDelay * (1 + random.next() * 2 ** this.attempts++));
    this.after(delay, () => void this.connect());
  }

  private after(ms: number, what: () => void): void {
    if (this.isStopped) return;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      what();
    }, ms);
    this.timers.add(timer);
  }

  private subscribe(view: View): void {
    const id = this.nextId++;
    this.asked.set(id, view);
    const { channel, position } = view;
    const recover = position === undefined ? {} : { recover: true, ...position };
    this.socket?.write(JSON.stringify({ id, subscribe: { channel, ...recover } }));
  }

  private read(text: string, socket: WebSocketConnection): void {
    if (text === "{}") {
      socket.write("{}");
      return;
    }
    const line = JSON.parse(text) as Line;
    const { id, push, error } = line;
    if (push !== undefined) {
      const view = this.byChannel.get(push.channel);
      if (view === undefined) return;
      if (push.pub !== undefined && this.subscribed.has(view.channel)) view.see(push.pub);
      if (push.unsubscribe !== undefined) {
        this.subscribed.delete(view.channel);
        this.options.record.resubscribed++;
        this.subscribe(view);
      }
      return;
    }
    if (line.connect !== undefined) {
      this.attempts = 0;
      for (const view of this.views) this.subscribe(view);
      return;
    }
    const view = id === undefined ? undefined : this.asked.get(id);
    if (id === undefined || view === undefined) return;
    this.asked.delete(id);
    if (line.subscribe !== undefined) {
      this.subscribed.add(view.channel);
      view.begin(line.subscribe);
    } else if (error?.temporary === true) {
      // while Redis is away
      this.after(SUBSCRIBE_DELAY * (1 + this.options.random.next()), () => {
        if (this.socket === socket && socket.state === "open") this.subscribe(view);
      });
    } else {
      this.options.record.problem(`${this.options.name} in ${view.channel}: ${JSON.stringify(error)}`);
    }
  }
}
