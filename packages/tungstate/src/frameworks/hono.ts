import type { Context, Env, Handler } from "hono";
import { IncomingMessage } from "node:http";
import type { Server as NetServer } from "node:net";
import { protocolError } from "@tungstate/protocol";
import type { WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { SWITCH_BY_HEADER } from "./switching.ts";
import { acceptUpgrade, letRequestsUpgrade, UPGRADE_REQUIRED, type UpgradeOptions } from "./upgrades.ts";

export type { UpgradeOptions };

/**
 * Handles the connection of a route. An error that it throws or rejects with closes the connection
 * with 1011 and is emitted as the WebSocketServer's `error`.
 */
export type WebSocketHandler<E extends Env = Env, Path extends string = string> = (
  connection: WebSocketConnection,
  context: Context<E, Path>,
) => unknown;

/**
 * Passes upgrade requests to the Hono application of an HTTP server, as `serve` of
 * `@hono/node-server` returns it, so that its middleware and routes run for them. Paths that a
 * WebSocketServer is attached to are not passed. Returns a function that undoes it. Throws
 * INVALID_ARGUMENT for an HTTP/2 server.
 */
export function acceptUpgrades(server: NetServer, options?: UpgradeOptions): () => void {
  return letRequestsUpgrade(server, options);
}

/**
 * Returns a route handler: `app.get("/chat", websocket(server, (connection, context) => ...))`. For
 * a request without an upgrade the next handler of the same path responds; if there is none, the
 * response is 426. A response of middleware takes the place of this handler.
 */
export function websocket<E extends Env = Env, Path extends string = string>(
  server: WebSocketServer,
  handler: WebSocketHandler<E, Path>,
): Handler<E, Path> {
  return async (context, next) => {
    const incoming: unknown = Reflect.get(Object(context.env), "incoming");
    if (!(incoming instanceof IncomingMessage)) {
      throw protocolError(
        "INVALID_STATE",
        "WebSocket routes need @hono/node-server: pass its server to acceptUpgrades()",
      );
    }
    if (acceptUpgrade(server, incoming, (connection) => handler(connection, context))) {
      const { status, headers } = SWITCH_BY_HEADER;
      return context.body(null, status, headers);
    }
    if ((await matchedCount(context)) > context.req.routeIndex + 1) return next();
    const { status, headers, body } = UPGRADE_REQUIRED;
    return context.body(body, status, headers);
  };
}

/**
 * Returns how many handlers and middlewares match the request. The helper of "hono/route" knows
 * only requests of Hono's ES module; an application may have loaded its CommonJS build, whose
 * requests know their routes themselves.
 */
async function matchedCount<E extends Env, Path extends string>(context: Context<E, Path>): Promise<number> {
  const own: unknown = Reflect.get(context.req, "matchedRoutes");
  if (Array.isArray(own)) return own.length;
  // loaded when it is needed: hono is an optional peer
  const { matchedRoutes } = await import("hono/route");
  return matchedRoutes(context).length;
}
