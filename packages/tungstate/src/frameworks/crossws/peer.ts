import { randomUUID } from "node:crypto";
import type { Peer, PeerContext, WaitForDrainOptions } from "crossws";
import type { WebSocketConnection } from "../../connection/types.ts";
import { onAbort } from "../../schedule/abort-signal.ts";
import { payloadOf } from "./payload.ts";
import { PeerWebSocket } from "./websocket.ts";

/** What the upgrade hook has decided about a connection. */
export interface Accepted {
  readonly request: Request;
  readonly namespace: string;
  readonly context: PeerContext;
}

interface SendOptions {
  readonly compress?: boolean;
}

/** What a peer needs of the other peers. */
export interface Neighbours {
  peers(namespace: string): Set<Peer>;
  publish(
    topic: string,
    data: unknown,
    options: SendOptions & { readonly namespace: string },
    except: TungstatePeer | undefined,
  ): void;
}

/** A connected client, with the members of crossws's Peer. */
export class TungstatePeer {
  readonly namespace: string;
  readonly context: PeerContext;
  readonly request: Request;
  readonly topics = new Set<string>();
  readonly connection: WebSocketConnection;
  readonly #neighbours: Neighbours;
  #id: string | undefined;
  #websocket: PeerWebSocket | undefined;

  constructor(connection: WebSocketConnection, { request, namespace, context }: Accepted, neighbours: Neighbours) {
    this.connection = connection;
    this.request = request;
    this.namespace = namespace;
    this.context = context;
    this.#neighbours = neighbours;
  }

  get id(): string {
    return (this.#id ??= randomUUID());
  }

  get remoteAddress(): string | undefined {
    return this.connection.remoteAddress;
  }

  get websocket(): PeerWebSocket {
    return (this.#websocket ??= new PeerWebSocket(this.connection, this.request.url));
  }

  /** The peers of its namespace, itself included. */
  get peers(): Set<Peer> {
    return this.#neighbours.peers(this.namespace);
  }

  get bufferedAmount(): number {
    return this.connection.bufferedAmount;
  }

  /** Waits until at most `threshold` bytes are buffered, or the connection has ended. */
  async waitForDrain({ threshold = 0, signal }: WaitForDrainOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    let unlink = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      unlink = onAbort(signal, () => reject(signal?.reason as Error));
    });
    try {
      // flush() waits for less than any threshold, and rejects at the end
      while (this.connection.state === "open" && this.connection.bufferedAmount > threshold) {
        await Promise.race([this.connection.flush().catch(() => undefined), aborted]);
      }
    } finally {
      unlink();
    }
  }

  /** Sends a message. Returns the number of buffered bytes. */
  send(data: unknown, options?: SendOptions): number {
    this.connection.write(payloadOf(data), options);
    return this.connection.bufferedAmount;
  }

  subscribe(topic: string): void {
    this.topics.add(topic);
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic);
  }

  /** Sends a message to the other subscribers of a topic in its namespace, on all instances. */
  publish(topic: string, data: unknown, options?: SendOptions & { readonly self?: boolean }): void {
    const except = options?.self === true ? undefined : this;
    this.#neighbours.publish(topic, data, { ...options, namespace: this.namespace }, except);
  }

  /** Sends a ping. The hook `pong` is called with the payload of the answer. */
  ping(data?: unknown): void {
    void this.connection.ping(data === undefined ? undefined : payloadOf(data));
  }

  close(code?: number, reason?: string): void {
    void this.connection.close(code, reason);
  }

  terminate(): void {
    this.connection.terminate();
  }

  toString(): string {
    return this.id;
  }

  [Symbol.toPrimitive](): string {
    return this.id;
  }

  get [Symbol.toStringTag](): "WebSocket" {
    return "WebSocket";
  }
}
