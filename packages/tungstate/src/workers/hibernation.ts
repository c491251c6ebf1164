import { argumentError } from "@tungstate/protocol/internal";
import { checkSocket, readBuffers } from "./accept.ts";
import { openWorkerConnection } from "./connection.ts";
import { type WorkerConnectionOptions, type WorkerSettings, workerSettings } from "./options.ts";
import type { ServerSocket, SocketEvents } from "./socket.ts";
import type { WorkerConnection } from "./types.ts";

/** The members of a Durable Object's state (`ctx`) that are used. */
export interface DurableObjectSockets {
  /** Accepts a socket that survives the object's hibernation. */
  acceptWebSocket(socket: never, tags?: string[]): void;
  /** Returns the accepted sockets that are open. */
  getWebSockets(tag?: string): readonly unknown[];
}

/** Called for each connection: once when it is accepted, and again after each hibernation. */
export type ConnectionHandler = (connection: WorkerConnection, socket: ServerSocket) => void;

interface Entry {
  readonly connection: WorkerConnection;
  readonly events: SocketEvents;
}

/**
 * Connections of a Durable Object that hibernates: the object may leave the memory while its
 * sockets stay open, and is constructed again for the next event. Make one in the constructor of
 * the object, and call `message`, `close` and `error` from its methods `webSocketMessage`,
 * `webSocketClose` and `webSocketError`.
 */
export class Hibernation {
  readonly #sockets: DurableObjectSockets;
  readonly #onConnection: ConnectionHandler;
  readonly #settings: WorkerSettings;
  readonly #entries = new WeakMap<object, Entry>();

  /**
   * `onConnection` adds the listeners. It is called again after each hibernation, because
   * listeners, unread messages and `stats` do not survive it. Throws INVALID_ARGUMENT.
   */
  constructor(sockets: DurableObjectSockets, onConnection: ConnectionHandler, options: WorkerConnectionOptions = {}) {
    if (typeof onConnection !== "function") {
      throw argumentError(TypeError, "the second argument of Hibernation must be a function");
    }
    this.#settings = workerSettings(options);
    this.#sockets = sockets;
    this.#onConnection = onConnection;
  }

  /** Accepts a socket of `upgrade` or of a `WebSocketPair`. Throws INVALID_ARGUMENT. */
  accept(socket: ServerSocket, tags: readonly string[] = []): WorkerConnection {
    checkSocket(socket);
    this.#sockets.acceptWebSocket(socket as never, [...tags]);
    return this.#entry(socket).connection;
  }

  /** Returns the open connections, or those with a tag. */
  connections(tag?: string): readonly WorkerConnection[] {
    const sockets = this.#sockets.getWebSockets(tag) as readonly ServerSocket[];
    return sockets.map((socket) => this.#entry(socket).connection);
  }

  /** Takes a call of `webSocketMessage`. */
  message(socket: ServerSocket, data: string | ArrayBuffer): void {
    this.#entry(socket).events.message(data);
  }

  /** Takes a call of `webSocketClose`. */
  close(socket: ServerSocket, code: number, reason: string, wasClean: boolean): void {
    this.#entry(socket).events.close(code, reason, wasClean);
  }

  /** Takes a call of `webSocketError`. */
  error(socket: ServerSocket, error: unknown): void {
    this.#entry(socket).events.error(error);
  }

  #entry(socket: ServerSocket): Entry {
    const present = this.#entries.get(socket);
    if (present !== undefined) return present;
    readBuffers(socket);
    const entry = openWorkerConnection(socket, this.#settings);
    this.#entries.set(socket, entry);
    this.#onConnection(entry.connection, socket);
    return entry;
  }
}
