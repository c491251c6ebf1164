import { protocolError } from "@tungstate/protocol";
import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import type { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { AddressInfo, ListenOptions } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { describe } from "../../options/describe.ts";
import { hasOnly } from "../../options/plain-object.ts";
import type { ServerListenOptions } from "../options.ts";
import { httpServerOf } from "./app.ts";
import { HttpBackend } from "./backend.ts";
import { Port, type PortHost } from "./port.ts";
import { checkStreams } from "../http2/announce.ts";
import type { Http2Backend, Http2Options } from "../http2/backend.ts";
import { handshakeTakerOf, routeUpgrades, shareRoutes, takerOf, type UpgradeTaker } from "./router.ts";

/** Loads node:http2, which most servers do not use. */
const loadBackend = async () => (await import("../http2/backend.ts")).Http2Backend;
type Http2 = Awaited<ReturnType<typeof loadBackend>>;

/** The ports of a server, and the HTTP servers behind them. */
export class Ports {
  private readonly host: PortHost;
  private readonly path: string | undefined;
  private readonly taker: UpgradeTaker;
  private readonly ports = new Set<Port>();
  /** Of ports with HTTP/2. */
  private readonly sessions = new Set<Http2Backend>();
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
    const { tls, http: app, http2, ...where } = options;
    const http2Options = checkHttp2(http2, tls !== undefined);
    this.checkNotClosed();
    const backend = http2Options === undefined ? undefined : await loadBackend();
    const httpServer = app === undefined ? undefined : await httpServerOf(app);
    this.checkNotClosed(); // an application may need time to get ready
    const http = httpServer === undefined ? undefined : this.backendOf(httpServer, tls !== undefined);
    const sessions = backend === undefined ? undefined : this.sessionsOf(backend, http, http2Options);
    try {
      const port = new Port(this.host, tls, http, sessions);
      this.ports.add(port);
      return await port.listen(where, () => this.ports.delete(port));
    } catch (error) {
      if (![...this.ports].some((port) => port.http === http)) await http?.close();
      if (sessions !== undefined && this.sessions.delete(sessions)) await sessions.close();
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

  private sessionsOf(Backend: Http2, http: HttpBackend | undefined, options: Http2Options = {}): Http2Backend {
    const sessions = new Backend(this.host.arrivals, http?.server, options, (server, streams) =>
      http === undefined
        ? routeUpgrades(server, undefined, this.taker, streams)
        : shareRoutes(server, http.server, streams),
    );
    this.sessions.add(sessions);
    return sessions;
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
   * `timeout` ms they are destroyed. `all`: HTTP/2 sessions with WebSockets, too.
   */
  async close(timeout: number, all: boolean): Promise<void> {
    const backends = [...this.backends.values(), ...this.sessions];
    const stopped = [...this.ports, ...backends].map((each) => each.close());
    this.closing = true;
    // connections end in time by themselves, HTTP requests do not
    const cancel = this.host.arrivals.settings.clock.after(timeout, () => {
      for (const backend of backends) backend.terminate(all);
    });
    await Promise.all(stopped);
    cancel();
  }
}

/**
 * Returns the options of HTTP/2; undefined without it. Throws INVALID_ARGUMENT for unusable ones.
 */
function checkHttp2(http2: unknown, tls: boolean): Http2Options | undefined {
  if (http2 === undefined || http2 === false) return undefined;
  if (http2 !== true && !hasOnly<Http2Options>(http2, HTTP2_OPTIONS)) {
    throw invalidOption("http2", "true, false or { maxConcurrentStreams? }", http2, describe(http2));
  }
  const options = http2 === true ? {} : http2;
  checkStreams(options.maxConcurrentStreams);
  if (tls) return options;
  throw argumentError(
    TypeError,
    "http2 needs tls: for HTTP/2 without TLS, attach() to a server of http2.createServer()",
  );
}

const HTTP2_OPTIONS: ReadonlySet<unknown> = new Set<keyof Http2Options>(["maxConcurrentStreams"]);

const ignore = (): void => undefined;
