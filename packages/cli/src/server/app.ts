import fastify, { type FastifyReply, type FastifyRequest, LogController } from "fastify";
import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import { MemoryBudget, type OriginPolicy, sharedMemoryBudget, WebSocketServer } from "tungstate";
import { websocket as upgrades } from "tungstate/fastify";
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
import { type Answer, answerEndpoint, type Endpoints } from "../http/endpoints.ts";
import { loadPage, PAGE_HEADERS, pageAnswer } from "../http/page.ts";
import { CachedValue, type ComputeRate } from "../http/cached-value.ts";
import { createPacedServer } from "../http/server.ts";
import { pathAndQuery } from "../http/target.ts";
import { formatFamilies, hubMetrics } from "../metrics/hub-metrics.ts";
import { HUB_PATH, startHub, type Stores } from "./hub.ts";
import { LiveStats } from "./live-stats.ts";
import type { ServeLog } from "../logging/logger.ts";
import { createMetrics } from "../metrics/server-metrics.ts";
import type { ServeConfig } from "../settings/config.ts";
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
 * Starts the server of `tungstate serve`, a Fastify application. Rejects if the port cannot be
 * listened on or a store cannot be reached.
 */
export async function startApp({ config, log: serveLog, stores, siblings }: AppOptions): Promise<App> {
  const log = serveLog.logger;
  const page = await loadPage();
  // all workers of a machine share one machine-wide limit
  const { memoryBudget = MEMORY_BUDGET, workers } = config;
  const memory = new MemoryBudget(Math.ceil(memoryBudget / workers));
  const websocket = {
    memoryBudget: memory,
    origin: originPolicy(config.origin),
    writeBufferSize: WRITE_BUFFER_SIZE,
    compression: config.compression,
    maxConnections: config.maxConnections,
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    ...(config.trustProxy.length === 0 ? {} : { trustProxy: config.trustProxy }),
  };
  const chat = new WebSocketServer({ ...websocket, ...BROADCAST_LIMITS });
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
  const endpoints: Endpoints = {
    "/health": async () => {
      const { "/ws": ws = 0, "/echo": echoes = 0, [HUB_PATH]: clients = 0 } = sumConnections(await allMetrics.get());
      return json(200, {
        status: draining ? "draining" : "ok",
        connections: { ws, echo: echoes, hub: clients },
      });
    },
    "/health/ready": () => {
      const reasons = [...(draining ? ["the server is draining"] : []), ...(stores?.unavailable() ?? [])];
      return reasons.length === 0 ? json(200, { status: "ready" }) : json(503, { status: "not ready", reasons });
    },
    "/metrics": async () => ({ status: 200, type: metrics.contentType, body: await metricsText.get() }),
  };
  const metricsText = new CachedValue(async () => {
    // a single process also has metrics that cannot be summed over processes
    const text =
      siblings === undefined
        ? (await metrics.text()) + formatFamilies(hubMetrics(hub.hub.metrics))
        : await formatMetrics(await allMetrics.get());
    return Buffer.from(text);
  }, METRICS_RATE);

  // a host name such as localhost can have several addresses; Fastify makes a server for each
  const listening: (HttpServer | HttpsServer)[] = [];
  const { certificate } = config;
  const bodies = new Bodies(memory);
  const app = fastify<HttpServer | HttpsServer>({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    rewriteUrl: ({ url = "" }) => pathAndQuery(url) ?? url,
    serverFactory: (handler) => {
      const server = createPacedServer(
        (request, response) => {
          if (answerEndpoint(endpoints, request, response)) return;
          if (hub.api !== undefined && answerApi(hub.api, bodies, request, response)) return;
          handler(request, response);
        },
        certificate,
        siblings?.ticketKeys,
      );
      listening.push(server);
      return server;
    },
  });
  // no Fastify route reads a body
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null));
  await app.register(upgrades, websocket);
  for (const [path, server] of Object.entries(servers)) {
    // connections are handled by the "connection" listeners above
    app.get(path, { websocket: server }, () => undefined);
  }
  for (const [path, file] of page) {
    app.get(path, (request, reply) => {
      const { status, headers, body } = pageAnswer(path, file, request.headers["if-none-match"]);
      return reply.code(status).headers(headers).send(body);
    });
  }
  const paths = new Set([...Object.keys(servers), ...page.keys()]);
  app.setNotFoundHandler((request, reply) => notFound(paths, request, reply));
  app.setErrorHandler<Error & { readonly statusCode?: number }>((error, _request, reply) => {
    const { statusCode = 500 } = error;
    if (statusCode >= 500) log.error({ err: error }, "request failed");
    return plain(reply, statusCode, statusCode >= 500 ? "internal server error" : error.message);
  });
  const host = config.host.includes(":") ? `[${config.host}]` : config.host;
  const urlOf = (port: number): string => `${certificate === undefined ? "http" : "https"}://${host}:${port}`;
  let { port } = config;
  try {
    if (siblings === undefined) {
      await app.listen({ host: config.host, port, listenTextResolver: (where) => `serving ${where}` });
      const address = listening[0]?.address() ?? undefined;
      if (typeof address === "object") ({ port } = address);
    } else {
      await app.ready();
      // node:http checks the deadlines of requests from this event on
      app.server.emit("listening");
      log.info(`serving ${urlOf(port)}`);
    }
  } catch (error) {
    live.stop();
    await hub.close(0);
    throw error;
  }

  for (const server of listening) server.on("error", (error) => log.error({ err: error }, "server error"));
  const stopListening = (): void => {
    draining = true;
    for (const server of listening) {
      server.close(); // also where it does not listen: the checks of deadlines end
      server.closeIdleConnections();
    }
  };
  return {
    url: urlOf(port),
    ownMetrics,
    setCertificate(next) {
      for (const server of listening) {
        if ("setSecureContext" in server) server.setSecureContext(tlsOptions(next, siblings?.ticketKeys));
      }
    },
    accept(socket) {
      // as a server of node:http sets up the connections that it accepts itself
      socket.allowHalfOpen = true;
      socket.setNoDelay(true);
      app.server.emit("connection", socket);
    },
    stopListening,
    async close(timeout) {
      live.stop();
      stopListening();
      await Promise.all([chat.close(1001, "", timeout), echo.close(1001, "", timeout), hub.close(timeout)]);
      for (const server of listening) server.closeAllConnections();
      await app.close();
      metrics.end();
    },
  };
}

/** Handles requests that no route matched: answers 405 for a known path, otherwise 404. */
function notFound(paths: ReadonlySet<string>, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const target = pathAndQuery(request.raw.url ?? "");
  if (target === undefined) return plain(reply, 400, "the request target must be a path or an absolute URL");
  const [path = ""] = target.split("?");
  if (paths.has(path)) return plain(reply.header("allow", "GET, HEAD"), 405, "the method must be GET or HEAD");
  return plain(reply.headers(PAGE_HEADERS), 404, "not found");
}

function plain(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).type("text/plain; charset=utf-8").send(`${text}\n`);
}

function json(status: number, value: unknown): Answer {
  return { status, type: "application/json; charset=utf-8", body: JSON.stringify(value) };
}

function originPolicy(origins: readonly string[]): OriginPolicy {
  if (origins.length === 0) return "same";
  if (origins.includes("any")) return "any";
  return origins;
}
