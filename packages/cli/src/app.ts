import fastify, { type FastifyReply, type FastifyRequest, LogController } from "fastify";
import { createServer, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { Logger } from "pino";
import {
  MemoryBudget,
  type Message,
  type OriginPolicy,
  PreparedMessage,
  sharedMemoryBudget,
  type WebSocketConnection,
  WebSocketServer,
} from "tungstate";
import { websocket as upgrades } from "tungstate/fastify";
import { addApi } from "./api.ts";
import type { Certificate } from "./certificate.ts";
import { type Figures, figuresText, sumConnections } from "./figures.ts";
import { familiesText, hubFamilies } from "./hub-metrics.ts";
import { HUB_PATH, startHub, type Stores } from "./hub.ts";
import { Live } from "./live.ts";
import { createMetrics } from "./metrics.ts";
import { loadPage, PAGE_HEADERS, pageAnswer } from "./page.ts";
import type { ServePlan } from "./plan.ts";
import { type TicketKeys, tlsOptions } from "./tls-options.ts";

/** Other processes that serve the same port. */
export interface Siblings {
  readonly ticketKeys: TicketKeys;
  /** A message for the clients of `/ws` of all, this process included. Resolves when the others have it. */
  broadcast(message: Message): Promise<void>;
  /** Who is told of such messages, in the same order in all processes. */
  onBroadcast(listener: (type: Message["type"], bytes: Uint8Array) => void): void;
  /** The figures of all. */
  figures(): Promise<readonly Figures[]>;
}

export interface AppOptions {
  readonly plan: ServePlan;
  readonly log: Logger;
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

const WRITE_BUFFER_SIZE = 128 * 1024; // bytes that wait before a connection's sender has to

/** Bytes. A message that goes to all has to be small against what may wait for each, or one of them could close everybody. */
const BROADCAST_LIMITS = { maxMessageSize: 1024 * 1024, maxWriteBufferSize: 8 * 1024 * 1024 };

/** Bytes that may be on their way to other processes before their senders have to wait. */
const MOST_UNDER_WAY = 1024 * 1024;

/** An echo reads no further than it is read from, so that it never has much more to write than one message. */
const ECHO_LIMITS = { maxMessageSize: 16 * 1024 * 1024, maxWriteBufferSize: 20 * 1024 * 1024 };

/** The server behind `tungstate serve`: an application of Fastify's. Rejects if it can't listen, or has nowhere to keep channels. */
export async function startApp({ plan, log, stores, siblings }: AppOptions): Promise<App> {
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
  const metrics = createMetrics(servers, memory);
  const live = new Live(
    hub.hub,
    () => metrics.counted(),
    (error) => log.debug({ err: error }, "live figures"),
  );
  let draining = false;

  if (siblings === undefined) chat.on("connection", (connection) => talkHere(chat, connection));
  else talkEverywhere(chat, siblings, log);
  echo.on("connection", (connection) => {
    connection.on("message", (message) => {
      if (!connection.write(message)) pauseUntilDrain(connection);
    });
  });
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
  const allFigures = async (): Promise<readonly Figures[]> => (await siblings?.figures()) ?? [await figures()];

  // a name such as localhost may have several addresses, with a server each
  const listening: (HttpServer | HttpsServer)[] = [];
  const { certificate } = plan;
  const app = fastify<HttpServer | HttpsServer>({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    rewriteUrl: ({ url = "" }) => pathAndQuery(url) ?? url,
    serverFactory: (handler) => {
      const server =
        certificate === undefined
          ? createServer(handler)
          : createHttpsServer(tlsOptions(certificate, siblings?.ticketKeys), handler);
      listening.push(server);
      return server;
    },
  });
  // nothing here reads a body but the API, which does so in its own way
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null));
  await app.register(upgrades, websocket);
  for (const [path, server] of Object.entries(servers)) {
    // what a connection is for is said above, by its server
    app.get(path, { websocket: server }, () => undefined);
  }
  app.get("/health", async (_request, reply) => {
    const connections = sumConnections(await allFigures());
    const { "/ws": ws = 0, "/echo": echoes = 0, [HUB_PATH]: clients = 0 } = connections;
    return reply
      .code(draining ? 503 : 200)
      .header("cache-control", "no-store")
      .send({ status: draining ? "draining" : "ok", connections: { ws, echo: echoes, hub: clients } });
  });
  app.get("/metrics", async (_request, reply) => {
    // of a single process there is more to say than what can be added up
    const text =
      siblings === undefined
        ? (await metrics.text()) + familiesText(hubFamilies(hub.hub.metrics))
        : await figuresText(await allFigures());
    return reply.header("content-type", metrics.contentType).send(text);
  });
  for (const [path, file] of page) {
    app.get(path, (request, reply) => {
      const { status, headers, body } = pageAnswer(path, file, request.headers["if-none-match"]);
      return reply.code(status).headers(headers).send(body);
    });
  }
  if (hub.api !== undefined) addApi(app, hub.api);
  app.setNotFoundHandler(notFound);
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

/** Everybody is in this process. */
function talkHere(chat: WebSocketServer, connection: WebSocketConnection): void {
  connection.on("message", (message) => {
    chat.broadcast(message);
    // It gets all that it sends, and so may send as fast as it reads. Others who read more slowly than that are closed.
    if (connection.bufferedAmount > WRITE_BUFFER_SIZE) pauseUntilDrain(connection);
  });
}

/** Others are elsewhere: all processes hear of all messages in one order, each its own ones too. */
function talkEverywhere(chat: WebSocketServer, siblings: Siblings, log: Logger): void {
  const waiting = new Set<WebSocketConnection>();
  let underWay = 0;
  const arrived = (size: number): void => {
    underWay -= size;
    if (underWay > MOST_UNDER_WAY / 2) return;
    const before = [...waiting];
    waiting.clear(); // first: what has been held back may fill it again
    for (const connection of before) connection.resume();
  };
  siblings.onBroadcast((type, bytes) => chat.broadcast(new PreparedMessage(bytes, { type })));
  chat.on("connection", (connection) => {
    connection.on("message", (message) => {
      const { size } = message;
      underWay += size;
      siblings.broadcast(message).then(
        () => arrived(size),
        (error: unknown) => {
          log.error({ err: error }, "broadcast");
          arrived(size);
        },
      );
      if (underWay > MOST_UNDER_WAY) {
        connection.pause();
        waiting.add(connection);
      } else if (connection.bufferedAmount > WRITE_BUFFER_SIZE) pauseUntilDrain(connection);
    });
    connection.on("close", () => waiting.delete(connection));
  });
}

/** While it does not read what was written, it is not read from. */
function pauseUntilDrain(connection: WebSocketConnection): void {
  connection.pause();
  connection.once("drain", () => connection.resume());
}

function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { method, raw } = request;
  if (pathAndQuery(raw.url ?? "") === undefined) {
    return plain(reply, 400, "the target of the request is neither a path nor a URL");
  }
  if (method !== "GET" && method !== "HEAD") return plain(reply.header("allow", "GET, HEAD"), 405, "only GET and HEAD");
  return plain(reply.headers(PAGE_HEADERS), 404, "not found");
}

function plain(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).type("text/plain; charset=utf-8").send(`${text}\n`);
}

/** Path and query of a request's target. RFC 9112 §3.2.2: "a server MUST accept the absolute-form in requests". */
function pathAndQuery(target: string): string | undefined {
  if (target.startsWith("/")) return target;
  if (!URL.canParse(target)) return undefined;
  const { pathname, search } = new URL(target);
  return pathname.startsWith("/") ? pathname + search : undefined;
}

function originPolicy(origins: readonly string[]): OriginPolicy {
  if (origins.length === 0) return "same";
  if (origins.includes("any")) return "any";
  return origins;
}
