import type { Refusal } from "@tungstate/protocol";
import { client } from "../../src/client/client.ts";
import { connectError, type ConnectionErrorCode } from "../../src/errors.ts";
import type { Interfaces } from "../../src/native/network-interfaces.ts";
import { Networks } from "../../src/reconnecting/networks.ts";
import type { ReconnectOptions } from "../../src/reconnecting/options.ts";
import { Reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { accept } from "../../src/server/accept.ts";
import type { HandshakeRequest } from "../../src/server/admission/request.ts";
import { type ConditionedStream, conditions, memoryPipe, VirtualClock } from "../../src/testing/index.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";

/** The outcome of an attempt: a connection, a response that rejects it, or a network error. */
export type Answer = "open" | Refusal | ConnectionErrorCode;

interface Served {
  /** The server's end. */
  readonly connection: WebSocketConnection;
  /** The client's stream, to be destroyed. */
  readonly stream: ConditionedStream;
  readonly request: HandshakeRequest;
}

/** A server in memory on a virtual clock, and clients that reconnect to it. */
export class World {
  readonly clock = new VirtualClock();
  /** Times of the attempts in ms. */
  readonly attempts: number[] = [];
  readonly served: Served[] = [];
  /** The outcomes of the next attempts, followed by `otherwise`. */
  readonly answers: Answer[] = [];
  otherwise: Answer = "open";
  /** Source of randomness for delays. */
  random = 0.5;
  interfaces: Interfaces = {};
  wallTime = Date.UTC(2026, 0, 1);
  private readonly clients: Reconnecting[] = [];

  start(
    options: Partial<ReconnectOptions> = {},
    url: ConstructorParameters<typeof Reconnecting>[0] = "ws://server/",
  ): Reconnecting {
    const made = new Reconnecting(
      url,
      {
        clock: this.clock,
        random: () => this.random,
        connect: (to, given) => this.connect(to, { ...given, clock: this.clock }),
        heartbeat: false,
        ...options,
      },
      { networks: new Networks(this.clock, () => this.interfaces), wallClock: () => this.wallTime + this.clock.now() },
    );
    this.clients.push(made);
    return made;
  }

  /** The server's end of the newest connection. */
  get server(): WebSocketConnection {
    return this.newest.connection;
  }

  get newest(): Served {
    const newest = this.served.at(-1);
    if (newest === undefined) throw new Error("no connection was served");
    return newest;
  }

  /** Advances the time in steps that are small enough for handshakes. */
  async advance(ms: number): Promise<void> {
    await settle();
    let left = ms;
    do {
      await this.clock.advance(Math.min(STEP, left));
      await settle();
      left -= STEP;
    } while (left > 0);
  }

  /** Ends all clients. */
  async end(): Promise<void> {
    for (const each of this.clients) each.terminate();
    await settle();
  }

  private async connect(url: string | URL, options: Parameters<typeof client>[2]): Promise<WebSocketConnection> {
    this.attempts.push(this.clock.now());
    const answer = this.answers.shift() ?? this.otherwise;
    if (typeof answer === "string" && answer !== "open") throw connectError(answer);
    const [near, far] = memoryPipe();
    const stream = conditions(near, { clock: this.clock });
    let request: HandshakeRequest | undefined;
    const server = accept(far, {
      clock: this.clock,
      heartbeat: false,
      authorize: (asked) => {
        request = asked;
        return answer === "open" ? true : answer;
      },
    });
    server.then(
      (connection) => {
        if (request !== undefined) this.served.push({ connection, stream, request });
      },
      () => undefined, // it was to be rejected
    );
    const connection = await client(url, stream, options);
    await server;
    return connection;
  }
}

const STEP = 100; // ms

/** Waits until everything without a timer has completed. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Runs `test` with its own world. */
export async function inWorld(test: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  try {
    await test(world);
  } finally {
    await world.end();
  }
}
