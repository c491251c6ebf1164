import type { Request, RequestHandler } from "express";
import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../types.ts";
import { letRequestsUpgrade, upgrade, UPGRADE_REQUIRED, type UpgradeOptions } from "./upgrades.ts";

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
 * A route's last handler: `app.get("/chat", authenticate, websocket(server, (connection, request) => ...))`. Without an upgrade it
 * answers 426.
 */
export function websocket(server: WebSocketServer, handler: WebSocketHandler): RequestHandler {
  return (request, response) => {
    if (upgrade(server, request, response.getHeaders(), (connection) => handler(connection, request))) return;
    response.status(UPGRADE_REQUIRED.status).set(UPGRADE_REQUIRED.headers).send(UPGRADE_REQUIRED.body);
  };
}
