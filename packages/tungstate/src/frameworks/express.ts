import type { Application, Request, RequestHandler } from "express";
import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { acceptUpgrade, letRequestsUpgrade, UPGRADE_REQUIRED, type UpgradeOptions } from "./upgrades.ts";

export type { UpgradeOptions };

/** Gets the connection; an error, thrown or rejected with, closes it with 1011 and is the WebSocketServer's `error`. */
export type WebSocketHandler = (connection: WebSocketConnection, request: Request) => unknown;

/**
 * Lets upgrade requests through to the Express application of an HTTP server, whose middleware and routes run for them as for all
 * others. Paths that a WebSocketServer is attached for stay with it. The function returned ends that.
 */
export function acceptUpgrades(server: HttpServer | HttpsServer, options?: UpgradeOptions): () => void {
  return letRequestsUpgrade(server, options);
}

/**
 * A route's handler: `app.get("/chat", authenticate, websocket(server, (connection, request) => ...))`. Without an upgrade it calls `next()`, so
 * that another handler can answer; where none does, the answer is 426.
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

/** Requests that a WebSocket route has left to others. */
const withoutUpgrade = new WeakSet<Request>();

const applications = new WeakSet<Application>();

/** Express runs off the end of an application's handlers to its own 404; a last handler says 426 instead, for those requests that are meant. */
function answerAtTheEnd(application: Application): void {
  const root = rootOf(application);
  if (applications.has(root)) return;
  applications.add(root);
  root.use((request, response, next) => {
    if (!withoutUpgrade.has(request)) next();
    else response.status(UPGRADE_REQUIRED.status).set(UPGRADE_REQUIRED.headers).send(UPGRADE_REQUIRED.body);
  });
}

/** An application may be a part of another one, whose handlers come behind its own. */
function rootOf(application: Application): Application {
  const parent: unknown = Reflect.get(application, "parent");
  return typeof parent === "function" ? rootOf(parent as Application) : application;
}
