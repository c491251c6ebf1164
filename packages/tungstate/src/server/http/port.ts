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

/** Whose port it is. */
export interface PortHost {
  readonly noDelay: boolean;
  /** ms, also for TLS handshakes. */
  readonly handshakeTimeout: number;
  /** A TLS handshake begins. Returns what is to be called at its end; undefined if there is no room for it, which is then dropped. */
  onTlsHandshake(socket: Socket, http: HttpBackend | undefined): (() => void) | undefined;
  /** A connection, where Node's handles can be had. */
  onHandle(handle: StreamHandle, http: HttpBackend | undefined): void;
  /** A connection with TLS, or where they can't. */
  onSocket(socket: Socket, http: HttpBackend | undefined): void;
  onRefused(error: WebSocketError): void;
  onError(error: unknown): void;
}

/** A port, or a Unix socket, that a server listens on. */
export class Port {
  private readonly host: PortHost;
  private readonly server: NetServer;
  /** Where it has TLS: the same server, and the options that it was given. */
  private tls: { readonly server: TlsServer; options: TlsOptions } | undefined;
  readonly http: HttpBackend | undefined;
  /** Sockets in the middle of their TLS handshake, and what is to be called at its end. */
  private readonly securing = new Map<Socket, () => void>();
  /** Sockets that came here and are still this server's. */
  private readonly sockets = new Set<Socket>();
  private empty: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  /** `http` gets what is no WebSocket handshake. Throws INVALID_ARGUMENT for keys and certificates that can't be used. */
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

  /** TLS comes before everything that is limited elsewhere, so its handshakes count as ours, and take no longer than they. */
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
      socket.destroy(); // Node leaves one open that took too long
      host.onRefused(serverError("TLS_HANDSHAKE_FAILED", error.message, { cause: error }));
    });
    return server;
  }

  /** A TLS handshake has come to its end. */
  private secured(socket: Socket): void {
    this.securing.get(socket)?.();
    this.securing.delete(socket);
  }

  /**
   * Resolves with the address. Rejects with the system's error, or with INVALID_STATE if the port is closed before it listens. `closed` is
   * called when it listens no longer, or never did.
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
      // with a port, Node looks at no path
      const elsewhere = where.path !== undefined || "fd" in where;
      server.listen(elsewhere ? where : { port: 0, host: "127.0.0.1", ...where }, () => {
        const address = server.address();
        // Node listens once the host's name is looked up, closed or not
        if (this.closing !== undefined || address === null) {
          server.close();
          return;
        }
        server.off("error", failed);
        server.on("error", (error) => host.onError(error)); // such as EMFILE: it goes on listening
        if (this.tls === undefined) interceptHandles(server, (handle) => host.onHandle(handle, this.http));
        resolve(address);
      });
    });
  }

  get secure(): boolean {
    return this.tls !== undefined;
  }

  /**
   * Checks other options for its TLS; what are left out stay as they were. The function returned puts them in force. Throws INVALID_ARGUMENT
   * for what can't be used.
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
   * Takes no more connections, and drops those in their TLS handshake. Resolves when no socket is left but those that other servers have taken
   * over; connections whose handles were intercepted are not waited for.
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
