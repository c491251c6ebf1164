import type { HeaderInput, Refusal } from "@tungstate/protocol";
import { type HttpBindings, serve } from "@hono/node-server";
import express, { type NextFunction, type Request as ExpressRequest, type Response as ExpressResponse } from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import {
  acceptUpgrades as acceptExpressUpgrades,
  websocket as expressWebSocket,
} from "../../../src/frameworks/express.ts";
import { websocket as fastifyWebSocket } from "../../../src/frameworks/fastify.ts";
import { acceptUpgrades as acceptHonoUpgrades, websocket as honoWebSocket } from "../../../src/frameworks/hono.ts";
import type { HandshakeRequest } from "../../../src/server/admission/request.ts";
import { WebSocketServer } from "../../../src/server/server.ts";
import type { WebSocketConnection } from "../../../src/connection/types.ts";
import { turns } from "../../support/server.ts";

declare module "fastify" {
  interface FastifyInstance {
    greeting: string;
  }
  interface FastifyRequest {
    user: string;
  }
}

/**
 * The application of the tests, once in each framework:
 *
 * /plain answers `plain` /echo WebSocket: every message comes back /greet WebSocket behind a hook
 * that looks at `authorization`: "greeting, user"; 401 and `who are you?` without it
 *         The hook also sets two cookies and `x-hook`. /slow   as /greet, behind a hook that takes its time /stuck  WebSocket behind a hook that never answers /fail   WebSocket whose handler throws /both   echoes as a WebSocket, and answers `page` to other requests /late   echoes as a WebSocket, behind a hook that runs when the head of an answer is written, and sets `x-late`. With `?refuse` that hook
 *         answers 403 instead (Fastify and Hono)
 */
export interface App {
  readonly http: HttpServer;
  readonly port: number;
  /** Errors thrown by handlers. */
  readonly errors: unknown[];
  /** Status and path of responses, recorded by hooks that run after each response. */
  readonly finished: string[];
  /** Runs before a connection of /slow. */
  readonly slow: SlowHook;
  close(): Promise<void>;
}

/** A hook that takes a few ticks, and longer while it is held. */
export class SlowHook {
  /** Number of upgrades waiting in it. */
  waiting = 0;
  private held: Promise<void> = Promise.resolve();

  /** Blocks the hook until the returned function is called. */
  hold(): () => void {
    let release = (): void => undefined;
    this.held = new Promise((resolve) => (release = resolve));
    return release;
  }

  async run(): Promise<void> {
    this.waiting++;
    await turns(5);
    await this.held;
    this.waiting--;
  }
}

interface StartOptions {
  /** Time limit of the hooks of an upgrade, in ms. */
  readonly upgradeTimeout?: number;
}

export interface Framework {
  readonly name: string;
  start(options?: StartOptions): Promise<App>;
}

export const GREETING = "welcome";
export const REFUSAL = "who are you?";
export const COOKIES = ["a=1; HttpOnly", "b=2"];

export function echo(connection: WebSocketConnection): void {
  connection.on("message", (message) => void connection.write(message));
}

function fail(): never {
  throw new Error("on purpose");
}

function collected(server: WebSocketServer): { errors: unknown[] } {
  const errors: unknown[] = [];
  server.on("error", (error) => errors.push(error));
  return { errors };
}

export function portOf(http: HttpServer): number {
  const address = http.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}

async function listening(http: HttpServer): Promise<{ http: HttpServer; port: number }> {
  if (!http.listening) await once(http.listen(0, "127.0.0.1"), "listening");
  return { http, port: portOf(http) };
}

async function closing(server: WebSocketServer, http: HttpServer): Promise<void> {
  await server.close();
  await new Promise((resolve) => http.close(resolve));
}

/** node:http has no hooks: `authorize` runs before the upgrade. */
async function startNode(options: StartOptions = {}): Promise<App> {
  const slow = new SlowHook();
  const greet = (request: HandshakeRequest): Refusal | { readonly headers: HeaderInput } => {
    const user = request.headers.get("authorization");
    request.data = user;
    return user === undefined
      ? { status: 401, body: REFUSAL }
      : { headers: { "set-cookie": COOKIES, "x-hook": "ran" } };
  };
  const sayHello = (connection: WebSocketConnection, { data }: HandshakeRequest): void =>
    void connection.write(`${GREETING}, ${String(data)}`);
  const servers = {
    "/echo": new WebSocketServer().on("connection", echo),
    "/greet": new WebSocketServer({ authorize: greet }).on("connection", sayHello),
    "/slow": new WebSocketServer({ authorize: (request) => slow.run().then(() => greet(request)) }).on(
      "connection",
      sayHello,
    ),
    "/stuck": new WebSocketServer({
      authorize: () => new Promise<never>(() => undefined),
      ...(options.upgradeTimeout === undefined ? {} : { handshakeTimeout: options.upgradeTimeout }),
    }),
    "/fail": new WebSocketServer().stream(() => fail()),
    "/both": new WebSocketServer().on("connection", echo),
  };
  const { errors } = collected(servers["/fail"]);
  const http = createServer(({ url = "" }, response) => {
    if (url === "/both") response.end("page");
    else if (url in servers) response.writeHead(426, { connection: "upgrade", upgrade: "websocket" }).end();
    else response.writeHead(url === "/plain" ? 200 : 404).end("plain");
  });
  for (const [path, server] of Object.entries(servers)) server.attach(http, { path });
  return {
    ...(await listening(http)),
    errors,
    finished: [],
    slow,
    async close() {
      await Promise.all(Object.values(servers).map((server) => server.close()));
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

async function startFastify(options: StartOptions = {}): Promise<App> {
  const slow = new SlowHook();
  const app = fastify();
  await app.register(fastifyWebSocket, options);
  const { errors } = collected(app.websocketServer);
  app.decorate("greeting", GREETING);
  app.decorateRequest("user", "");
  app.get("/plain", () => "plain");
  app.get("/echo", { websocket: true }, echo);
  app.get("/fail", { websocket: true }, fail);
  app.get("/both", { wsHandler: echo }, () => "page");
  const finished: string[] = [];
  app.addHook("onResponse", (request, reply, done) => {
    finished.push(`${reply.statusCode} ${request.url}`);
    done();
  });
  await app.register(async (part) => {
    part.addHook("onSend", async ({ url }, reply) => {
      if (url.endsWith("?refuse")) throw Object.assign(new Error("too late"), { statusCode: 403 });
      reply.header("x-late", "ran");
    });
    part.get("/late", { websocket: true }, echo);
  });
  await app.register(async (part) => {
    part.addHook("onRequest", async (request, reply) => {
      if (request.url === "/slow") await slow.run();
      const { authorization } = request.headers;
      if (authorization === undefined) return reply.code(401).send(REFUSAL);
      request.user = authorization;
      reply.header("set-cookie", COOKIES).header("x-hook", "ran").type("text/plain");
      return undefined;
    });
    for (const path of ["/greet", "/slow"]) {
      part.get(path, { websocket: true }, function (connection, { user }) {
        connection.write(`${this.greeting}, ${user}`);
      });
    }
  });
  app.get("/stuck", { websocket: true, preHandler: () => new Promise<never>(() => undefined) }, echo);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return { ...(await listening(app.server)), errors, finished, slow, close: () => app.close() };
}

async function startExpress(options: StartOptions = {}): Promise<App> {
  const slow = new SlowHook();
  const app = express();
  const server = new WebSocketServer();
  const { errors } = collected(server);
  app.locals.greeting = GREETING;
  const finished: string[] = [];
  app.use((request, response, next) => {
    response.on("finish", () => finished.push(`${response.statusCode} ${request.url}`));
    next();
  });
  app.get("/both", expressWebSocket(server, echo));
  app.get("/both", (_request, response) => void response.send("page"));
  app.get("/late", beforeHead, expressWebSocket(server, echo));
  app.get("/plain", (_request, response) => void response.send("plain"));
  app.get("/echo", expressWebSocket(server, echo));
  app.get("/fail", expressWebSocket(server, fail));
  app.get("/stuck", () => undefined, expressWebSocket(server, echo));
  app.get(
    ["/greet", "/slow"],
    async (request, response, next) => {
      if (request.path === "/slow") await slow.run();
      response.locals.user = request.get("authorization");
      if (response.locals.user === undefined) response.status(401).send(REFUSAL);
      else {
        response.set({ "set-cookie": COOKIES, "x-hook": "ran", "content-type": "text/plain" });
        next();
      }
    },
    expressWebSocket(server, (connection, { app: { locals }, res }) => {
      connection.write(`${String(locals.greeting)}, ${String(res?.locals.user)}`);
    }),
  );
  const { http, port } = await listening(createServer(app));
  acceptExpressUpgrades(http, options);
  return { http, port, errors, finished, slow, close: () => closing(server, http) };
}

/**
 * Acts when a head is written, as on-headers does, and so express-session, cookie-session and
 * others.
 */
function beforeHead(_request: ExpressRequest, response: ExpressResponse, next: NextFunction): void {
  const writeHead = Reflect.get(response, "writeHead") as (...args: unknown[]) => unknown;
  Reflect.set(response, "writeHead", (...args: unknown[]): unknown => {
    response.setHeader("x-late", "ran");
    return Reflect.apply(writeHead, response, args);
  });
  next();
}

interface HonoEnv {
  Bindings: HttpBindings;
  Variables: { user: string };
}

async function startHono(options: StartOptions = {}): Promise<App> {
  const slow = new SlowHook();
  const app = new Hono<HonoEnv>();
  const server = new WebSocketServer();
  const { errors } = collected(server);
  const finished: string[] = [];
  app.use(async ({ env: { outgoing }, req }, next) => {
    outgoing.on("finish", () => finished.push(`${outgoing.statusCode} ${req.path}`));
    await next();
  });
  app.get("/both", honoWebSocket(server, echo), (context) => context.text("page"));
  app.use("/late", async (context, next) => {
    await next();
    if (context.req.query("refuse") !== undefined) context.res = new Response("too late", { status: 403 });
    context.header("x-late", "ran");
  });
  app.get("/late", honoWebSocket(server, echo));
  app.get("/plain", (context) => context.text("plain"));
  app.get("/echo", honoWebSocket(server, echo));
  app.get("/fail", honoWebSocket(server, fail));
  app.use("/stuck", () => new Promise<never>(() => undefined));
  for (const path of ["/greet", "/slow"]) {
    app.use(path, async (context, next) => {
      if (path === "/slow") await slow.run();
      const user = context.req.header("authorization");
      if (user === undefined) return context.text(REFUSAL, 401);
      context.set("user", user);
      for (const cookie of COOKIES) context.header("set-cookie", cookie, { append: true });
      context.header("x-hook", "ran");
      context.header("content-type", "text/plain");
      await next();
      return undefined;
    });
    app.get(
      path,
      honoWebSocket<HonoEnv>(
        server,
        (connection, context) => void connection.write(`${GREETING}, ${context.get("user")}`),
      ),
    );
  }
  const served = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
  if (!("closeAllConnections" in served)) throw new Error("not a server of node:http");
  await once(served, "listening");
  acceptHonoUpgrades(served, options);
  const { http, port } = await listening(served);
  return { http, port, errors, finished, slow, close: () => closing(server, http) };
}

export const FRAMEWORKS: readonly Framework[] = [
  { name: "node:http", start: startNode },
  { name: "Fastify", start: startFastify },
  { name: "Express", start: startExpress },
  { name: "Hono", start: startHono },
];
