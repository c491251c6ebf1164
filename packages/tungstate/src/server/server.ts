import {
  checkClose,
  CLOSE_CODE,
  type HeaderInput,
  Message,
  PreparedMessage as ProtocolMessage,
} from "@tungstate/protocol";
import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, ListenOptions } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { publishOpen } from "../connection/channels.ts";
import { type ConnectionSettings, connectionSettings } from "../connection/options.ts";
import { PreparedMessage } from "../connection/prepared-message.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { describe } from "../options/describe.ts";
import { checkNames } from "../options/names.ts";
import { handled } from "../schedule/promises.ts";
import type { ByteStream } from "../transport/byte-stream.ts";
import { Admission, checkPath, extensionsOf } from "./admission/admission.ts";
import type { Arrivals } from "./door/arrivals.ts";
import { Handshakes } from "./handshakes.ts";
import type { PortHost } from "./http/port.ts";
import { Ports } from "./http/ports.ts";
import { routeUpgrades, type UpgradeTaker } from "./http/router.ts";
import type { WebServer } from "./http/web-server.ts";
import { checkStreams } from "./http2/announce.ts";
import { Members } from "./members.ts";
import {
  SERVER_OPTIONS,
  type ServerEvents,
  type ServerListenOptions,
  type ServerStats,
  type WebSocketServerOptions,
} from "./options.ts";
import { ServerEmitter } from "./server-emitter.ts";
import { runStream, type StreamHandler } from "./stream.ts";

/** Options of `attach`. */
export interface AttachOptions {
  /** The path of the handshakes to take. Default: `path` of the WebSocketServer. */
  readonly path?: string;
  /**
   * Streams that a client may have open in one HTTP/2 session. Default: the setting of the server,
   * or 1,000. The first WebSocketServer that is attached to a server determines it.
   */
  readonly maxConcurrentStreams?: number;
}

let reachArrivals: (server: WebSocketServer) => Arrivals;

/**
 * A WebSocket server: attached to node:http (`attach`, `handleUpgrade`), on a port of its own
 * (`listen`), or over byte streams (`accept`). All its connections share one set of options, and
 * `close` drains them together.
 */
export class WebSocketServer implements AsyncDisposable {
  static {
    reachArrivals = (server) => server.#handshakes;
  }

  readonly #settings: ConnectionSettings;
  readonly #admission: Admission;
  readonly #events = new ServerEmitter();
  readonly #members: Members;
  readonly #handshakes: Handshakes;
  readonly #ports: Ports;
  /** Takes the upgrade requests of attached HTTP servers. */
  readonly #taker: UpgradeTaker;
  /** The functions that detach it. */
  readonly #attached: (() => void)[] = [];
  readonly #streams: StreamHandler[] = [];

  constructor(options: WebSocketServerOptions = {}) {
    checkNames(options, SERVER_OPTIONS);
    const events = this.#events;
    const settings = (this.#settings = connectionSettings("server", options));
    const admission = (this.#admission = new Admission(options, extensionsOf(settings), settings.runtime));
    const members = (this.#members = new Members(settings, (error) => events.onThrow(error)));
    const handshakes = (this.#handshakes = new Handshakes(options, settings, admission, {
      onAccepted: (driver, request, leave) => {
        members.add(driver, leave);
        publishOpen(driver.connection, "server", request);
        events.emit("connection", driver.connection, request);
        for (const handler of this.#streams) void runStream(driver, request, handler);
      },
      onRefused: (error) => events.emit("refused", error),
      onError: (error) => events.onThrow(error),
      openConnections: () => members.size,
    }));
    this.#taker = {
      take: (request, socket, head) => void this.handleUpgrade(request, socket, head),
      accept: (handshake) => handshakes.acceptKnown(handshake),
      acceptConnect: (opened) => handshakes.acceptConnect(opened),
      arrivals: handshakes,
    };
    const portHost: PortHost = {
      arrivals: handshakes,
      onHandle: (handle) => handshakes.acceptHandle(handle),
      onSocket: (socket) => void handshakes.accept(socket),
      onError: (error) => events.onThrow(error),
    };
    this.#ports = new Ports(portHost, admission.path, this.#taker);
  }

  /** The connections that are open or closing. */
  get connections(): ReadonlySet<WebSocketConnection> {
    return this.#members.connections;
  }

  /** Connections, handshakes and memory of this server at this moment. */
  get stats(): ServerStats {
    return {
      connections: this.#members.size,
      handshakes: this.#handshakes.size,
      addresses: this.#handshakes.addresses,
      memory: this.#settings.memory.use,
    };
  }

  /** Adds a listener. */
  on<E extends keyof ServerEvents>(event: E, listener: (...args: ServerEvents[E]) => unknown): this {
    this.#events.on(event, listener);
    return this;
  }

  /** Adds a listener that is called once. */
  once<E extends keyof ServerEvents>(event: E, listener: (...args: ServerEvents[E]) => unknown): this {
    this.#events.once(event, listener);
    return this;
  }

  /** Removes a listener. */
  off<E extends keyof ServerEvents>(event: E, listener: (...args: ServerEvents[E]) => unknown): this {
    this.#events.off(event, listener);
    return this;
  }

  /** Removes a listener, for functions that expect an EventEmitter, such as `events.once`. */
  removeListener<E extends keyof ServerEvents>(event: E, listener: (...args: ServerEvents[E]) => unknown): this {
    return this.off(event, listener);
  }

  /** Returns the number of listeners of an event. */
  listenerCount(event: keyof ServerEvents): number {
    return this.#events.listenerCount(event);
  }

  /**
   * Takes the WebSocket handshakes of a server of node:http, node:https or node:http2. Several
   * WebSocketServers can share one, each with its `path`. A path that none of them has gets 404,
   * unless the server has other listeners for handshakes.
   */
  attach(server: WebServer, options: AttachOptions = {}): this {
    const { path = this.#admission.path, maxConcurrentStreams } = options;
    if (typeof server?.on !== "function") {
      throw argumentError(
        TypeError,
        `the argument of attach() must be a server of node:http, node:https or node:http2, got ${describe(server)}`,
      );
    }
    checkNames(options, { path: true, maxConcurrentStreams: true });
    checkPath(path);
    checkStreams(maxConcurrentStreams);
    this.#attached.push(routeUpgrades(server, path, this.#taker, maxConcurrentStreams));
    return this;
  }

  /** Releases the HTTP servers that it was attached to. */
  detach(): this {
    for (const detach of this.#attached.splice(0)) detach();
    return this;
  }

  /**
   * Answers one upgrade request of node:http. Resolves with the connection, or with undefined if
   * the handshake was refused: the client has got its response then, and `refused` says why. Never
   * rejects. `answer`: additional header fields of the 101, before those of `authorize`.
   */
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    answer?: HeaderInput,
  ): Promise<WebSocketConnection | undefined> {
    return this.#handshakes.upgrade(request, socket, head, answer);
  }

  /** Runs the handshake on a byte stream. Resolves as `handleUpgrade`. */
  accept(stream: ByteStream): Promise<WebSocketConnection | undefined> {
    return this.#handshakes.accept(stream);
  }

  /**
   * Listens on a port or a Unix socket, with TLS if `tls` is given. Requests that are not WebSocket
   * handshakes go to `http`; without it they get 426. Rejects with INVALID_ARGUMENT for unusable
   * keys, certificates and `http`, with INVALID_STATE after `close`, and with the system's error if
   * it cannot listen.
   */
  listen(options: ListenOptions & ServerListenOptions = {}): Promise<AddressInfo | string> {
    return this.#ports.listen(options);
  }

  /**
   * Changes the certificate, or the ticket keys, of the TLS ports of `listen`; options that are
   * left out stay as they are. Open connections and handshakes under way keep theirs. Throws
   * INVALID_ARGUMENT for unusable options, and changes nothing then.
   */
  setTls(changes: SecureContextOptions): void {
    this.#ports.setTls(changes);
  }

  /**
   * Runs an async generator for each connection: what it yields is sent, its end closes with 1000,
   * its error with 1011.
   */
  stream(handler: StreamHandler): this {
    if (typeof handler !== "function") {
      throw argumentError(
        TypeError,
        `the argument of stream() must be an async generator function, got ${describe(handler)}`,
      );
    }
    this.#streams.push(handler);
    return this;
  }

  /**
   * Sends a message to all open connections except `except`. It is encoded once, and each
   * connection writes everything of a tick at once. A connection without room (see
   * `maxWriteBufferSize`) is closed with 1013, because it would miss a message. Returns the number
   * of connections that have more than `writeBufferSize` queued, as of their last write.
   */
  broadcast(data: string | Uint8Array | Message | ProtocolMessage, except?: WebSocketConnection): number {
    const prepared = prepare(data);
    if (prepared.compressed && this.#settings.deflate === undefined) {
      throw argumentError(
        TypeError,
        "the message is compressed, and the server does not use compression: set compression, or prepare the message without it",
      );
    }
    return this.#members.broadcast(prepared, except);
  }

  /**
   * Drains: refuses new connections with 503, and sends a Close to all connections after what was
   * written before. `closeTimeout` and `maxCloseTime` end each connection; after `timeout` ms, if
   * given, the remaining ones are destroyed. HTTP requests of its own ports have `timeout`, by
   * default `closeTimeout`. Resolves when nothing is left. Attached HTTP servers stay open; their
   * upgrade requests get 503 until `detach`. Throws INVALID_ARGUMENT, and does nothing then.
   */
  close(code: number = CLOSE_CODE.GOING_AWAY, reason = "", timeout?: number): Promise<void> {
    checkClose(code, reason);
    if (timeout !== undefined && !(typeof timeout === "number" && timeout >= 0)) {
      throw invalidOption("timeout", "a number from 0 (ms)", timeout, describe(timeout));
    }
    return handled(this.#drain(code, reason, timeout));
  }

  /** Closes the server as `close()` does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #drain(code: number, reason: string, timeout: number | undefined): Promise<void> {
    const { clock, closeTimeout } = this.#settings;
    const stopped = this.#ports.close(timeout ?? closeTimeout, timeout !== undefined);
    this.#handshakes.close();
    const cancel = timeout === undefined ? undefined : clock.after(timeout, () => this.#members.terminate());
    await Promise.all([this.#members.close(code, reason), stopped]);
    cancel?.();
  }
}

/** Returns the limits of a server on connections whose request is not known yet. */
export function arrivalsOf(server: WebSocketServer): Arrivals {
  return reachArrivals(server);
}

function prepare(data: string | Uint8Array | Message | ProtocolMessage): ProtocolMessage {
  if (data instanceof ProtocolMessage) return data;
  if (data instanceof Message) return new PreparedMessage(data.bytes, { type: data.type });
  return new PreparedMessage(data);
}
