import { HeaderFields, protocolError } from "@tungstate/protocol";
import {
  type CloseInfo,
  ConnectError,
  HandshakeRejectedError,
  type ReconnectingConnection,
  reconnecting,
  type ReconnectOptions,
  type WebSocketConnection,
} from "tungstate";
import { seededRandom } from "tungstate/testing";
import { SimulationClock } from "./clock.ts";
import { SimulatedConnection } from "./connection.ts";

/** The behaviour of the server and of its clients. */
export interface Scenario {
  readonly name: string;
  readonly clients: number;
  /** Close code that the clients receive; a crash is 1006. */
  readonly closeCode: number;
  /** Downtime in ms. */
  readonly downFor: number;
  /** Handshakes per second, TLS included. */
  readonly handshakesPerSecond: number;
  /** Maximum number of queued handshakes; further ones get 503, as from a WebSocketServer. */
  readonly maxHandshakes: number;
  /** Seconds in the Retry-After of that 503; undefined for none. */
  readonly retryAfter: number | undefined;
  readonly client: Pick<ReconnectOptions, "backoff">;
  /** If false, each client uses the maximum delay, so all use the same. */
  readonly jitter: boolean;
  readonly seed: number;
  /** Duration of the simulation in ms, from the moment at which the server stops. */
  readonly length: number;
}

/** The outcome, in bins of BIN ms. */
export interface Outcome {
  readonly scenario: Scenario;
  /** Connection attempts. */
  readonly attempts: readonly number[];
  /** Connected clients at the end of the bin. */
  readonly connected: readonly number[];
  readonly refused: number;
  readonly turnedAway: number;
}

export const BIN = 100; // ms
const STABLE = 60_000; // ms of open connections before the server stops

/** A server on virtual time that processes one handshake after the other. */
class SimulatedServer {
  up = true;
  refused = 0;
  turnedAway = 0;
  readonly connections = new Set<SimulatedConnection>();
  private readonly scenario: Scenario;
  private readonly clock: SimulationClock;
  private readonly response: HandshakeRejectedError;
  private waiting = 0;
  private freeAt = 0;

  constructor(scenario: Scenario, clock: SimulationClock) {
    this.scenario = scenario;
    this.clock = clock;
    const { retryAfter } = scenario;
    const headers = new HeaderFields(retryAfter === undefined ? [] : [["Retry-After", String(retryAfter)]]);
    const response = { status: 503, reason: "", headers, body: new Uint8Array(0), truncated: false };
    this.response = new HandshakeRejectedError(response, protocolError("UNEXPECTED_STATUS"));
  }

  connect(): Promise<WebSocketConnection> {
    if (!this.up) {
      this.refused++;
      return Promise.reject(REFUSED);
    }
    if (this.waiting >= this.scenario.maxHandshakes) {
      this.turnedAway++;
      return Promise.reject(this.response);
    }
    this.waiting++;
    this.freeAt = Math.max(this.freeAt, this.clock.now()) + 1000 / this.scenario.handshakesPerSecond;
    return new Promise((resolve) => {
      this.clock.after(Math.ceil(this.freeAt) - this.clock.now(), () => {
        this.waiting--;
        resolve(this.open());
      });
    });
  }

  open(): SimulatedConnection {
    const connection = new SimulatedConnection();
    this.connections.add(connection);
    return connection;
  }

  /** Closes all connections at once. */
  stop(info: CloseInfo): void {
    this.up = false;
    for (const connection of this.connections) connection.end(info);
    this.connections.clear();
  }
}

// one shared error: the cost of stack traces is not measured
const REFUSED = new ConnectError("REFUSED");
const LOST = protocolError("CONNECTION_LOST");

/**
 * Runs real clients of this package: `reconnecting` unchanged, over a simulated clock, network and
 * server.
 */
export async function simulate(scenario: Scenario): Promise<Outcome> {
  const { clients, downFor, closeCode, length, jitter, seed } = scenario;
  const clock = new SimulationClock();
  const server = new SimulatedServer(scenario, clock);
  const attempts = Array.from({ length: length / BIN }, () => 0);
  const connected: number[] = [];
  const all: ReconnectingConnection[] = [];
  let begun = false;
  for (let count = 0; count < clients; count++) {
    all.push(
      reconnecting("ws://server/", {
        ...scenario.client,
        clock,
        random: jitter ? seededRandom(seed * clients + count) : () => 1 - Number.EPSILON,
        watchNetworks: false,
        connect: async () => {
          if (!begun) return server.open();
          const bin = Math.floor((clock.now() - STABLE) / BIN);
          if (bin < attempts.length) attempts[bin]++;
          return await server.connect();
        },
      }),
    );
  }
  await Promise.all(all.map((client) => client.ready()));
  await clock.runUntil(STABLE);
  begun = true;
  server.stop({ code: closeCode, reason: "", clean: closeCode !== 1006, error: closeCode === 1006 ? LOST : undefined });
  clock.after(downFor, () => (server.up = true));
  for (let end = BIN; end <= length; end += BIN) {
    await clock.runUntil(STABLE + end);
    connected.push(server.connections.size);
  }
  for (const client of all) client.terminate();
  return { scenario, attempts, connected, refused: server.refused, turnedAway: server.turnedAway };
}

/** Returns the maximum number of attempts within any `ms` ms. */
export function peak({ attempts }: Outcome, ms: number): number {
  const width = Math.max(1, Math.round(ms / BIN));
  let most = 0;
  let sum = 0;
  attempts.forEach((count, at) => {
    sum += count - (at >= width ? attempts[at - width] : 0);
    most = Math.max(most, sum);
  });
  return most;
}

/** Returns the ms until that share of clients is connected again, or Infinity. */
export function timeUntil({ connected, scenario }: Outcome, share: number): number {
  const bin = connected.findIndex((count) => count >= share * scenario.clients);
  return bin < 0 ? Infinity : (bin + 1) * BIN;
}

export function totalAttempts({ attempts }: Outcome): number {
  return attempts.reduce((sum, count) => sum + count, 0);
}
