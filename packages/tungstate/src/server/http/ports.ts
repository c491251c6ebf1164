import { protocolError } from "@tungstate/protocol";
import { argumentError } from "@tungstate/protocol/internal";
import type { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { AddressInfo, ListenOptions } from "node:net";
import type { SecureContextOptions } from "node:tls";
import type { ServerListenOptions } from "../options.ts";
import { httpServerOf } from "./app.ts";
import { HttpBackend } from "./backend.ts";
import { Port, type PortHost } from "./port.ts";
import { handshakeTakerOf, routeUpgrades, takerOf, type UpgradeTaker } from "./router.ts";

/** The ports of a server, and the HTTP servers behind them. */
export class Ports {
  private readonly host: PortHost;
  private readonly path: string | undefined;
  private readonly taker: UpgradeTaker;
  private readonly ports = new Set<Port>();
  private readonly backends = new Map<HttpServer | HttpsServer, HttpBackend>();
  private closing = false;

  /** `taker` takes the handshakes on `path`. */
  constructor(host: PortHost, path: string | undefined, taker: UpgradeTaker) {
    this.host = host;
    this.path = path;
    this.taker = taker;
  }

  /** Whether `close` was called. */
  get isClosing(): boolean {
    return this.closing;
  }

  /** Does what `WebSocketServer.listen` says. */
  async listen(options: ListenOptions & ServerListenOptions): Promise<AddressInfo | string> {
    const { tls, http: app, ...where } = options;
    this.checkNotClosed();
    const httpServer = app === undefined ? undefined : await httpServerOf(app);
    this.checkNotClosed(); // an application may need time to get ready
    const http = httpServer === undefined ? undefined : this.backendOf(httpServer, tls !== undefined);
    try {
      const port = new Port(this.host, tls, http);
      this.ports.add(port);
      return await port.listen(where, () => this.ports.delete(port));
    } catch (error) {
      if (![...this.ports].some((port) => port.http === http)) await http?.close();
      throw error;
    }
  }

  private checkNotClosed(): void {
    if (this.closing) throw protocolError("INVALID_STATE", "the WebSocketServer is closed: create a new one");
  }

  /**
   * Upgrades on connections that began with another request reach the HTTP server; they are handled
   * as on an attached server.
   */
  private backendOf(http: HttpServer | HttpsServer, tls: boolean): HttpBackend {
    if (http instanceof HttpsServer && !tls) {
      throw argumentError(
        TypeError,
        "http must be a server of node:http on a port without tls, got a server of node:https",
      );
    }
    const known = this.backends.get(http);
    if (known !== undefined) return known;
    const { path } = this;
    const detach = takerOf(http, path) === this.taker ? ignore : routeUpgrades(http, path, this.taker);
    const backend = new HttpBackend(
      http,
      this.host.arrivals,
      (head) => handshakeTakerOf(http, head),
      () => {
        detach();
        this.backends.delete(http);
      },
    );
    this.backends.set(http, backend);
    return backend;
  }

  /** Does what `WebSocketServer.setTls` says. */
  setTls(changes: SecureContextOptions): void {
    const ports = [...this.ports].filter(({ secure }) => secure);
    if (ports.length === 0)
      throw protocolError(
        "INVALID_STATE",
        "setTls() needs a port with TLS, and the server listens on none: pass tls to listen()",
      );
    for (const change of ports.map((port) => port.prepareTls(changes))) change();
  }

  /**
   * Listens no more. Resolves when the HTTP servers behind the ports have no requests left; after
   * `timeout` ms they are destroyed.
   */
  async close(timeout: number): Promise<void> {
    const backends = [...this.backends.values()];
    const stopped = [...this.ports, ...backends].map((each) => each.close());
    this.closing = true;
    // connections end in time by themselves, HTTP requests do not
    const cancel = this.host.arrivals.settings.clock.after(timeout, () => {
      for (const backend of backends) backend.terminate();
    });
    await Promise.all(stopped);
    cancel();
  }
}

const ignore = (): void => undefined;
