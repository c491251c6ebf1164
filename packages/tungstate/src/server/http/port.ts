import { protocolError } from "@tungstate/protocol";
import { type AddressInfo, createServer, type ListenOptions, type Server as NetServer, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TlsOptions,
} from "node:tls";
import { type Interception, interceptAccepted } from "../../native/accepted-handles.ts";
import { connectError } from "../../errors.ts";
import { platform } from "../../native/platform.ts";
import type { StreamHandle } from "../../native/system.ts";
import { HandleArrival, SocketArrival } from "../door/arrival.ts";
import type { Arrivals } from "../door/arrivals.ts";
import type { Place } from "../door/first-request.ts";
import { Securing } from "../door/securing.ts";
import { serverError } from "../errors.ts";
import type { HttpBackend } from "./backend.ts";
import { onHandover } from "./handover.ts";
import type { Http2Backend } from "../http2/backend.ts";
import { changedTls, portOptions } from "./tls.ts";

/** The owner of a port. */
export interface PortHost {
  /** The limits of connections until their TLS handshake ends or their first request is known. */
  readonly arrivals: Arrivals;
  /** A connection without an HTTP server, where Node's handles are available. */
  onHandle(handle: StreamHandle): void;
  /** A connection without an HTTP server, with TLS or where handles are not available. */
  onSocket(socket: Socket): void;
  onError(error: unknown): void;
}

const HTTP_1 = ["http/1.1"];
const HTTP_1_OR_2 = ["h2", ...HTTP_1];

/** A port or a Unix socket that a server listens on. */
export class Port {
  private readonly host: PortHost;
  private readonly server: NetServer;
  /** With TLS: the same server, and its options. */
  private tls: { readonly server: TlsServer; options: TlsOptions } | undefined;
  readonly http: HttpBackend | undefined;
  private readonly sessions: Http2Backend | undefined;
  private readonly securing = new Securing(false);
  private interception: Interception | undefined;
  /** The socket of a handle that is being given to the HTTP server. */
  private given: { socket: Socket | undefined } | undefined;
  /** Sockets of this port that still belong to this server. */
  private readonly sockets = new Set<Socket>();
  private empty: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  /**
   * `http` gets requests that are not WebSocket handshakes. Throws INVALID_ARGUMENT for unusable
   * keys and certificates.
   */
  constructor(
    host: PortHost,
    tls: TlsOptions | undefined,
    http: HttpBackend | undefined,
    sessions: Http2Backend | undefined,
  ) {
    this.host = host;
    this.sessions = sessions;
    this.http = http;
    this.server = tls === undefined ? this.plainServer() : this.tlsServer(tls);
  }

  private plainServer(): NetServer {
    const { noDelay } = this.host.arrivals.settings;
    // an HTTP server responds also after the client has ended its half
    const options = { noDelay, allowHalfOpen: this.http !== undefined };
    return createServer(options, (socket) => {
      if (this.given === undefined) this.pass(socket, undefined);
      else this.given.socket = socket;
    });
  }

  /** `secured`: the place of the connection during its TLS handshake. */
  private pass(socket: Socket, secured: Place | undefined): void {
    const { http, host } = this;
    this.track(socket);
    if (this.sessions !== undefined && "alpnProtocol" in socket && socket.alpnProtocol === "h2") {
      secured?.leave();
      this.sessions.open(socket);
      return;
    }
    if (http === undefined) {
      secured?.leave();
      host.onSocket(socket);
      return;
    }
    const { settings } = host.arrivals;
    socket.setNoDelay(settings.noDelay);
    http.open(new SocketArrival(socket, settings, (...given) => http.take(...given)), secured);
  }

  private track(socket: Socket): void {
    this.sockets.add(socket);
    const forget = (): void => {
      if (this.sockets.delete(socket) && this.sockets.size === 0) this.empty?.();
    };
    socket.once("close", forget);
    onHandover(socket, forget);
  }

  private takesHandle(handle: StreamHandle): boolean {
    const { http, host } = this;
    if (http === undefined) {
      host.onHandle(handle);
      return true;
    }
    const { runtime, noDelay } = host.arrivals.settings;
    if (runtime.handles === undefined) return false;
    http.open(new HandleArrival(handle, runtime.handles, noDelay, (...given) => this.give(http, ...given)));
    return true;
  }

  /** Makes a socket of a handle, and gives it to the HTTP server. */
  private give(http: HttpBackend, handle: StreamHandle, bytes: Uint8Array, since: number | undefined): void {
    const given: { socket: Socket | undefined } = { socket: undefined };
    this.given = given;
    try {
      this.interception?.pass(handle);
    } finally {
      this.given = undefined;
    }
    const { socket } = given;
    if (socket === undefined) return; // impossible: the port has no limit of its own
    this.track(socket);
    http.take(socket, bytes, since);
  }

  private tlsServer(options: TlsOptions): NetServer {
    const { arrivals } = this.host;
    const server = createTlsServer({ handshakeTimeout: arrivals.timeout, ...this.portOptions(options) });
    this.tls = { server, options };
    server.on("connection", (socket: Socket) => void this.securing.begin(socket, arrivals, this.http !== undefined));
    server.on("secureConnection", (socket) => this.pass(socket, this.securing.end(socket)));
    server.on("tlsClientError", (error, socket) => {
      socket.destroy(); // Node leaves a socket open whose TLS handshake timed out
      if (this.securing.hasRefused(socket)) return;
      arrivals.onRefused(serverError("TLS_HANDSHAKE_FAILED", error.message, { cause: error }));
    });
    return server;
  }

  /**
   * Resolves with the address. Rejects with the system's error, or with INVALID_STATE if the port
   * is closed before it listens. `closed` is called when it stops listening, or never listened.
   */
  async listen(where: ListenOptions, closed: () => void): Promise<AddressInfo | string> {
    const { server, host } = this;
    return await new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        closed();
        reject(error);
      };
      server.once("error", failed);
      server.once("close", () => failed(protocolError("INVALID_STATE", "the server was closed before it listened")));
      // with a port, Node ignores the path
      const elsewhere = where.path !== undefined || "fd" in where;
      server.listen(elsewhere ? where : { port: 0, host: "127.0.0.1", ...where }, () => {
        const address = server.address();
        // Node listens once the host name is resolved, even if the port was closed meanwhile
        if (this.closing !== undefined || address === null) {
          server.close();
          return;
        }
        server.off("error", failed);
        // for example EMFILE: the port continues to listen
        server.on("error", (error) => host.onError(error));
        if (this.tls === undefined && host.arrivals.settings.transport === "auto") {
          this.interception = interceptAccepted(server, (handle) => this.takesHandle(handle));
        }
        resolve(address);
      });
    });
  }

  get secure(): boolean {
    return this.tls !== undefined;
  }

  private portOptions(tls: TlsOptions): TlsOptions {
    return portOptions(tls, this.sessions === undefined ? HTTP_1 : HTTP_1_OR_2);
  }

  /**
   * Checks changed TLS options; options that are left out stay as they are. Returns a function that
   * applies them. Throws INVALID_ARGUMENT for unusable ones, and NOT_SUPPORTED on Bun.
   */
  prepareTls(changes: SecureContextOptions): () => void {
    const { tls } = this;
    if (tls === undefined) return () => undefined;
    if (platform.name === "Bun") {
      const here = `${platform.name} ${platform.version}`;
      throw connectError(
        "NOT_SUPPORTED",
        `setTls: ${here} cannot change the TLS options of an open port; listen again`,
      );
    }
    const changed = changedTls(tls.options, changes);
    const options = this.portOptions(changed);
    return () => {
      tls.server.setSecureContext(options);
      tls.options = changed;
    };
  }

  /**
   * Stops accepting, and destroys the sockets in their TLS handshake. Resolves when no socket is
   * left except those that other servers have taken over. Connections with intercepted handles are
   * not waited for.
   */
  close(): Promise<void> {
    return (this.closing ??= this.drain());
  }

  private async drain(): Promise<void> {
    this.server.close();
    this.securing.destroy();
    if (this.sockets.size > 0) await new Promise<void>((resolve) => (this.empty = resolve));
  }
}
