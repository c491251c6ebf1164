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
import type { MemoryUse } from "../connection/memory-budget.ts";
import { driverOf } from "../connection/connection.ts";
import type { ConnectionOwner, Driver } from "../connection/driver.ts";
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

/** What a port of a server is, beside the options of node:net's `listen`. */
export interface ServerListenOptions {
  /** Those of node:tls. Default: no TLS. */
  readonly tls?: TlsOptions;
  /**
   * Answers all requests that are no WebSocket handshakes, and those for another `path`: a request listener, a server of node:http, or an
   * application of Express, Fastify, Koa or Hono. `handshakeTimeout`, `handshakeLimits`, `maxHandshakes` and
   * `maxConnectionsPerAddress` hold for the head of the first request of each connection. Default: such requests get 426.
   */
  readonly http?: HttpApp;
}

/** What a server has to do at this moment. */
export interface ServerStats {
  /** Open or closing. */
  readonly connections: number;
  /** Handshakes under way. */
  readonly handshakes: number;
  /** Addresses that have connections, or handshakes under way; 0 where they are not counted. */
  readonly addresses: number;
  /** What its budget holds, which may be that of others, too. */
  readonly memory: MemoryUse;
}

/** Events of a server, with the arguments of their listeners. */
export interface ServerEvents {
  /**
   * A handshake was accepted. Add the listeners of the connection at once: messages wait until
   * somebody reads.
   */
  connection: [connection: WebSocketConnection, request: HandshakeRequest];
  /** A handshake that came to nothing: why. */
  refused: [error: WebSocketError];
  /** A hook or handler of the application threw; or a port of ours could not take a connection, such as for want of descriptors. */
  error: [error: unknown];
}

/**
 * WebSocket for servers: behind node:http (`attach`, `handleUpgrade`), on a port of its own (`listen`), or on streams that you bring
 * (`accept`). All of its connections share one set of options, and are drained together by `close`.
 */
export class WebSocketServer extends Emitter<ServerEvents> {
  /** The connections that are open or closing. */
  readonly connections: ReadonlySet<WebSocketConnection>;
  private readonly open = new Set<Driver>();
  private readonly feed: BroadcastQueue;
  private readonly settings: ConnectionSettings;
  private readonly admission: Admission;
  private readonly room: Room;
  /** Where connections are counted by address: what each connection gives back. */
  private readonly leave = new Map<Driver, () => void>();
  private readonly owner: ConnectionOwner = {
    onConnectionClosed: (driver) => {
      this.open.delete(driver);
      this.feed.forget(driver);
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
  /** What it is for servers of node:http. */
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
    this.feed = new BroadcastQueue(this.open, { flusher, writeBufferSize, maxFrameSize: protocol.maxFrameSize });
    this.admission = new Admission(options, extensionsOf(this.settings), this.settings.runtime);
    this.room = new Room(options, {
      proxies: this.admission.proxies,
      openConnections: () => this.open.size,
      shortOfMemory: () => this.settings.memoryBudget.short,
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
      memory: this.settings.memoryBudget.use,
    };
  }

  /**
   * Takes the upgrade requests of a node:http or node:https server; several WebSocketServers can share one, each with a `path`. A path that
   * none of them has gets 404, unless the server has upgrade listeners of others.
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

  /** Leaves the upgrade requests of the servers it was attached to to others. */
  detach(): this {
    for (const detach of this.attached.splice(0)) detach();
    return this;
  }

  /**
   * Answers one upgrade request of node:http. The connection, or undefined if the handshake was refused: the client has its
   * answer then, and `refused` says why. Never rejects. `answer`: more header fields of the 101, ahead of those of `authorize`.
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
      // node:http has limits of its own for the rest of a head
      const tooMany =
        request.rawHeaders.length / 2 > (this.admission.handshake.limits?.maxHeaders ?? DEFAULT_HEAD_LIMITS.maxHeaders);
      const wrong = tooMany ? protocolError("TOO_MANY_HEADERS") : upgrade;
      if (wrong instanceof Error) {
        accepting.fail(new RefusedError(wrong, undefined, formatResponse(refusalFor(wrong), method)));
      } else accepting.decide(wrong, () => head);
    });
  }

  /** Does the handshake on a byte stream; else as `handleUpgrade`. */
  accept(stream: ByteStream): Promise<WebSocketConnection | undefined> {
    return new Promise((resolve) => {
      const transport = transportOf(stream, this.settings);
      this.accepting({ transport, encrypted: isEncrypted(stream), raw: undefined }, resolve).begin();
    });
  }

  /**
   * Listens on a port, or a Unix socket, of its own, with TLS if `tls` says how. Requests that are no WebSocket handshakes go to `http`; without
   * it they get 426. Rejects with INVALID_ARGUMENT for keys and certificates that can't be used and for an `http` that is none, with INVALID_STATE once
   * `close` was called, and with the system's error where it can't listen.
   */
  async listen(options: ListenOptions & ServerListenOptions = {}): Promise<AddressInfo | string> {
    const { tls, http: app, ...where } = options;
    this.checkNotClosed();
    const httpServer = app === undefined ? undefined : await httpServerOf(app);
    this.checkNotClosed(); // an application may take a while to be ready
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

  /** The HTTP server gets the upgrades of connections that began with another request, and those are for us as on any server attached to. */
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
   * Gives the TLS ports of `listen` another certificate, or other keys for tickets: what is left out stays as it was. Connections that
   * are open, and handshakes that have begun, go on with what they have. Throws INVALID_ARGUMENT for what can't be used, and then changes nothing.
   */
  setTls(changes: SecureContextOptions): void {
    const ports = [...this.ports].filter(({ secure }) => secure);
    if (ports.length === 0) throw protocolError("INVALID_STATE", "it listens on no port with TLS");
    for (const change of ports.map((port) => port.prepareTls(changes))) change();
  }

  /** TLS comes before everything that is limited elsewhere, so its handshakes count as ours. */
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
    // not `transportOf`: the HTTP server may need the socket as it is
    const transport = new DuplexTransport(socket);
    this.accepting({ transport, encrypted: isEncrypted(socket), raw: undefined, http }).begin();
  }

  /** A handshake of this server; it fails at once where there is no room for it. */
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
    driver.belongTo(this.owner, this.feed);
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

  /** Runs an async generator for each connection: what it yields is sent, its end closes with 1000, its throw with 1011. */
  stream(handler: StreamHandler): this {
    if (typeof handler !== "function") {
      throw protocolError("INVALID_ARGUMENT", `stream takes an async generator function, got ${describe(handler)}`);
    }
    this.streams.push(handler);
    return this;
  }

  /**
   * Sends to all open connections but `except`, encoded once, and to each in one write for all that the turn brings. A connection that has no room for it
   * (see `maxWriteBufferSize`) is closed with 1013: it would miss a message otherwise. Returns how many have more waiting than their
   * `writeBufferSize`, as far as the last write has told.
   */
  broadcast(data: string | Uint8Array | Message | ProtocolMessage, except?: WebSocketConnection): number {
    const prepared = prepare(data);
    if (prepared.compressed && this.settings.deflate === undefined) {
      throw protocolError("INVALID_ARGUMENT", "a message is compressed, and this server has no compression");
    }
    const excepted = driverOf(except);
    return this.feed.add(prepared, excepted !== undefined && this.open.has(excepted) ? excepted : undefined);
  }

  /**
   * Drains: no new connections (503), and a Close to all, behind what was written to them. `closeTimeout` and `maxCloseTime` end each connection; after `timeout`
   * ms, if given, all that are left are dropped. HTTP requests of its own ports have `timeout`, by default `closeTimeout`. Resolves when nothing is left. The node:http
   * servers it is attached to stay as they are, and get 503 for its upgrade requests until `detach`. Throws INVALID_ARGUMENT, with nothing done.
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
    // nobody may be there to read it
    const driver = event === "connection" ? driverOf(args?.[0]) : undefined;
    if (driver !== undefined) {
      if (driver.excuses(error)) return;
      driver.endFor(protocolError("HANDLER_FAILED", undefined, { cause: error }));
    }
    // a listener of `error` that throws is not told of its own error
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

/** node:http's flat list of names and values. */
function pairs(raw: readonly string[]): [string, string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at], raw[at + 1]]);
  return fields;
}
