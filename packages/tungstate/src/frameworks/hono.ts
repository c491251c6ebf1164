import type { Context, Env, Handler } from "hono";
import { IncomingMessage } from "node:http";
import type { Server as NetServer } from "node:net";
import { protocolError } from "@tungstate/protocol";
import type { WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { SWITCH_BY_HEADER } from "./switching.ts";
import { acceptUpgrade, letRequestsUpgrade, UPGRADE_REQUIRED, type UpgradeOptions } from "./upgrades.ts";

export type { UpgradeOptions };

/** Gets the connection; an error, thrown or rejected with, closes it with 1011 and is the WebSocketServer's `error`. */
export type WebSocketHandler<E extends Env = Env, Path extends string = string> = (
  connection: WebSocketConnection,
  context: Context<E, Path>,
) => unknown;

/**
 * Lets upgrade requests through to the Hono application of an HTTP server, as `serve` of `@hono/node-server` returns it: its middleware and
 * routes run for them as for all others. Paths that a WebSocketServer is attached for stay with it. The function returned ends that.
 * Throws INVALID_ARGUMENT for a server of HTTP/2.
 */
export function acceptUpgrades(server: NetServer, options?: UpgradeOptions): () => void {
  return letRequestsUpgrade(server, options);
}

/**
 * A route's handler: `app.get("/chat", websocket(server, (connection, context) => ...))`. Without an upgrade, the next handler of the same path
 * answers; if there is none, the answer is 426. What middleware answers in place of this handler is the answer.
 */
export function websocket<E extends Env = Env, Path extends string = string>(
  server: WebSocketServer,
  handler: WebSocketHandler<E, Path>,
): Handler<E, Path> {
  return async (context, next) => {
    const incoming: unknown = Reflect.get(Object(context.env), "incoming");
    if (!(incoming instanceof IncomingMessage)) {
      throw protocolError("INVALID_STATE", "WebSocket routes need Hono's server for Node, @hono/node-server");
    }
    if (acceptUpgrade(server, incoming, (connection) => handler(connection, context))) {
      const { status, headers } = SWITCH_BY_HEADER;
      return context.body(null, status, headers);
    }
    // loaded by the first request without an upgrade: it is an optional peer
    const { matchedRoutes } = await import("hono/route");
    if (matchedRoutes(context).length > context.req.routeIndex + 1) return next();
    const { status, headers, body } = UPGRADE_REQUIRED;
    return context.body(body, status, headers);
  };
}
