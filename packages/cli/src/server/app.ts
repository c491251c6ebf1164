import type { RequestListener } from "node:http";
import type { Socket } from "node:net";
import { HostPolicy } from "tungstate/internal";
import { MemoryBudget, type OriginPolicy, sharedMemoryBudget, WebSocketServer } from "tungstate";
import type { Certificate } from "../tls/certificate.ts";
import {
  BROADCAST_LIMITS,
  ECHO_LIMITS,
  echoMessages,
  type AllClients,
  broadcastToAllProcesses,
  broadcastLocally,
  WRITE_BUFFER_SIZE,
} from "./messages.ts";
import { type ProcessMetrics, formatMetrics, sumConnections } from "../metrics/process-metrics.ts";
import { answerApi } from "../http/api.ts";
import { Bodies } from "../http/bodies.ts";
import { type Answer, answerRequest, refuseHost, type Route, UPGRADE_REQUIRED } from "../http/routes.ts";
import { loadPage, pageAnswer } from "../http/page.ts";
import { CachedValue, type ComputeRate } from "../http/cached-value.ts";
import { createPacedServer } from "../http/server.ts";
import { formatFamilies, hubMetrics } from "../metrics/hub-metrics.ts";
import { HUB_PATH, startHub, type Stores } from "./hub.ts";
import { LiveStats } from "./live-stats.ts";
import type { ServeLog } from "../logging/logger.ts";
import { allowedHosts } from "../settings/allowed-hosts.ts";
import { createMetrics } from "../metrics/server-metrics.ts";
import type { ServeConfig } from "../settings/config.ts";
import { listenOnAll } from "../system/listen-on-all.ts";
import { type TicketKeys, tlsOptions } from "../tls/server-options.ts";

/**
 * The other worker processes that serve the same port. The primary process listens and distributes
 * connections.
 */
export interface Siblings extends AllClients {
  readonly ticketKeys: TicketKeys;
  /** Resolves with the metrics of every process. */
  ownMetrics(): Promise<readonly ProcessMetrics[]>;
}

export interface AppOptions {
  readonly config: ServeConfig;
  readonly log: ServeLog;
  /** Where channels and presence are stored. Default: in the memory of this process. */
  readonly stores?: Stores | undefined;
  readonly siblings?: Siblings | undefined;
}

export interface App {
  /** `http://HOST:PORT`, or `https://HOST:PORT` with a certificate. */
  readonly url: string;
  ownMetrics(): Promise<ProcessMetrics>;
  /** Uses another certificate for new connections. Open connections are not affected. */
  setCertificate(certificate: Certificate): void;
  /** Serves a connection that another process has accepted. */
  accept(socket: Socket): void;
  /** Stops accepting connections. */
  stopListening(): void;
  /**
   * Stops accepting connections and closes all open ones with 1001. Connections that are still open
   * after `timeout` ms are terminated.
   */
  close(timeout: number): Promise<void>;
}

/**
 * Default of `memoryBudget`: a quarter of the available memory. As much again is garbage that has
 * not been collected yet, where connections end quickly.
 */
const MEMORY_BUDGET = Math.ceil(sharedMemoryBudget.limit / 2);

/** How often metrics are collected. Requests above this rate receive the last result. */
const METRICS_RATE: ComputeRate = { interval: 1_000, burst: 20 };

/**
 * Starts the server of `tungstate serve`: the port of `/ws`, with an HTTP server behind it that the
 * other WebSocket routes are attached to. Rejects if the port cannot be listened on or a store
 * cannot be reached.
 */
export async function startApp({ config, log: serveLog, stores, siblings }: AppOptions): Promise<App> {
  const log = serveLog.logger;
  const page = await loadPage();
  // all workers of a machine share one machine-wide limit
  const { memoryBudget = MEMORY_BUDGET, workers } = config;
  const memory = new MemoryBudget(Math.ceil(memoryBudget / workers));
  const hosts = allowedHosts(config);
  const websocket = {
    memoryBudget: memory,
    origin: originPolicy(config.origin),
    allowedHosts: hosts,
    writeBufferSize: WRITE_BUFFER_SIZE,
    compression: config.compression,
    maxConnections: config.maxConnections,
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    ...(config.trustProxy.length === 0 ? {} : { trustProxy: config.trustProxy }),
  };
  const chat = new WebSocketServer({ ...websocket, ...BROADCAST_LIMITS, path: "/ws" });
  const echo = new WebSocketServer({ ...websocket, ...ECHO_LIMITS });
  const hub = await startHub(config, websocket, log, stores);
  const servers = { "/ws": chat, "/echo": echo, [HUB_PATH]: hub.server };
  const metrics = createMetrics(servers, memory, serveLog);
  const live = new LiveStats(
    hub.hub,
    () => metrics.totals(),
    (error) => log.debug({ err: error }, "live statistics"),
  );
  let draining = false;

  if (siblings === undefined) broadcastLocally(chat);
  else broadcastToAllProcesses(chat, siblings, log);
  echoMessages(echo);
  for (const [path, server] of Object.entries(servers)) {
    server.on("connection", (connection, request) => {
      metrics.opened(path);
      log.debug({ path, remoteAddress: request.remoteAddress }, "connected");
      connection.on("close", ({ code, clean, error }) => {
        metrics.closed(path, connection.stats, code);
        log.debug({ path, code, clean, error: error?.code }, "disconnected");
      });
    });
    server.on("refused", (error) => {
      metrics.refused(path, error.code);
      log.info({ path, error: error.code, reason: error.message }, "refused");
    });
    server.on("error", (error) => log.error({ path, err: error }, "handler failed"));
  }

  const ownMetrics = async (): Promise<ProcessMetrics> => ({
    connections: Object.fromEntries(Object.entries(servers).map(([path, server]) => [path, server.connections.size])),
    metrics: await metrics.json(),
    hub: hubMetrics(hub.hub.metrics),
  });
  const allMetrics = new CachedValue(async () => (await siblings?.ownMetrics()) ?? [await ownMetrics()], METRICS_RATE);
  const routes = new Map<string, Route>([
    ...[...page].map(([path, file]): [string, Route] => [
      path,
      ({ headers }) => pageAnswer(path, file, headers["if-none-match"]),
    ]),
    ...Object.keys(servers).map((path): [string, Route] => [path, () => UPGRADE_REQUIRED]),
    [
      "/health",
      async () => {
        const { "/ws": ws = 0, "/echo": echoes = 0, [HUB_PATH]: clients = 0 } = sumConnections(await allMetrics.get());
        const connections = { ws, echo: echoes, hub: clients };
        return json(200, { status: draining ? "draining" : "ok", connections });
      },
    ],
    [
      "/health/ready",
      () => {
        const reasons = [...(draining ? ["the server is draining"] : []), ...(stores?.unavailable() ?? [])];
        return reasons.length === 0 ? json(200, { status: "ready" }) : json(503, { status: "not ready", reasons });
      },
    ],
    [
      "/metrics",
      async () => ({
        status: 200,
        headers: { "content-type": metrics.contentType, ...NO_STORE },
        body: await metricsText.get(),
      }),
    ],
  ]);
  const metricsText = new CachedValue(async () => {
    // a single process also has metrics that cannot be summed over processes
    const text =
      siblings === undefined
        ? (await metrics.text()) + formatFamilies(hubMetrics(hub.hub.metrics))
        : await formatMetrics(await allMetrics.get());
    return Buffer.from(text);
  }, METRICS_RATE);

  const { certificate } = config;
  const bodies = new Bodies(memory);
  const hostPolicy = new HostPolicy(hosts);
  const listener: RequestListener = (request, response) => {
    if (refuseHost(hostPolicy, request, response)) return;
    if (hub.api !== undefined && answerApi(hub.api, bodies, request, response)) return;
    answerRequest(routes, request, response, (error) => log.error({ err: error }, "request failed"));
  };
  // the primary process has done the accepting for a worker, and a worker does TLS by itself
  const http = createPacedServer(listener, siblings === undefined ? undefined : certificate, siblings?.ticketKeys);
  echo.attach(http, { path: "/echo" });
  hub.server.attach(http, { path: HUB_PATH });
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  const urlOf = (port: number): string => `${certificate === undefined ? "http" : "https"}://${host}:${port}`;
  let { port } = config;
  try {
    if (siblings === undefined) {
      const tls = certificate === undefined ? {} : { tls: tlsOptions(certificate, undefined), http2: config.http2 };
      port = await listenOnAll(config.host, port, async (where, wanted) => {
        const address = await chat.listen({ host: where, port: wanted, http, ...tls });
        return typeof address === "string" ? { address, port: wanted } : address;
      });
    } else {
      chat.attach(http);
      // node:http checks the deadlines of requests from this event on
      http.emit("listening");
    }
  } catch (error) {
    live.stop();
    await hub.close(0);
    throw error;
  }
  log.info(`serving ${urlOf(port)}`);

  const stopListening = (): void => {
    draining = true;
    if (siblings === undefined) return; // the port of /ws is closed together with its connections
    http.close(); // ends the checks of deadlines
    http.closeIdleConnections();
  };
  return {
    url: urlOf(port),
    ownMetrics,
    setCertificate(next) {
      if (siblings === undefined) chat.setTls(next);
      else if ("setSecureContext" in http) http.setSecureContext(tlsOptions(next, siblings.ticketKeys));
    },
    accept(socket) {
      // as a server of node:http sets up the connections that it accepts itself
      socket.allowHalfOpen = true;
      socket.setNoDelay(true);
      http.emit("connection", socket);
    },
    stopListening,
    async close(timeout) {
      live.stop();
      stopListening();
      await Promise.all([chat.close(1001, "", timeout), echo.close(1001, "", timeout), hub.close(timeout)]);
      http.closeAllConnections();
      metrics.end();
    },
  };
}

const NO_STORE = { "cache-control": "no-store" };

function json(status: number, value: unknown): Answer {
  const headers = { "content-type": "application/json; charset=utf-8", ...NO_STORE };
  return { status, headers, body: JSON.stringify(value) };
}

function originPolicy(origins: readonly string[]): OriginPolicy {
  if (origins.length === 0) return "same";
  if (origins.includes("any")) return "any";
  return origins;
}
