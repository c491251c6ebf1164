import {
  checkClose,
  checkUpgrade,
  CLOSE_CODE,
  DEFAULT_HEAD_LIMITS,
  formatResponse,
  HeaderFields,
  type HeaderInput,
  isWebSocketUpgrade,
  Message,
  PreparedMessage as ProtocolMessage,
  protocolError,
  refusalFor,
  type UpgradeHead,
  type WebSocketError,
} from "@tungstate/protocol";
import type { IncomingMessage, Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { AddressInfo, ListenOptions, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions, TlsOptions } from "node:tls";
import type { MemoryUse } from "../connection/memory-use.ts";
import { driverOf } from "../connection/connection.ts";
import type { ConnectionOwner, Driver, Membership } from "../connection/driver.ts";
import { Emitter } from "../schedule/emitter.ts";
import { BroadcastQueue } from "../broadcast/broadcast-queue.ts";
import {
  CONNECTION_OPTIONS,
  type ConnectionOptions,
  type ConnectionSettings,
  connectionSettings,
} from "../connection/options.ts";
import { handled } from "../schedule/promises.ts";
import { DuplexTransport } from "../transport/duplex.ts";
import { HandleTransport } from "../transport/handle.ts";
import { transportOf } from "../transport/of.ts";
import { type StreamHandle } from "../native/system.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { isEncrypted } from "../client/url.ts";
import { type AcceptedConnection, Accepting, type AcceptingOwner, type Done } from "./accepting.ts";
import {
  Admission,
  ADMISSION_OPTIONS,
  type AdmissionOptions,
  checkPath,
  extensionsOf,
  RefusedError,
  refusedForNow,
} from "./admission/admission.ts";
import { serverError } from "./errors.ts";
import { type HttpApp, httpServerOf } from "./http/app.ts";
import { HttpBackend } from "./http/backend.ts";
import { handOver } from "./http/handover.ts";
import { Port, type PortHost } from "./http/port.ts";
import type { HandshakeRequest, RequestOrigin } from "./admission/request.ts";
import { pathOf, routeUpgrades, takerOf, type UpgradeTaker } from "./http/router.ts";
import { Room, type RoomOptions } from "./admission/room.ts";
import { ConnectionSet } from "./connection-set.ts";
import { runStream, type StreamHandler } from "./stream.ts";
import { type OptionNames, checkNames } from "../options/names.ts";
import { describe } from "../options/check.ts";
import type { ByteStream } from "../transport/byte-stream.ts";
import { PreparedMessage } from "../connection/prepared-message.ts";

/** Options of a server: those of each connection, of admission, and limits on all of them. */
export interface WebSocketServerOptions extends ConnectionOptions, AdmissionOptions, RoomOptions {}

const SERVER_OPTIONS: OptionNames<WebSocketServerOptions> = {
  ...CONNECTION_OPTIONS,
  ...ADMISSION_OPTIONS,
  maxConnections: true,
  maxHandshakes: true,
  maxConnectionsPerAddress: true,
};

/** Options of `listen`, beside those of node:net's `listen`. */
export interface ServerListenOptions {
  /** TLS options of node:tls. Default: no TLS. */
  readonly tls?: TlsOptions;
  /**
   * Handles all requests that are not WebSocket handshakes, and those for another `path`: a request
   * listener, a server of node:http, or an application of Express, Fastify, Koa or Hono.
   * `handshakeTimeout`, `handshakeLimits`, `maxHandshakes` and `maxConnectionsPerAddress` apply to
   * the head of the first request of each connection. Default: such requests get 426.
   */
  readonly http?: HttpApp;
}

/** The current load of a server. */
export interface ServerStats {
  /** Connections that are open or closing. */
  readonly connections: number;
  /** Handshakes under way. */
  readonly handshakes: number;
  /** Addresses with connections or handshakes; 0 if they are not counted. */
  readonly addresses: number;
  /** State of the memory budget, which other servers may share. */
  readonly memory: MemoryUse;
}

/** Events of a server, with the arguments of their listeners. */
export interface ServerEvents {
  /**
   * A handshake was accepted. Add the listeners of the connection at once: messages wait until
   * somebody reads.
   */
  connection: [connection: WebSocketConnection, request: HandshakeRequest];
  /** A handshake failed or was refused. */
  refused: [error: WebSocketError];
  /**
   * A hook or handler of the application threw, or a port could not accept a connection, for
   * example without file descriptors.
   */
  error: [error: unknown];
}

/**
 * A WebSocket server: attached to node:http (`attach`, `handleUpgrade`), on a port of its own
 * (`listen`), or over byte streams (`accept`). All its connections share one set of options, and
 * `close` drains them together.
 */
export class WebSocketServer extends Emitter<ServerEvents> {
  /** The connections that are open or closing. */
  readonly connections: ReadonlySet<WebSocketConnection>;
  private readonly open = new Set<Driver>();
  private readonly broadcasts: BroadcastQueue;
  private readonly membership: Membership;
  private readonly settings: ConnectionSettings;
  private readonly admission: Admission;
  private readonly room: Room;
  /**
   * The function of each connection that frees its place among those of its address, where these
   * are counted.
   */
  private readonly leave = new Map<Driver, () => void>();
  private readonly owner: ConnectionOwner = {
    onConnectionClosed: (driver) => {
      this.open.delete(driver);
      this.broadcasts.forget(driver);
      this.leave.get(driver)?.();
      this.leave.delete(driver);
    },
    onHandlerError: (error) => this.onThrow(error),
  };
  private readonly outcomes: AcceptingOwner = {
    accepted: (accepting, accepted) => this.accepted(accepting, accepted),
    failed: (accepting, error) => this.failed(accepting, error),
    passed: (accepting) => this.passed(accepting),
  };
  /** Takes the upgrade requests of attached HTTP servers. */
  private readonly taker: UpgradeTaker = {
    take: (request, socket, head) => void this.handleUpgrade(request, socket, head),
  };
  private readonly attached: (() => void)[] = [];
  private readonly portHost: PortHost;
  private readonly ports = new Set<Port>();
  /** HTTP servers behind ports. */
  private readonly backends = new Map<HttpServer | HttpsServer, HttpBackend>();
  private readonly streams: StreamHandler[] = [];
  private closing = false;

  constructor(options: WebSocketServerOptions = {}) {
    super();
    checkNames(options, SERVER_OPTIONS);
    this.connections = new ConnectionSet(this.open);
    this.settings = connectionSettings("server", options);
    const { flusher, writeBufferSize, protocol } = this.settings;
    this.broadcasts = new BroadcastQueue(this.open, { flusher, writeBufferSize, maxFrameSize: protocol.maxFrameSize });
    this.membership = { owner: this.owner, broadcasts: this.broadcasts };
    this.admission = new Admission(options, extensionsOf(this.settings), this.settings.runtime);
    this.room = new Room(options, {
      proxies: this.admission.proxies,
      openConnections: () => this.open.size,
      shortOfMemory: () => !this.settings.memory.admits(),
    });
    this.portHost = {
      noDelay: this.settings.noDelay,
      handshakeTimeout: this.admission.timeout,
      onTlsHandshake: (socket, http) => this.startTls(socket, http !== undefined),
      onHandle: (handle, http) => this.acceptHandle(handle, http),
      onSocket: (socket, http) => this.acceptSocket(socket, http),
      onRefused: (error) => this.emit("refused", error),
      onError: (error) => this.onThrow(error),
    };
  }

  /** Connections, handshakes and memory of this server at this moment. */
  get stats(): ServerStats {
    return {
      connections: this.open.size,
      handshakes: this.room.handshakes.size,
      addresses: this.room.addresses,
      memory: this.settings.memory.use,
    };
  }

  /**
   * Takes the upgrade requests of a node:http or node:https server. Several WebSocketServers can
   * share one, each with its `path`. A path that none of them has gets 404, unless the HTTP server
   * has other upgrade listeners.
   */
  attach(server: HttpServer | HttpsServer, options: { readonly path?: string } = {}): this {
    const { path = this.admission.path } = options;
    if (typeof server?.on !== "function") {
      throw protocolError(
        "INVALID_ARGUMENT",
        `attach takes a server of node:http or node:https, got ${describe(server)}`,
      );
    }
    checkNames(options, { path: true });
    checkPath(path);
    this.attached.push(routeUpgrades(server, path, this.taker));
    return this;
  }

  /** Releases the HTTP servers that it was attached to. */
  detach(): this {
    for (const detach of this.attached.splice(0)) detach();
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
    return new Promise((resolve) => {
      handOver(socket);
      const from = { transport: transportOf(socket, this.settings), encrypted: isEncrypted(socket), raw: request };
      const accepting = this.accepting({ ...from, headers: answer }, resolve);
      const headers = new HeaderFields(pairs(request.rawHeaders));
      const { method = "", url: target = "", httpVersion: version } = request;
      const upgrade = checkUpgrade({ method, target, version, headers });
      // node:http has other limits for the rest of a head
      const tooMany =
        request.rawHeaders.length / 2 > (this.admission.handshake.limits?.maxHeaders ?? DEFAULT_HEAD_LIMITS.maxHeaders);
      const wrong = tooMany ? protocolError("TOO_MANY_HEADERS") : upgrade;
      if (wrong instanceof Error) {
        accepting.fail(new RefusedError(wrong, undefined, formatResponse(refusalFor(wrong), method)));
      } else accepting.decide(wrong, () => head);
    });
  }

  /** Runs the handshake on a byte stream. Resolves as `handleUpgrade`. */
  accept(stream: ByteStream): Promise<WebSocketConnection | undefined> {
    return new Promise((resolve) => {
      const transport = transportOf(stream, this.settings);
      this.accepting({ transport, encrypted: isEncrypted(stream), raw: undefined }, resolve).begin();
    });
  }

  /**
   * Listens on a port or a Unix socket, with TLS if `tls` is given. Requests that are not WebSocket
   * handshakes go to `http`; without it they get 426. Rejects with INVALID_ARGUMENT for unusable
   * keys, certificates and `http`, with INVALID_STATE after `close`, and with the system's error if
   * it cannot listen.
   */
  async listen(options: ListenOptions & ServerListenOptions = {}): Promise<AddressInfo | string> {
    const { tls, http: app, ...where } = options;
    this.checkNotClosed();
    const httpServer = app === undefined ? undefined : await httpServerOf(app);
    this.checkNotClosed(); // an application may need time to get ready
    const http = httpServer === undefined ? undefined : this.backendOf(httpServer, tls !== undefined);
    try {
      const port = new Port(this.portHost, tls, http);
      this.ports.add(port);
      return await port.listen(where, () => this.ports.delete(port));
    } catch (error) {
      if (![...this.ports].some((port) => port.http === http)) await http?.close();
      throw error;
    }
  }

  private checkNotClosed(): void {
    if (this.closing) throw protocolError("INVALID_STATE", "this WebSocketServer was closed: make another one");
  }

  /**
   * Upgrades on connections that began with another request reach the HTTP server; they are handled
   * as on an attached server.
   */
  private backendOf(http: HttpServer | HttpsServer, tls: boolean): HttpBackend {
    if (http instanceof HttpsServer && !tls) {
      throw protocolError("INVALID_ARGUMENT", "http is a server of node:https, which needs a port with tls");
    }
    const known = this.backends.get(http);
    if (known !== undefined) return known;
    const { path, handshake } = this.admission;
    const detach = takerOf(http, path) === this.taker ? ignore : routeUpgrades(http, path, this.taker);
    const passOn = (head: UpgradeHead | undefined): boolean =>
      head === undefined || !isWebSocketUpgrade(head) || (path !== undefined && pathOf(head.target) !== path);
    const backend = new HttpBackend(http, { ...handshake, passOn }, this.settings.clock, () => {
      detach();
      this.backends.delete(http);
    });
    this.backends.set(http, backend);
    return backend;
  }

  /**
   * Changes the certificate, or the ticket keys, of the TLS ports of `listen`; options that are
   * left out stay as they are. Open connections and handshakes under way keep theirs. Throws
   * INVALID_ARGUMENT for unusable options, and changes nothing then.
   */
  setTls(changes: SecureContextOptions): void {
    const ports = [...this.ports].filter(({ secure }) => secure);
    if (ports.length === 0) throw protocolError("INVALID_STATE", "it listens on no port with TLS");
    for (const change of ports.map((port) => port.prepareTls(changes))) change();
  }

  /**
   * TLS comes before everything that has limits elsewhere, so its handshakes count as WebSocket
   * handshakes.
   */
  private startTls({ remoteAddress }: Socket, withHttp: boolean): (() => void) | undefined {
    if (this.closing) return undefined;
    const started = this.room.startTls(remoteAddress, withHttp);
    if (!(started instanceof Error)) return started;
    this.emit("refused", started);
    return undefined;
  }

  private acceptHandle(handle: StreamHandle, http: HttpBackend | undefined): void {
    const { noDelay, runtime } = this.settings;
    if (runtime.handles === undefined) return; // impossible: nothing is intercepted without it
    handle.setNoDelay?.(noDelay);
    const transport = new HandleTransport(handle, runtime.handles);
    this.accepting({ transport, encrypted: false, raw: undefined, http }).begin();
  }

  private acceptSocket(socket: Socket, http: HttpBackend | undefined): void {
    if (http === undefined) {
      void this.accept(socket);
      return;
    }
    socket.setNoDelay(this.settings.noDelay);
    // not `transportOf`: the HTTP server may need the socket unchanged
    const transport = new DuplexTransport(socket);
    this.accepting({ transport, encrypted: isEncrypted(socket), raw: undefined, http }).begin();
  }

  /** Creates a handshake of this server; it fails at once if there is no room. */
  private accepting(from: RequestOrigin, done?: Done): Accepting {
    const { room, admission, settings } = this;
    const { transport } = from;
    const withHttp = from.http !== undefined;
    const origin: RequestOrigin =
      room.counts || withHttp
        ? { ...from, enter: (request) => room.enter(accepting, request.clientAddress, withHttp) }
        : from;
    const accepting: Accepting = new Accepting(transport, admission, settings, origin, this.outcomes, done);
    const refusal = room.begin(accepting, room.counts ? transport.remoteAddress : undefined, withHttp);
    if (this.closing) accepting.fail(refusedForNow(serverError("SERVER_CLOSING")));
    else if (refusal !== undefined) accepting.fail(refusedForNow(refusal));
    return accepting;
  }

  private passed(accepting: Accepting): void {
    this.room.end(accepting);
    accepting.leave?.();
  }

  private accepted(accepting: Accepting, { driver, request }: AcceptedConnection): void {
    this.room.end(accepting);
    if (accepting.leave !== undefined) this.leave.set(driver, accepting.leave);
    this.open.add(driver);
    driver.join(this.membership);
    this.emit("connection", driver.connection, request);
    for (const handler of this.streams) void runStream(driver, request, handler);
    accepting.done?.(driver.connection);
  }

  private failed(accepting: Accepting, error: WebSocketError): void {
    this.room.end(accepting);
    accepting.leave?.();
    if (error.code === "AUTHORIZE_FAILED" || error.code === "RESPONSE_FAILED") this.onThrow(error.cause);
    this.emit("refused", error);
    accepting.done?.(undefined);
  }

  /**
   * Runs an async generator for each connection: what it yields is sent, its end closes with 1000,
   * its error with 1011.
   */
  stream(handler: StreamHandler): this {
    if (typeof handler !== "function") {
      throw protocolError("INVALID_ARGUMENT", `stream takes an async generator function, got ${describe(handler)}`);
    }
    this.streams.push(handler);
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
    if (prepared.compressed && this.settings.deflate === undefined) {
      throw protocolError("INVALID_ARGUMENT", "a message is compressed, and this server has no compression");
    }
    const excepted = driverOf(except);
    return this.broadcasts.add(prepared, excepted !== undefined && this.open.has(excepted) ? excepted : undefined);
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
      throw protocolError("INVALID_ARGUMENT", `timeout is milliseconds, got ${describe(timeout)}`);
    }
    return handled(this.drain(code, reason, timeout));
  }

  private async drain(code: number, reason: string, timeout: number | undefined): Promise<void> {
    const backends = [...this.backends.values()];
    const stopped = [...this.ports, ...backends].map((each) => each.close());
    this.closing = true;
    for (const each of this.room.handshakes) each.fail(refusedForNow(serverError("SERVER_CLOSING")));
    const { clock, closeTimeout } = this.settings;
    // connections end in time by themselves, HTTP requests do not
    const cancels = [clock.after(timeout ?? closeTimeout, () => dropAll(backends))];
    if (timeout !== undefined) cancels.push(clock.after(timeout, () => dropAll(this.open)));
    await Promise.all([...this.open].map((driver) => driver.close(code, reason)));
    await Promise.all(stopped);
    for (const cancel of cancels) cancel();
  }

  protected override onThrow(
    error: unknown,
    event?: keyof ServerEvents,
    args?: ServerEvents[keyof ServerEvents],
  ): void {
    // the message may have no reader
    const driver = event === "connection" ? driverOf(args?.[0]) : undefined;
    if (driver !== undefined) {
      if (driver.excuses(error)) return;
      driver.endFor(protocolError("HANDLER_FAILED", undefined, { cause: error }));
    }
    // an error of an `error` listener is not emitted to it
    if (event !== "error" && this.listenerCount("error") > 0) this.emit("error", error);
    else process.emitWarning(error instanceof Error ? error : String(error), "TungstateHandlerWarning");
  }
}

function dropAll(all: Iterable<{ terminate(): void }>): void {
  for (const each of all) each.terminate();
}

const ignore = (): void => undefined;

function prepare(data: string | Uint8Array | Message | ProtocolMessage): ProtocolMessage {
  if (data instanceof ProtocolMessage) return data;
  if (data instanceof Message) return new PreparedMessage(data.bytes, { type: data.type });
  return new PreparedMessage(data);
}

/** Returns the pairs of node:http's flat list of names and values. */
function pairs(raw: readonly string[]): [string, string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at], raw[at + 1]]);
  return fields;
}
