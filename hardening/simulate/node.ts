import type { Duplex } from "node:stream";
import { attachSocket, Hub, type MemoryPresenceStore } from "@tungstate/hub";
import { MemoryBudget, WebSocketServer } from "tungstate";
import type { ConditionedStream } from "tungstate/testing";
import { FaultyBroker, type Faults, Mortal } from "./faulty-broker.ts";
import { read, type Session } from "./sessions.ts";
import { COMPRESSION, CONNECTION } from "./talk.ts";
import { hold, type Life, type World } from "./world.ts";
import type { MemoryEngine } from "@tungstate/hub";

const BUDGET = 400_000; // bytes
/** What may arrive before the budget acts: a chunk of the memory pipe for each connection. */
const OVERSHOOT = 64 * 1024 * 8;

/** State shared by all nodes of a hub. */
export interface Shared {
  readonly engine: MemoryEngine;
  readonly presence: MemoryPresenceStore;
  readonly faults: Faults;
  readonly historySize: number;
}

/** A server process: WebSocket servers for talk and for the hub. */
export class Node {
  readonly name: string;
  readonly life: Life;
  readonly hub: Hub;
  readonly budget = new MemoryBudget(BUDGET);
  /** The networks of its connections. */
  readonly links = new Set<ConditionedStream>();
  private readonly world: World;
  private readonly talks: WebSocketServer;
  private readonly hubs: WebSocketServer;
  private readonly talking = new Map<unknown, Session>();
  private readonly broker: FaultyBroker;
  private readonly faults: Faults;
  private stopped = false;

  constructor(world: World, name: string, shared: Shared, ids: () => string) {
    const { dice } = world;
    this.world = world;
    this.name = name;
    const life = world.life(name);
    this.life = life;
    const common = { ...CONNECTION, clock: life, memoryBudget: this.budget, origin: "any" as const };
    this.talks = new WebSocketServer({
      ...common,
      compression: COMPRESSION,
      receiveQueueSize: dice.pick([500, 20_000]),
      writeBufferSize: 4_000,
      maxWriteBufferSize: 100_000,
      maxConnections: dice.pick([2, 100]),
    });
    this.hubs = new WebSocketServer({ ...common, maxMessageSize: 65_536, writeBufferSize: 500 });
    this.faults = shared.faults;
    this.broker = new FaultyBroker(world, life, shared.engine, shared.faults);
    this.hub = new Hub({
      namespaces: {
        "": {
          history: { size: shared.historySize, ttl: 600_000 },
          presence: true,
          joinLeave: true,
          delta: dice.chance(0.5),
          subscribe: "anyone",
          publish: "anyone",
        },
      },
      anonymous: true,
      broker: this.broker,
      presence: new Mortal(life, shared.presence),
      clock: life,
      newId: ids,
      positionCheckInterval: 3_000,
      ping: { interval: 4_000, timeout: 2_000 },
      limits: { queueBytes: dice.pick([3_000, 100_000]), pageBytes: dice.pick([1, 500, 65_536]), rates: false },
      onError: (error) => {
        if (!(error instanceof Error && error.message.startsWith("fault:"))) world.fail(error);
      },
    });
    this.hubs.on("connection", (connection) => void attachSocket(this.hub, connection));
    for (const server of [this.talks, this.hubs]) {
      server.on("error", (error) => world.fail(error));
      server.on("refused", (error) => world.log(name, `refused: ${error.code}`));
    }
  }

  start(): Promise<void> {
    return this.hub.start();
  }

  /** The server's end of a talk. */
  talk(stream: Duplex, session: Session): void {
    void this.talks.accept(stream).then((connection) => {
      if (connection === undefined) return;
      const { world, life } = this;
      const { dice } = world;
      this.talking.set(connection, session);
      let streaming = false;
      /** Sends one message in several parts; messages written meanwhile follow it. */
      const stream = (): void => {
        const parts = [
          `${session.name}:${session.server.sent.length}:`,
          ...Array.from({ length: dice.whole(1, 4) }, () => "s".repeat(dice.whole(0, 3_000))),
        ];
        async function* source(): AsyncGenerator<string> {
          for (const part of parts) {
            yield part;
            await new Promise<void>((resolve) => life.after(dice.whole(1, 300), resolve));
          }
        }
        streaming = true;
        world.count("messages in fragments");
        session.server.sent.push(parts.join(""));
        connection.sendStream(source(), "text").then(
          () => (streaming = false),
          () => undefined, // the connection has ended
        );
      };
      const write = (): void => {
        if (connection.state !== "open" || this.stopped) return;
        if (!streaming && dice.chance(0.1)) stream();
        const text = `${session.name}:${session.server.sent.length}:${"y".repeat(dice.whole(0, dice.chance(0.1) ? 20_000 : 200))}`;
        try {
          session.server.sent.push(text); // it may arrive before `write` returns
          connection.write(text);
        } catch {
          session.server.sent.pop(); // full: it was not sent
        }
        life.after(dice.whole(10, 2_000), write);
      };
      write();
      read(
        connection,
        dice.pick(["listener", "iteration", "batches"]),
        () => (dice.chance(0.1) ? new Promise((resolve) => life.after(dice.whole(1, 400), resolve)) : undefined),
        (text) => this.check(() => session.got("server", text)),
        () => (session.server.read = true),
        (error) => world.fail(error),
      );
      if (dice.chance(0.3)) {
        life.after(dice.whole(100, 10_000), () => {
          if (connection.state !== "open" || !this.faults.on) return;
          if (dice.chance(0.2)) {
            connection.terminate();
            return;
          }
          session.server.closing = dice.pick([1001, 1012, 4000]);
          void connection.close(session.server.closing);
        });
      }
      connection.on("close", (info) => {
        world.log(session.name, `server: ${info.code} ${info.clean ? "clean" : (info.error?.code ?? "")}`);
        this.check(() => session.closed("server", info));
      });
      this.checkMemory();
    });
  }

  /** The server's end of a client of the hub. */
  serveHub(stream: Duplex): void {
    void this.hubs.accept(stream);
  }

  private check(what: () => void): void {
    try {
      what();
    } catch (error) {
      this.world.fail(error);
    }
  }

  checkMemory(): void {
    const { held, peak } = this.budget.use;
    this.check(() => hold(peak <= BUDGET + OVERSHOOT, () => `${this.name}: ${held} bytes held, ${peak} at most`));
  }

  /** Kills the process and its timers. Its peers see a reset, or nothing. */
  die(silently: boolean): void {
    this.world.log(this.name, `dies ${silently ? "silently" : "with resets"}`);
    this.life.alive = false;
    this.broker.die();
    for (const link of this.links) {
      if (silently) link.goSilent();
      else link.reset();
    }
  }

  /** Shuts the process down. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const [connection, session] of this.talking) {
      if ((connection as { state: string }).state === "open") session.server.closing ??= 1001;
    }
    await Promise.all([this.hub.close(), this.talks.close(1001, "", 2_000)]);
    await this.hubs.close(1001, "", 2_000);
  }

  checkEnd(): void {
    const { budget, name } = this;
    this.checkMemory();
    hold(budget.use.held === 0, () => `${name}: ${budget.use.held} bytes remain in the budget`);
    for (const server of [this.talks, this.hubs]) {
      const { connections, handshakes } = server.stats;
      hold(connections + handshakes === 0, () => `${name}: ${connections} connections, ${handshakes} handshakes left`);
    }
    hold(this.life.pending === 0, () => `${name}: ${this.life.pending} timers are left`);
  }
}
