import fastify, { type FastifyReply, type FastifyRequest, LogController } from "fastify";
import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { MemoryBudget, type OriginPolicy, sharedMemoryBudget, WebSocketServer } from "tungstate";
import { websocket as upgrades } from "tungstate/fastify";
import type { Certificate } from "./certificate.ts";
import {
  BROADCAST_LIMITS,
  ECHO_LIMITS,
  echoAll,
  type OtherClients,
  talkEverywhere,
  talkHere,
  WRITE_BUFFER_SIZE,
} from "./chat.ts";
import { type Figures, figuresText, sumConnections } from "./figures.ts";
import { answerApi } from "./http/api.ts";
import { Bodies } from "./http/bodies.ts";
import { type Answer, answerEndpoint, type Endpoints } from "./http/endpoints.ts";
import { loadPage, PAGE_HEADERS, pageAnswer } from "./http/page.ts";
import { Refreshed, type RefreshRate } from "./http/refreshed.ts";
import { createPacedServer } from "./http/server.ts";
import { pathAndQuery } from "./http/target.ts";
import { familiesText, hubFamilies } from "./hub-metrics.ts";
import { HUB_PATH, startHub, type Stores } from "./hub.ts";
import { Live } from "./live.ts";
import type { ServeLog } from "./logging/logger.ts";
import { createMetrics } from "./metrics.ts";
import type { ServePlan } from "./plan.ts";
import { type TicketKeys, tlsOptions } from "./tls-options.ts";

/** Other processes that serve the same port. */
export interface Siblings extends OtherClients {
  readonly ticketKeys: TicketKeys;
  /** The figures of all. */
  figures(): Promise<readonly Figures[]>;
}

export interface AppOptions {
  readonly plan: ServePlan;
  readonly log: ServeLog;
  /** Default: the memory of this process. */
  readonly stores?: Stores | undefined;
  readonly siblings?: Siblings | undefined;
}

export interface App {
  /** `http://HOST:PORT`, or with https: */
  readonly url: string;
  figures(): Promise<Figures>;
  /** Shows another certificate from now on. Connections stay. */
  setCertificate(certificate: Certificate): void;
  /** Lets nobody new in. */
  stopListening(): void;
  /** Drains: no new connections, Close 1001 to all; whoever is still there after `timeout` ms is dropped. */
  close(timeout: number): Promise<void>;
}

/** Monitoring asks every few seconds. Whoever asks more often gets what was computed last. */
const FIGURES_RATE: RefreshRate = { interval: 1_000, burst: 20 };

/** The server behind `tungstate serve`: an application of Fastify's. Rejects if it can't listen, or has nowhere to keep channels. */
export async function startApp({ plan, log: serveLog, stores, siblings }: AppOptions): Promise<App> {
  const log = serveLog.logger;
  const page = await loadPage();
  // what all connections of a machine may hold, they may in all its workers together
  const memory =
    siblings === undefined ? sharedMemoryBudget : new MemoryBudget(Math.ceil(sharedMemoryBudget.limit / plan.workers));
  const websocket = {
    memoryBudget: memory,
    origin: originPolicy(plan.origin),
    writeBufferSize: WRITE_BUFFER_SIZE,
    compression: plan.compression,
    maxConnections: plan.maxConnections,
    maxConnectionsPerAddress: plan.maxConnectionsPerAddress,
    ...(plan.trustProxy.length === 0 ? {} : { trustProxy: plan.trustProxy }),
  };
  const chat = new WebSocketServer({ ...websocket, ...BROADCAST_LIMITS });
  const echo = new WebSocketServer({ ...websocket, ...ECHO_LIMITS });
  const hub = await startHub(plan, websocket, log, stores);
  const servers = { "/ws": chat, "/echo": echo, [HUB_PATH]: hub.server };
  const metrics = createMetrics(servers, memory, serveLog);
  const live = new Live(
    hub.hub,
    () => metrics.counted(),
    (error) => log.debug({ err: error }, "live figures"),
  );
  let draining = false;

  if (siblings === undefined) talkHere(chat);
  else talkEverywhere(chat, siblings, log);
  echoAll(echo);
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

  const figures = async (): Promise<Figures> => ({
    connections: Object.fromEntries(Object.entries(servers).map(([path, server]) => [path, server.connections.size])),
    metrics: await metrics.json(),
    hub: hubFamilies(hub.hub.metrics),
  });
  const allFigures = new Refreshed(async () => (await siblings?.figures()) ?? [await figures()], FIGURES_RATE);
  const endpoints: Endpoints = {
    "/health": async () => {
      const { "/ws": ws = 0, "/echo": echoes = 0, [HUB_PATH]: clients = 0 } = sumConnections(await allFigures.get());
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
  const metricsText = new Refreshed(async () => {
    // of a single process there is more to say than what can be added up
    const text =
      siblings === undefined
        ? (await metrics.text()) + familiesText(hubFamilies(hub.hub.metrics))
        : await figuresText(await allFigures.get());
    return Buffer.from(text);
  }, FIGURES_RATE);

  // a name such as localhost may have several addresses, with a server each
  const listening: (HttpServer | HttpsServer)[] = [];
  const { certificate } = plan;
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
  // no route reads a body
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null));
  await app.register(upgrades, websocket);
  for (const [path, server] of Object.entries(servers)) {
    // what a connection is for is said above, by its server
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
    return plain(reply, statusCode, statusCode >= 500 ? "something went wrong here" : error.message);
  });
  try {
    await app.listen({ host: plan.host, port: plan.port, listenTextResolver: (where) => `serving ${where}` });
  } catch (error) {
    live.stop();
    await hub.close(0);
    throw error;
  }

  for (const server of listening) server.on("error", (error) => log.error({ err: error }, "server error"));
  const address = listening[0]?.address() ?? undefined;
  const port = typeof address === "object" ? address.port : plan.port;
  const host = plan.host.includes(":") ? `[${plan.host}]` : plan.host;
  const stopListening = (): void => {
    draining = true;
    for (const server of listening) {
      if (server.listening) server.close();
      server.closeIdleConnections();
    }
  };
  return {
    url: `${certificate === undefined ? "http" : "https"}://${host}:${port}`,
    figures,
    setCertificate(next) {
      for (const server of listening) {
        if ("setSecureContext" in server) server.setSecureContext(tlsOptions(next, siblings?.ticketKeys));
      }
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

/** No route has taken it: the path is another one, or the method is. */
function notFound(paths: ReadonlySet<string>, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const target = pathAndQuery(request.raw.url ?? "");
  if (target === undefined) return plain(reply, 400, "the target of the request is neither a path nor a URL");
  const [path = ""] = target.split("?");
  if (paths.has(path)) return plain(reply.header("allow", "GET, HEAD"), 405, "only GET and HEAD");
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
