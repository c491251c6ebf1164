import { protocolError, type WebSocketError } from "@tungstate/protocol";
import { type AddressInfo, createServer, type ListenOptions, type Server as NetServer, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TlsOptions,
} from "node:tls";
import { interceptHandles, type StreamHandle } from "../../native/system.ts";
import { serverError } from "../errors.ts";
import type { HttpBackend } from "./backend.ts";
import { onHandover } from "./handover.ts";
import { changedTls, portOptions, socketBelow } from "./tls.ts";

/** The owner of a port. */
export interface PortHost {
  readonly noDelay: boolean;
  /** Whether the handles of accepted sockets may be used. */
  readonly usesHandles: boolean;
  /** In ms; applies to TLS handshakes too. */
  readonly handshakeTimeout: number;
  /**
   * A TLS handshake begins. Returns a function to call at its end; undefined if there is no room,
   * and the socket is destroyed.
   */
  onTlsHandshake(socket: Socket, http: HttpBackend | undefined): (() => void) | undefined;
  /** A connection, where Node's handles are available. */
  onHandle(handle: StreamHandle, http: HttpBackend | undefined): void;
  /** A connection with TLS, or where handles are not available. */
  onSocket(socket: Socket, http: HttpBackend | undefined): void;
  onRefused(error: WebSocketError): void;
  onError(error: unknown): void;
}

/** A port or a Unix socket that a server listens on. */
export class Port {
  private readonly host: PortHost;
  private readonly server: NetServer;
  /** With TLS: the same server, and its options. */
  private tls: { readonly server: TlsServer; options: TlsOptions } | undefined;
  readonly http: HttpBackend | undefined;
  /** Sockets in their TLS handshake, with the function to call at its end. */
  private readonly securing = new Map<Socket, () => void>();
  /** Sockets of this port that still belong to this server. */
  private readonly sockets = new Set<Socket>();
  private empty: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  /**
   * `http` gets requests that are not WebSocket handshakes. Throws INVALID_ARGUMENT for unusable
   * keys and certificates.
   */
  constructor(host: PortHost, tls: TlsOptions | undefined, http: HttpBackend | undefined) {
    this.host = host;
    this.http = http;
    this.server = tls === undefined ? this.plainServer() : this.tlsServer(tls);
  }

  private plainServer(): NetServer {
    return createServer({ noDelay: this.host.noDelay }, (socket) => this.pass(socket));
  }

  private pass(socket: Socket): void {
    this.sockets.add(socket);
    const forget = (): void => {
      if (this.sockets.delete(socket) && this.sockets.size === 0) this.empty?.();
    };
    socket.once("close", forget);
    onHandover(socket, forget);
    this.host.onSocket(socket, this.http);
  }

  /**
   * TLS comes before everything that has limits elsewhere, so its handshakes count as WebSocket
   * handshakes and have the same time limit.
   */
  private tlsServer(options: TlsOptions): NetServer {
    const { host } = this;
    const server = createTlsServer({ handshakeTimeout: host.handshakeTimeout, ...portOptions(options) });
    this.tls = { server, options };
    server.on("connection", (socket: Socket) => {
      const end = host.onTlsHandshake(socket, this.http);
      if (end === undefined) {
        socket.destroy();
        return;
      }
      this.securing.set(socket, end);
      socket.once("close", () => this.secured(socket));
    });
    server.on("secureConnection", (socket) => {
      const below = socketBelow(socket, this.securing);
      if (below !== undefined) this.secured(below);
      this.pass(socket);
    });
    server.on("tlsClientError", (error, socket) => {
      socket.destroy(); // Node leaves a socket open whose TLS handshake timed out
      host.onRefused(serverError("TLS_HANDSHAKE_FAILED", error.message, { cause: error }));
    });
    return server;
  }

  /** A TLS handshake has ended. */
  private secured(socket: Socket): void {
    this.securing.get(socket)?.();
    this.securing.delete(socket);
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
        server.on("error", (error) => host.onError(error)); // for example EMFILE: the port continues to listen
        if (this.tls === undefined && host.usesHandles) {
          interceptHandles(server, (handle) => host.onHandle(handle, this.http));
        }
        resolve(address);
      });
    });
  }

  get secure(): boolean {
    return this.tls !== undefined;
  }

  /**
   * Checks changed TLS options; options that are left out stay as they are. Returns a function that
   * applies them. Throws INVALID_ARGUMENT for unusable ones.
   */
  prepareTls(changes: SecureContextOptions): () => void {
    const { tls } = this;
    if (tls === undefined) return () => undefined;
    const changed = changedTls(tls.options, changes);
    const options = portOptions(changed);
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
    for (const socket of this.securing.keys()) socket.destroy();
    if (this.sockets.size > 0) await new Promise<void>((resolve) => (this.empty = resolve));
  }
}
