import { argumentError } from "@tungstate/protocol/internal";
import type {
  ContextConfigDefault,
  FastifyBaseLogger,
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RegisterOptions,
  RequestGenericInterface,
  RouteHandlerMethod,
  RouteOptions,
} from "fastify";
import { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import { choosePassedOn } from "../server/http/router.ts";
import type { WebSocketServerOptions } from "../server/options.ts";
import { WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { acceptUpgrade, letRequestsUpgrade, UPGRADE_REQUIRED, type UpgradeOptions } from "./upgrades.ts";
import { describe } from "../options/describe.ts";

/** Options of the plugin: those of a WebSocketServer, and `upgradeTimeout`. */
export interface WebSocketPluginOptions extends Omit<WebSocketServerOptions, "path">, Omit<UpgradeOptions, "server"> {}

/**
 * Handles the connection of a route. An error that it throws or rejects with closes the connection
 * with 1011 and is logged.
 */
export type WebSocketHandler<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
  RequestGeneric extends RequestGenericInterface = RequestGenericInterface,
  ContextConfig = ContextConfigDefault,
  SchemaCompiler extends FastifySchema = FastifySchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger,
> = (
  this: FastifyInstance,
  connection: WebSocketConnection,
  request: FastifyRequest<RequestGeneric, RawServer, RawRequest, SchemaCompiler, TypeProvider, ContextConfig, Logger>,
) => unknown;

declare module "fastify" {
  interface FastifyInstance {
    /** The WebSocketServer of all WebSocket routes. */
    readonly websocketServer: WebSocketServer;
  }

  interface RouteShorthandOptions {
    /**
     * Makes the route a WebSocket route: its handler gets a connection and the request. A
     * WebSocketServer instead of true is used with its own options and events.
     */
    websocket?: boolean | WebSocketServer;
    /**
     * Handles connections of a route whose `handler` responds to requests without an upgrade.
     * `websocket` may name a WebSocketServer of its own.
     */
    wsHandler?: WebSocketHandler;
  }

  interface RouteShorthandMethod<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
  > {
    <
      RequestGeneric extends RequestGenericInterface = RequestGenericInterface,
      ContextConfig = ContextConfigDefault,
      SchemaCompiler extends FastifySchema = FastifySchema,
      InnerLogger extends Logger = Logger,
    >(
      path: string,
      options: RouteShorthandOptions<
        RawServer,
        RawRequest,
        RawReply,
        RequestGeneric,
        ContextConfig,
        SchemaCompiler,
        TypeProvider,
        InnerLogger
      > & { websocket: true | WebSocketServer; wsHandler?: undefined },
      handler: WebSocketHandler<
        RawServer,
        RawRequest,
        RequestGeneric,
        ContextConfig,
        SchemaCompiler,
        TypeProvider,
        InnerLogger
      >,
    ): FastifyInstance<RawServer, RawRequest, RawReply, InnerLogger, TypeProvider>;
  }
}

const plugin: FastifyPluginAsync<WebSocketPluginOptions & Partial<RegisterOptions>> = async (app, options) => {
  // `register` passes its own options along
  const { upgradeTimeout, prefix: _prefix, logLevel: _level, logSerializers: _serializers, ...rest } = options;
  const server = new WebSocketServer(rest);
  const servers = new Set([server]);
  const stop = letRequestsUpgrade(app.server, { server, ...(upgradeTimeout === undefined ? {} : { upgradeTimeout }) });
  app.decorate("websocketServer", server);
  server.on("error", (error) => app.log.error({ err: error }, "a WebSocket handler failed"));
  server.on("refused", (error) => app.log.info({ code: error.code }, `WebSocket refused: ${error.message}`));
  app.addHook("onRoute", (route) => {
    const own: unknown = Reflect.get(route, "websocket");
    const wsHandler: unknown = Reflect.get(route, "wsHandler");
    if (own === undefined || own === false) {
      if (wsHandler === undefined) return;
      if (own === false)
        throw argumentError(TypeError, `websocket must not be false for a route with wsHandler: ${route.url}`);
    }
    const its = serverOf(own ?? true, server, route);
    servers.add(its);
    route.handler =
      wsHandler === undefined
        ? upgrading(its, route, asWebSocketHandler(route.handler), upgradeRequired)
        : upgrading(its, route, checkedHandler(wsHandler, route), route.handler);
  });
  // before Fastify waits for the connections of its HTTP server to end
  app.addHook("preClose", async () => {
    await Promise.all(Array.from(servers, (each) => each.close()));
  });
  const stops = [stop];
  app.addHook("onListen", async () => {
    for (const each of otherServersOf(app)) stops.push(choosePassedOn(each, app.server));
  });
  app.addHook("onClose", async () => {
    for (const each of stops) each();
  });
};

/**
 * For a host with several addresses, such as localhost, Fastify makes a server for each, which pass
 * their `upgrade` events to `app.server`. The property that holds them is private.
 */
function otherServersOf(app: FastifyInstance): (HttpServer | HttpsServer)[] {
  const keys: symbol[] = [];
  for (let at: object | null = app; at !== null; at = Reflect.getPrototypeOf(at))
    keys.push(...Object.getOwnPropertySymbols(at));
  const key = keys.find(({ description }) => description === "fastify.serverBindings");
  const servers: unknown = key === undefined ? undefined : Reflect.get(app, key);
  return Array.isArray(servers)
    ? servers.filter(
        (each): each is HttpServer | HttpsServer => each instanceof HttpServer || each instanceof HttpsServer,
      )
    : [];
}

function serverOf(given: unknown, server: WebSocketServer, { url }: RouteOptions): WebSocketServer {
  if (given === true) return server;
  if (given instanceof WebSocketServer) return given;
  throw argumentError(TypeError, `websocket must be true or a WebSocketServer, got ${describe(given)} for ${url}`);
}

type Handler = (this: FastifyInstance, connection: WebSocketConnection, request: FastifyRequest) => unknown;

/** `otherwise` responds to requests without an upgrade. */
function upgrading(
  server: WebSocketServer,
  { method, url }: RouteOptions,
  handler: Handler,
  otherwise: RouteHandlerMethod,
): RouteHandlerMethod {
  const methods = [method].flat();
  const isFor = (each: string): boolean => each === "GET" || each === "HEAD";
  if (otherwise === upgradeRequired ? !methods.every(isFor) : !methods.some(isFor)) {
    throw argumentError(TypeError, `the method of a WebSocket route must be GET, got ${String(method)} for ${url}`);
  }
  return function (request, reply) {
    if (!acceptUpgrade(server, request.raw, (connection) => handler.call(this, connection, request))) {
      return otherwise.call(this, request, reply);
    }
    return reply.code(101).send();
  };
}

function upgradeRequired(_request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.code(UPGRADE_REQUIRED.status).headers(UPGRADE_REQUIRED.headers).send(UPGRADE_REQUIRED.body);
}

function checkedHandler(wsHandler: unknown, { url }: RouteOptions): Handler {
  if (typeof wsHandler === "function") return asWebSocketHandler(wsHandler);
  throw argumentError(TypeError, `wsHandler must be a function, got ${describe(wsHandler)} for ${url}`);
}

/** The option decides that a handler takes a connection, whatever its type is. */
function asWebSocketHandler(handler: unknown): Handler {
  return handler as Handler;
}

/**
 * The plugin: `await app.register(websocket, options)` with the options of a WebSocketServer, then
 * `app.get("/chat", { websocket: true }, (connection, request) => ...)`.
 *
 * The application's hooks run before the upgrade; a reply of a hook is the response. For a request
 * without an upgrade, a WebSocket route responds with 426, or with its `handler` if the connection
 * handler is `wsHandler`. `app.close()` closes all connections with 1001. For a route with other
 * options use `{ websocket: new WebSocketServer(options) }`.
 *
 * The plugin applies to the application that registers it, as with fastify-plugin.
 */
export const websocket: FastifyPluginAsync<WebSocketPluginOptions> = Object.assign(plugin, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "tungstate",
  [Symbol.for("plugin-meta")]: { name: "tungstate", fastify: ">=5" },
});
