import assert from "node:assert/strict";
import type { HubConnection, SharedMessage } from "../../src/output/connection.ts";
import type { Hub } from "../../src/hub/hub.ts";
import type { Incoming } from "../../src/hub/incoming.ts";
import { settle } from "./virtual-clock.ts";
import { until } from "./until.ts";

/** Everything a server can send, loosely typed: tests read what they expect. */
export interface Line {
  readonly id?: number;
  readonly error?: { readonly code: number; readonly message: string; readonly temporary?: boolean };
  readonly push?: {
    readonly channel?: string;
    readonly pub?: Pub;
    readonly join?: { readonly info: Info };
    readonly leave?: { readonly info: Info };
    readonly unsubscribe?: { readonly code: number; readonly reason: string };
    readonly subscribe?: SubscribeResult;
    readonly message?: { readonly data: unknown };
    readonly refresh?: { readonly expires?: boolean; readonly ttl?: number };
  };
  readonly connect?: {
    readonly client: string;
    readonly ping?: number;
    readonly pong?: boolean;
    readonly expires?: boolean;
    readonly ttl?: number;
    readonly data?: unknown;
    readonly subs?: Readonly<Record<string, SubscribeResult>>;
  };
  readonly subscribe?: SubscribeResult;
  readonly unsubscribe?: object;
  readonly publish?: object;
  readonly ping?: object;
  readonly presence?: { readonly presence: Readonly<Record<string, Info>> };
  readonly presence_stats?: { readonly num_clients: number; readonly num_users: number };
  readonly history?: { readonly publications: readonly Pub[]; readonly offset: number; readonly epoch: string };
  readonly rpc?: { readonly data?: unknown };
  readonly refresh?: { readonly expires?: boolean; readonly ttl?: number };
  readonly sub_refresh?: { readonly expires?: boolean; readonly ttl?: number };
}

export interface Pub {
  readonly data: unknown;
  readonly offset?: number;
  readonly info?: Info;
  readonly tags?: Readonly<Record<string, string>>;
  readonly delta?: boolean;
}

export interface Info {
  readonly user: string;
  readonly client: string;
  readonly conn_info?: unknown;
  readonly chan_info?: unknown;
}

export interface SubscribeResult {
  readonly expires?: boolean;
  readonly ttl?: number;
  readonly recoverable?: boolean;
  readonly positioned?: boolean;
  readonly epoch?: string;
  readonly offset?: number;
  readonly publications?: readonly Pub[];
  readonly recovered?: boolean;
  readonly was_recovering?: boolean;
  readonly delta?: boolean;
  readonly data?: unknown;
}

/** A client in memory: sends to a hub and records what it receives. */
export class TestClient implements HubConnection {
  /** Each message as received. */
  readonly frames: string[] = [];
  closedWith: { readonly code: number; readonly reason: string } | undefined;
  isPaused = false;
  /** Messages that it accepts before it reports back pressure. */
  capacity = Infinity;
  readonly address: string | undefined;
  /** Bytes that it has sent; undefined: unknown to the hub. */
  bytesReceived: number | undefined;
  /** Undefined while the hub accepts it, which may end it at once. */
  private readonly incoming: Incoming | undefined;
  private seen = 0;
  private nextId = 1;

  constructor(hub: Hub, context?: unknown, address?: string) {
    this.address = address;
    this.incoming = hub.accept(this, context);
  }

  write(text: string): boolean {
    assert.equal(this.closedWith, undefined, "nothing is written to a closed connection");
    assert.ok(this.capacity > 0, "nothing is written to a connection that takes no more");
    this.frames.push(text);
    this.capacity--;
    return this.capacity > 0;
  }

  writeShared(message: SharedMessage): boolean {
    return this.write(message.text);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(code: number, reason: string): void {
    this.closedWith = { code, reason };
    this.incoming?.closed();
  }

  /** Ends the connection without a Close. */
  lose(): void {
    this.closedWith = { code: 1006, reason: "" };
    this.incoming?.closed();
  }

  /** Accepts `messages` more. */
  drain(messages = Infinity): void {
    this.capacity = messages;
    this.incoming?.drained();
  }

  /** Sends a frame: text unchanged, commands as lines. */
  send(...frame: readonly (string | object)[]): void {
    this.incoming?.receive(frame.map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join("\n"));
  }

  /** Returns what was received since the last call, without pings. */
  take(): Line[] {
    const frames = this.frames.slice(this.seen);
    this.seen = this.frames.length;
    return frames
      .flatMap((frame) => frame.split("\n").map((line) => JSON.parse(line) as Line))
      .filter((line) => Object.keys(line).length > 0);
  }

  /** Sends a command and returns its reply. Ignores other messages. */
  async ask(request: object): Promise<Line> {
    const id = this.nextId++;
    this.send({ id, ...request });
    const answers: Line[] = [];
    const look = async (): Promise<boolean> => {
      await settle();
      answers.push(...this.take().filter((line) => line.id === id));
      return answers.length > 0 || this.closedWith !== undefined;
    };
    for (let tries = 0; tries < 100 && !(await look());) tries++;
    // some replies need other threads, for cryptography, or external services
    if (answers.length === 0) await until(`an answer to ${JSON.stringify(request)}`, look);
    assert.equal(answers.length, 1, `one answer to ${JSON.stringify(request)}, got ${JSON.stringify(answers)}`);
    return answers[0] ?? {};
  }

  /** Resolves when the hub has ended the connection. */
  async ended(): Promise<void> {
    const look = async (): Promise<boolean> => {
      await settle();
      return this.closedWith !== undefined;
    };
    await until("the end of the connection", look);
  }

  /** As `ask`, for a command that must succeed. */
  async succeed(request: object): Promise<Line> {
    const answer = await this.ask(request);
    assert.equal(answer.error, undefined, `${JSON.stringify(request)}: ${JSON.stringify(answer.error)}`);
    return answer;
  }

  /** As `ask`, for a command that must fail. Returns the code. */
  async refused(request: object): Promise<number | undefined> {
    return (await this.ask(request)).error?.code;
  }

  async connect(request: object = {}): Promise<this> {
    await this.succeed({ connect: request });
    return this;
  }

  async subscribe(channel: string, request: object = {}): Promise<SubscribeResult> {
    const { subscribe } = await this.succeed({ subscribe: { channel, ...request } });
    assert.ok(subscribe);
    return subscribe;
  }

  get session(): Incoming["session"] {
    assert.ok(this.incoming);
    return this.incoming.session;
  }
}

/** Returns the publications among lines, in order. */
export function pubsOf(lines: readonly Line[]): Pub[] {
  return lines.flatMap(({ push }) => (push?.pub === undefined ? [] : [push.pub]));
}
