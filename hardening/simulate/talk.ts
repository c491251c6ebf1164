import { client, reconnecting, type ReconnectingConnection, type WebSocketConnection, WebSocketError } from "tungstate";
import type { Node } from "./node.ts";
import { read, Session } from "./sessions.ts";
import { hold, type Life, type Weather, type World } from "./world.ts";

const HEARTBEAT = { interval: 2_000, timeout: 1_000 };
export const CONNECTION = { heartbeat: HEARTBEAT, closeTimeout: 1_000, handshakeTimeout: 3_000 };
/** Threads have no order that a seed determines, so none are used. */
export const COMPRESSION = { asyncThreshold: 1 << 20, threshold: 10 };
const OUTBOXES = [600, 20_000]; // bytes
const MAX_WRITE_BUFFER = 200_000; // bytes
const LARGEST = 40_000; // bytes

/** Where clients find nodes. */
export interface Directory {
  readonly nodes: readonly Node[];
  readonly weather: Weather;
  /** Whether connections are also dropped deliberately. */
  readonly stormy: boolean;
}

/**
 * Opens a byte stream to a node; undefined if none is running. A rejected client sees its stream
 * end.
 */
export function dialNode(
  world: World,
  where: Directory,
  take: (node: Node, far: ReturnType<World["link"]>["far"]) => void,
) {
  const { near, far } = world.link(where.weather);
  const alive = where.nodes.filter((node) => node.life.alive);
  if (alive.length === 0) far.destroy();
  else {
    const node = world.dice.pick(alive);
    node.links.add(near);
    near.once("close", () => node.links.delete(near));
    take(node, far);
  }
  return near;
}

/**
 * A client that talks to any node with numbered messages. Compares what it writes to
 * `reconnecting`, what that passes to each connection, and what each node receives.
 */
export class Talker {
  readonly name: string;
  readonly connection: ReconnectingConnection;
  readonly sessions: Session[] = [];
  private readonly world: World;
  private readonly life: Life;
  private readonly where: Directory;
  /** Messages accepted by `write`, without dropped ones. */
  private accepted: string[] = [];
  private given: string[] = [];
  private dropped = 0;
  private next = 0;
  private stopped = false;

  constructor(world: World, name: string, where: Directory) {
    const { dice } = world;
    this.world = world;
    this.name = name;
    this.where = where;
    this.life = world.life(name);
    const compression = dice.chance(0.3) ? COMPRESSION : false;
    const policy = dice.pick(["reject", "drop-oldest"] as const);
    const receiveQueueSize = dice.pick([500, 20_000]);
    this.connection = reconnecting("ws://node/talk", {
      ...CONNECTION,
      clock: this.life,
      random: () => dice.number(),
      fillRandom: (target) => dice.bytes(target),
      watchNetworks: false,
      backoff: { initialDelay: 100, maxDelay: 1_000, resetAfter: 500 },
      outbox: { size: dice.pick(OUTBOXES), policy },
      compression,
      receiveQueueSize,
      maxWriteBufferSize: MAX_WRITE_BUFFER,
      writeBufferSize: 4_000,
      connect: async (url, options) => {
        const session = new Session(`${name}#${this.sessions.length + 1}`);
        this.sessions.push(session);
        const stream = dialNode(world, where, (node, far) => node.talk(far, session));
        const made = await client(url, stream, options);
        this.watch(made, session);
        return made;
      },
    });
    this.connection.on("drop", (data) => {
      this.dropped++;
      world.count("messages dropped by an outbox");
      hold(typeof data === "string", () => "a dropped message of another type");
      this.accepted.splice(this.accepted.indexOf(data), 1);
    });
    this.connection.on("gap", (gap) => world.log(name, `gap, ${gap.unsent} unsent, lost by ${gap.lost.code}`));
    this.connection.on("close", (info) => world.log(name, `ended: ${info.code} ${info.error?.code ?? ""}`));
    void this.writeNow();
  }

  /** One of the consecutive connections: messages passed to it, messages received, its end. */
  private watch(made: WebSocketConnection, session: Session): void {
    const { world } = this;
    world.count("connections");
    world.log(session.name, "open");
    const write = made.write.bind(made);
    made.write = (data, options) => {
      if (made.state !== "open" || typeof data !== "string") return write(data, options);
      const lists = [session.client.sent, this.given];
      for (const list of lists) list.push(data); // it may arrive before `write` returns
      try {
        return write(data, options);
      } catch (error) {
        for (const list of lists) list.pop(); // it was not sent
        throw error;
      }
    };
    const close = made.close.bind(made);
    made.close = (code, reason) => {
      if (made.state === "open") session.client.closing = code ?? 1000;
      return close(code, reason);
    };
    read(
      made,
      world.dice.pick(["listener", "iteration", "batches"]),
      () => this.pause(),
      (text) => {
        world.count("messages received");
        this.check(() => session.got("client", text));
      },
      () => (session.client.read = true),
      (error) => world.fail(error),
    );
    made.on("close", (info) => {
      world.count(info.clean ? "connections closed" : "connections lost");
      world.log(session.name, `client: ${info.code} ${info.clean ? "clean" : (info.error?.code ?? "")}`);
      this.check(() => session.closed("client", info));
    });
  }

  private pause(): Promise<void> | undefined {
    const { dice } = this.world;
    if (!dice.chance(0.1)) return undefined;
    return new Promise((resolve) => this.life.after(dice.whole(1, 400), resolve));
  }

  private check(what: () => void): void {
    try {
      what();
    } catch (error) {
      this.world.fail(error);
    }
  }

  private async writeNow(): Promise<void> {
    const { dice } = this.world;
    while (!this.stopped) {
      for (let burst = dice.whole(1, 4); burst > 0; burst--) this.writeOne();
      if (dice.chance(0.05)) this.ping();
      if (this.where.stormy && dice.chance(0.02)) this.connection.current?.terminate();
      await new Promise<void>((resolve) => this.life.after(dice.whole(5, 1_500), resolve));
    }
  }

  private ping(): void {
    const { world } = this;
    this.connection.ping().then(
      (roundTrip) => {
        world.count("pings answered");
        this.check(() => hold(roundTrip >= 0, () => `${this.name}: a round trip of ${roundTrip} ms`));
      },
      () => undefined, // there was no connection, or it ended
    );
  }

  private writeOne(): void {
    const { world, connection } = this;
    const size = world.dice.chance(0.05) ? world.dice.whole(1, LARGEST) : world.dice.whole(0, 300);
    const text = `${this.name}:${this.next++}:${"x".repeat(size)}`;
    if (!connection.writable) return;
    // it may be passed on or dropped before `write` returns
    this.accepted.push(text);
    try {
      connection.write(text);
    } catch (error) {
      this.accepted.splice(this.accepted.lastIndexOf(text), 1);
      const full = error instanceof WebSocketError && error.code === "WRITE_BUFFER_FULL";
      if (!full) world.fail(error);
    }
    this.check(() =>
      hold(
        connection.bufferedAmount <= Math.max(...OUTBOXES) + MAX_WRITE_BUFFER + 2 * LARGEST,
        () => `${this.name}: ${connection.bufferedAmount} bytes wait`,
      ),
    );
  }

  stop(): void {
    this.stopped = true;
  }

  /** Called when everything has ended. */
  checkEnd(): void {
    const { name, given, accepted } = this;
    // in order, without duplicates, and only dropped messages missing: messages not passed on at
    // the end were dropped, too
    const same = given.length === accepted.length && given.every((text, at) => text === accepted[at]);
    hold(
      same,
      () =>
        `${name}: ${accepted.length} messages were taken, ${this.dropped} dropped besides, ${given.length} handed on`,
    );
    for (const session of this.sessions) session.checkArrivals();
    hold(this.life.pending === 0, () => `${name}: ${this.life.pending} timers are left`);
  }
}
