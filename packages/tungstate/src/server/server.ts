import {
  checkClose,
  checkUpgrade,
  CLOSE_CODE,
  DEFAULT_HEAD_LIMITS,
  formatResponse,
  HeaderFields,
  type HeaderInput,
  Message,
  PreparedMessage,
  protocolError,
  refusalFor,
  type WebSocketError,
} from "@tungstate/protocol";
import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { type AddressInfo, createServer, type ListenOptions, type Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TlsOptions,
} from "node:tls";
import type { MemoryUse } from "../budget.ts";
import { Connection, type ConnectionOwner } from "../connection.ts";
import { Emitter } from "../emitter.ts";
import { Feed } from "../feed.ts";
import { checkNames, SERVER_OPTIONS } from "../option-names.ts";
import { type ConnectionOptions, type ConnectionSettings, connectionSettings, count, describe } from "../options.ts";
import { handled } from "../promises.ts";
import { HandleTransport } from "../transport/handle.ts";
import { transportOf } from "../transport/of.ts";
import { interceptHandles, type StreamHandle, system } from "../transport/system.ts";
import type { ByteStream, WebSocketConnection } from "../types.ts";
import { isEncrypted } from "../url.ts";
import { type AcceptedConnection, Accepting, type AcceptingOwner, type Done } from "./accepting.ts";
import { AddressPlaces } from "./addresses.ts";
import { Admission, type AdmissionOptions, checkPath, extensionsOf, RefusedError, refusedForNow } from "./admission.ts";
import { serverError } from "./errors.ts";
import type { HandshakeRequest, RequestOrigin } from "./request.ts";
import { routeUpgrades } from "./router.ts";
import { runStream, type StreamHandler } from "./stream.ts";
import { changedTls, portOptions, socketBelow } from "./tls.ts";

export interface WebSocketServerOptions extends ConnectionOptions, AdmissionOptions {
  /** Open connections at a time; more get 503. Default Infinity. */
  readonly maxConnections?: number;
  /** Handshakes under way at a time; more get 503. Default 1,024. */
  readonly maxHandshakes?: number;
  /**
   * Connections at a time from one address, handshakes included; more get 429. Of IPv6 addresses, the first 64 bits count. Behind a proxy it
   * needs `trustProxy`, or all clients are one address. Default Infinity.
   */
  readonly maxConnectionsPerAddress?: number;
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

export interface ServerEvents {
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
export class WebSocketServer extends Emitter<ServerEvents> implements ConnectionOwner {
  /** The connections that are open or closing. */
  readonly connections: ReadonlySet<WebSocketConnection>;
  private readonly open = new Set<Connection>();
  private readonly feed: Feed;
  private readonly settings: ConnectionSettings;
  private readonly admission: Admission;
  private readonly maxConnections: number;
  private readonly maxHandshakes: number;
  /** Where connections are counted by address: what each connection gives back. */
  private readonly places: AddressPlaces | undefined;
  private readonly leave = new Map<Connection, () => void>();
  private readonly handshakes = new Set<Accepting>();
  private readonly outcomes: AcceptingOwner = {
    accepted: (accepting, accepted) => this.accepted(accepting, accepted),
    failed: (accepting, error) => this.failed(accepting, error),
  };
  private readonly attached: (() => void)[] = [];
  /** Sockets in the middle of their TLS handshake. */
  private readonly securing = new Map<Socket, () => void>();
  private readonly ports = new Set<NetServer>();
  /** Those with TLS, and the options they were given. */
  private readonly tlsPorts = new Map<NetServer, { readonly port: TlsServer; readonly tls: TlsOptions }>();
  private readonly streams: StreamHandler[] = [];
  private closing = false;

  constructor(options: WebSocketServerOptions = {}) {
    super();
    checkNames(options, SERVER_OPTIONS);
    this.connections = this.open;
    this.settings = connectionSettings("server", options);
    this.feed = new Feed(this.open, this.settings);
    this.admission = new Admission(options, extensionsOf(this.settings));
    this.maxConnections = count(options, "maxConnections", Infinity, 0);
    this.maxHandshakes = count(options, "maxHandshakes", 1024, 1);
    const perAddress = count(options, "maxConnectionsPerAddress", Infinity, 1);
    if (perAddress !== Infinity) this.places = new AddressPlaces(perAddress);
  }

  get stats(): ServerStats {
    return {
      connections: this.open.size,
      handshakes: this.handshakes.size,
      addresses: this.places?.size ?? 0,
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
    this.attached.push(
      routeUpgrades(server, path, { take: (request, socket, head) => void this.handleUpgrade(request, socket, head) }),
    );
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
   * Listens on a port, or a Unix socket, of its own, with TLS if `tls` says how. Requests that are no upgrades get 426. Rejects with
   * INVALID_ARGUMENT for keys and certificates that can't be used, and with the system's error where it can't listen.
   */
  async listen(options: ListenOptions & { readonly tls?: TlsOptions } = {}): Promise<AddressInfo | string> {
    const { tls, ...where } = options;
    const onSocket = (socket: Socket): void => void this.accept(socket);
    const server =
      tls === undefined ? createServer({ noDelay: this.settings.noDelay }, onSocket) : this.tlsServer(tls, onSocket);
    this.ports.add(server);
    server.once("close", () => this.forget(server));
    return await new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        this.forget(server);
        reject(error);
      };
      server.once("error", failed);
      // with a port, Node looks at no path
      const elsewhere = where.path !== undefined || "fd" in where;
      server.listen(elsewhere ? where : { port: 0, host: "127.0.0.1", ...where }, () => {
        server.off("error", failed);
        server.on("error", (error) => this.onThrow(error)); // such as EMFILE: it goes on listening
        if (tls === undefined) interceptHandles(server, (handle) => this.acceptHandle(handle));
        const address = server.address();
        if (address === null) reject(protocolError("INVALID_STATE", "the server was closed while it began to listen"));
        else resolve(address);
      });
    });
  }

  /**
   * Gives the TLS ports of `listen` another certificate, or other keys for tickets: what is left out stays as it was. Connections that
   * are open, and handshakes that have begun, go on with what they have. Throws INVALID_ARGUMENT for what can't be used, and then changes nothing.
   */
  setTls(changes: SecureContextOptions): void {
    if (this.tlsPorts.size === 0) throw protocolError("INVALID_STATE", "it listens on no port with TLS");
    const changed = [...this.tlsPorts.values()].map(({ port, tls: before }) => {
      const tls = changedTls(before, changes);
      return { port, tls, options: portOptions(tls) };
    });
    for (const { port, tls, options } of changed) {
      port.setSecureContext(options);
      this.tlsPorts.set(port, { port, tls });
    }
  }

  /** TLS comes before everything that is limited elsewhere, so its handshakes count as ours, and take no longer than they. */
  private tlsServer(tls: TlsOptions, onSocket: (socket: Socket) => void): NetServer {
    const server = createTlsServer({ handshakeTimeout: this.admission.timeout, ...portOptions(tls) });
    this.tlsPorts.set(server, { port: server, tls });
    server.on("connection", (socket: Socket) => {
      if (this.closing || this.securing.size >= this.maxHandshakes) {
        socket.destroy();
        return;
      }
      const leave = this.placeForTls(socket);
      if (leave === undefined) {
        socket.destroy();
        this.emit("refused", serverError("TOO_MANY_FROM_ADDRESS"));
        return;
      }
      this.securing.set(socket, leave);
      socket.once("close", () => this.secured(socket));
    });
    server.on("secureConnection", (socket) => {
      const below = socketBelow(socket, this.securing);
      if (below !== undefined) this.secured(below);
      onSocket(socket);
    });
    server.on("tlsClientError", (error, socket) => {
      socket.destroy(); // Node leaves one open that took too long
      this.emit("refused", serverError("TLS_HANDSHAKE_FAILED", error.message, { cause: error }));
    });
    return server;
  }

  /** A port that is no more, or never was. */
  private forget(server: NetServer): void {
    this.ports.delete(server);
    this.tlsPorts.delete(server);
  }

  /** Before there is a request, a proxy can't say for whom it is; then all it needs is a place among the handshakes. */
  private placeForTls(socket: Socket): (() => void) | undefined {
    const { remoteAddress } = socket;
    if (this.places === undefined || this.admission.proxies?.trusts(remoteAddress) === true) return ignore;
    return this.places.take(remoteAddress);
  }

  /** A TLS handshake has come to its end. */
  private secured(socket: Socket): void {
    this.securing.get(socket)?.();
    this.securing.delete(socket);
  }

  private acceptHandle(handle: StreamHandle): void {
    if (system === undefined) return; // impossible: nothing is intercepted without it
    handle.setNoDelay?.(this.settings.noDelay);
    const transport = new HandleTransport(handle, system);
    this.accepting({ transport, encrypted: false, raw: undefined }).begin();
  }

  /** A handshake of this server; it fails at once where there is no room for it. */
  private accepting(from: RequestOrigin, done?: Done): Accepting {
    const { places, admission, settings } = this;
    const origin: RequestOrigin =
      places === undefined
        ? from
        : { ...from, enter: (request) => this.enter(accepting, places, request.clientAddress) };
    const accepting: Accepting = new Accepting(from.transport, admission, settings, origin, this.outcomes, done);
    const full =
      this.open.size + this.handshakes.size >= this.maxConnections || this.handshakes.size >= this.maxHandshakes;
    this.handshakes.add(accepting);
    if (this.closing) accepting.fail(refusedForNow(serverError("SERVER_CLOSING")));
    else if (full) accepting.fail(refusedForNow(serverError("SERVER_FULL")));
    else if (settings.memoryBudget.short) accepting.fail(refusedForNow(serverError("SERVER_OVERLOADED")));
    else if (places !== undefined) {
      // who stands behind a proxy is known from its request
      const peer = from.transport.remoteAddress;
      if (admission.proxies?.trusts(peer) === true) return accepting;
      try {
        this.enter(accepting, places, peer);
      } catch (error) {
        accepting.fail(error);
      }
    }
    return accepting;
  }

  private enter(accepting: Accepting, places: AddressPlaces, address: string | undefined): void {
    accepting.leave ??= places.take(address);
    if (accepting.leave === undefined) throw refusedForNow(serverError("TOO_MANY_FROM_ADDRESS"));
  }

  private accepted(accepting: Accepting, { connection, request }: AcceptedConnection): void {
    this.handshakes.delete(accepting);
    if (accepting.leave !== undefined) this.leave.set(connection, accepting.leave);
    this.open.add(connection);
    connection.belongTo(this, this.feed);
    this.emit("connection", connection, request);
    for (const handler of this.streams) void runStream(connection, request, handler);
    accepting.done?.(connection);
  }

  private failed(accepting: Accepting, error: WebSocketError): void {
    this.handshakes.delete(accepting);
    accepting.leave?.();
    if (error.code === "AUTHORIZE_FAILED") this.onThrow(error.cause);
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
  broadcast(data: string | Uint8Array | Message | PreparedMessage, except?: WebSocketConnection): number {
    const prepared = data instanceof PreparedMessage ? data : prepare(data);
    if (prepared.compressed && this.settings.deflate === undefined) {
      throw protocolError("INVALID_ARGUMENT", "a message is compressed, and this server has no compression");
    }
    return this.feed.add(prepared, except instanceof Connection && this.open.has(except) ? except : undefined);
  }

  /**
   * Drains: no new connections (503), a Close to all, and whoever has not answered within `timeout` ms (default closeTimeout) is dropped. Resolves
   * when none is left. The node:http servers it is attached to stay as they are, and get 503 for its upgrade requests until `detach`. Throws
   * INVALID_ARGUMENT, with nothing done.
   */
  close(
    code: number = CLOSE_CODE.GOING_AWAY,
    reason = "",
    timeout: number = this.settings.closeTimeout,
  ): Promise<void> {
    checkClose(code, reason);
    if (typeof timeout !== "number" || !(timeout >= 0)) {
      throw protocolError("INVALID_ARGUMENT", `timeout is milliseconds, got ${describe(timeout)}`);
    }
    return handled(this.drain(code, reason, timeout));
  }

  private async drain(code: number, reason: string, timeout: number): Promise<void> {
    const stopped = [...this.ports].map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.closing = true;
    for (const each of this.handshakes) each.fail(refusedForNow(serverError("SERVER_CLOSING")));
    for (const socket of this.securing.keys()) socket.destroy();
    const cancel = this.settings.clock.after(timeout, () => {
      for (const connection of this.open) connection.terminate();
    });
    await Promise.all([...this.open].map((connection) => connection.close(code, reason)));
    await Promise.all(stopped);
    cancel();
  }

  protected override onThrow(
    error: unknown,
    event?: keyof ServerEvents,
    args?: ServerEvents[keyof ServerEvents],
  ): void {
    // nobody may be there to read it
    const connection = event === "connection" ? args?.[0] : undefined;
    if (connection instanceof Connection) {
      if (connection.excuses(error)) return;
      connection.endFor(protocolError("HANDLER_FAILED", undefined, { cause: error }));
    }
    // a listener of `error` that throws is not told of its own error
    if (event !== "error" && this.listenerCount("error") > 0) this.emit("error", error);
    else process.emitWarning(error instanceof Error ? error : String(error), "TungstateHandlerWarning");
  }

  // what its connections tell it

  onConnectionClosed(connection: Connection): void {
    this.open.delete(connection);
    this.feed.forget(connection);
    this.leave.get(connection)?.();
    this.leave.delete(connection);
  }

  onHandlerError(error: unknown): void {
    this.onThrow(error);
  }
}

const ignore = (): void => undefined;

function prepare(data: string | Uint8Array | Message): PreparedMessage {
  if (data instanceof Message) return new PreparedMessage(data.bytes, { type: data.type });
  return new PreparedMessage(data);
}

/** node:http's flat list of names and values. */
function pairs(raw: readonly string[]): [string, string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at], raw[at + 1]]);
  return fields;
}
