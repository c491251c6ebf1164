import type { Application, Request, RequestHandler } from "express";
import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { acceptUpgrade, letRequestsUpgrade, UPGRADE_REQUIRED, type UpgradeOptions } from "./upgrades.ts";

export type { UpgradeOptions };

/**
 * Handles the connection of a route. An error that it throws or rejects with closes the connection
 * with 1011 and is emitted as the WebSocketServer's `error`.
 */
export type WebSocketHandler = (connection: WebSocketConnection, request: Request) => unknown;

/**
 * Passes upgrade requests to the Express application of an HTTP server, so that its middleware and
 * routes run for them. Paths that a WebSocketServer is attached to are not passed. Returns a
 * function that undoes it.
 */
export function acceptUpgrades(server: HttpServer | HttpsServer, options?: UpgradeOptions): () => void {
  return letRequestsUpgrade(server, options);
}

/**
 * Returns a route handler: `app.get("/chat", authenticate, websocket(server, (connection, request)
 * => ...))`. For a request without an upgrade it calls `next()`, so that another handler can
 * respond; if none does, the response is 426.
 */
export function websocket(server: WebSocketServer, handler: WebSocketHandler): RequestHandler {
  return (request, response, next) => {
    if (acceptUpgrade(server, request, (connection) => handler(connection, request))) {
      response.status(101).end();
      return;
    }
    withoutUpgrade.add(request);
    answerAtTheEnd(request.app);
    next();
  };
}

/** Requests that a WebSocket route has passed to other handlers. */
const withoutUpgrade = new WeakSet<Request>();

const applications = new WeakSet<Application>();

/**
 * Adds a last handler that responds with 426 to the requests that WebSocket routes passed on,
 * instead of Express's 404.
 */
function answerAtTheEnd(application: Application): void {
  const root = rootOf(application);
  if (applications.has(root)) return;
  applications.add(root);
  root.use((request, response, next) => {
    if (!withoutUpgrade.has(request)) next();
    else response.status(UPGRADE_REQUIRED.status).set(UPGRADE_REQUIRED.headers).send(UPGRADE_REQUIRED.body);
  });
}

/**
 * Returns the outermost application: handlers of an application that is mounted in another one run
 * before those of the outer one.
 */
function rootOf(application: Application): Application {
  const parent: unknown = Reflect.get(application, "parent");
  return typeof parent === "function" ? rootOf(parent as Application) : application;
}
