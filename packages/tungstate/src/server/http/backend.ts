import { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import { platform } from "../../native/platform.ts";
import type { Clock } from "../../schedule/clock.ts";
import { RefusedError } from "../admission/refused.ts";
import type { Arrival } from "../door/arrival.ts";
import type { Arrivals } from "../door/arrivals.ts";
import { type Destination, FirstRequest, type Place } from "../door/first-request.ts";
import { watchHead } from "../door/head-watch.ts";
import { giveStream } from "../door/passed.ts";
import { sayAndEnd } from "../say-and-end.ts";
import { onHandover } from "./handover.ts";

const DRAIN_INTERVAL = 100; // ms between two looks for connections that have become idle

/**
 * An HTTP server behind our ports: it gets the connections whose first request is not a WebSocket
 * handshake, and treats them as if it had accepted them itself.
 */
export class HttpBackend {
  readonly server: HttpServer | HttpsServer;
  /**
   * HTTP connections. One that becomes a WebSocket belongs to the WebSocketServer that accepts it.
   */
  private readonly connections = new Set<Socket>();
  /** Connections whose first request is being read. */
  private readonly reading = new Set<FirstRequest>();
  private readonly arrivals: Arrivals;
  private readonly destination: Destination;
  private readonly clock: Clock;
  /** Undoes the changes to the server. */
  private readonly detach: () => void;
  private empty: (() => void) | undefined;
  private closed: Promise<void> | undefined;

  /** `detach` is called when no more connections will come. */
  constructor(
    server: HttpServer | HttpsServer,
    arrivals: Arrivals,
    takerOf: Destination["takerOf"],
    detach: () => void,
  ) {
    this.server = server;
    this.arrivals = arrivals;
    const { clock, deadlines, runtime } = arrivals.settings;
    this.clock = clock;
    this.destination = {
      clock,
      deadlines,
      runtime,
      limits: arrivals.headLimits,
      timeout: arrivals.timeout,
      enforcesLimits: true,
      takerOf,
      onRefused: (error) => arrivals.onRefused(error),
      onEnd: (request) => {
        if (this.reading.delete(request)) this.checkEmpty();
      },
    };
    const stopWatching = watchConnections(server);
    this.detach = () => {
      stopWatching();
      detach();
    };
  }

  /** Reads the first request of a connection. `secured`: its place during the TLS handshake. */
  open(arrival: Arrival, secured?: Place): void {
    const { arrivals } = this;
    const place = secured ?? arrivals.arrive(arrivals.countsAddresses ? arrival.remoteAddress : undefined, true);
    if (place instanceof RefusedError) sayAndEnd(arrival.transport(), place.response, this.clock);
    else this.reading.add(new FirstRequest(arrival, place, this.destination));
  }

  private checkEmpty(): void {
    if (this.connections.size === 0 && this.reading.size === 0) this.empty?.();
  }

  /**
   * Takes over a paused socket, of which `bytes` have been read. `since`: when it was accepted, if
   * they do not contain a whole head.
   */
  take(stream: Socket, bytes: Uint8Array, since: number | undefined): void {
    const { server, connections } = this;
    stream.on("error", ignore); // until the server listens on its own
    if (connections.size >= (server.maxConnections || Infinity)) {
      drop(server, stream);
      return;
    }
    connections.add(stream);
    const forget = (): void => {
      if (connections.delete(stream)) this.checkEmpty();
    };
    stream.once("close", forget);
    onHandover(stream, forget);
    stream.off("error", ignore);
    giveStream(server, stream, bytes);
    if (since !== undefined) watchHead(stream, since, this.arrivals);
  }

  /** Closes connections as they become idle; resolves when none is left. */
  close(): Promise<void> {
    for (const each of this.reading) each.close();
    return (this.closed ??= this.drain());
  }

  private async drain(): Promise<void> {
    const { server, connections, reading } = this;
    let cancel = ignore;
    const closeIdle = (): void => {
      server.closeIdleConnections();
      cancel = this.clock.after(DRAIN_INTERVAL, closeIdle);
    };
    if (connections.size > 0 || reading.size > 0) {
      closeIdle();
      await new Promise<void>((resolve) => (this.empty = resolve));
      cancel();
    }
    this.detach();
  }

  /** Destroys all connections. */
  terminate(): void {
    for (const stream of this.connections) stream.destroy();
    for (const each of this.reading) each.terminate();
  }
}

const ignore = (): void => undefined;

/** Number of backends of each HTTP server that does not listen itself. */
const watched = new WeakMap<HttpServer | HttpsServer, number>();

/**
 * A node:http server starts to watch its connections (`headersTimeout`, `requestTimeout`,
 * `closeIdleConnections`) when it listens. A server that does not listen itself is started by the
 * same listener, which every server has. Returns a function that stops it.
 */
function watchConnections(server: HttpServer | HttpsServer): () => void {
  if (server.listening && !watched.has(server)) return ignore;
  const [watch] = new HttpServer().listeners("listening");
  if (watch !== undefined && server.listeners("listening").includes(watch)) Reflect.apply(watch, server, []);
  // Deno closes each connection after a response if its server does not listen
  if (platform.name === "Deno") Object.defineProperty(server, "listening", { value: true, configurable: true });
  watched.set(server, (watched.get(server) ?? 0) + 1);
  return () => {
    const left = (watched.get(server) ?? 1) - 1;
    watched.set(server, left);
    if (left > 0) return;
    if (platform.name === "Deno") Reflect.deleteProperty(server, "listening");
    if (!server.listening) stopWatching(server);
  };
}

/**
 * Stops the watching through `close` of node:http. It is called on an object that inherits from the
 * server, so that its other effects are left out: the server never listened, so it must not emit
 * `close`, and it keeps the connections that other code gave it.
 */
function stopWatching(server: HttpServer | HttpsServer): void {
  const withoutEffects = { emit: { value: ignore }, closeIdleConnections: { value: ignore } };
  HttpServer.prototype.close.call(Object.create(server, withoutEffects) as HttpServer);
}

/** Drops a socket as node:net does with one above `maxConnections`. */
function drop(server: HttpServer | HttpsServer, socket: Socket): void {
  const { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } = socket;
  socket.destroy();
  server.emit("drop", { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily });
}
