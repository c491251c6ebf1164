import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { formatResponse, parseTarget, protocolError, refusalFor } from "@tungstate/protocol";
import { systemClock } from "../clock.ts";
import { transportOf } from "../transport/of.ts";
import { sayAndEnd } from "./accepting.ts";
import { serverError } from "./errors.ts";

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

interface Routes {
  readonly byPath: Map<string | undefined, UpgradeHandler>;
  readonly listener: UpgradeHandler;
}

/** One upgrade listener per server, however many share it, so that exactly one of them answers. */
const routesOf = new WeakMap<HttpServer | HttpsServer, Routes>();

/** Sends the upgrade requests for a path (undefined: for all that have no other taker) to `handler`. The function returned ends that. */
export function routeUpgrades(
  server: HttpServer | HttpsServer,
  path: string | undefined,
  handler: UpgradeHandler,
): () => void {
  let routes = routesOf.get(server);
  if (routes === undefined) {
    const byPath = new Map<string | undefined, UpgradeHandler>();
    const listener: UpgradeHandler = (request, socket, head) => {
      const { url: target = "" } = request;
      const url = parseTarget(target)?.resource ?? target;
      const query = url.indexOf("?");
      const taker = byPath.get(query < 0 ? url : url.slice(0, query)) ?? byPath.get(undefined);
      if (taker !== undefined) taker(request, socket, head);
      else if (server.listenerCount("upgrade") === 1) notFound(socket);
    };
    routes = { byPath, listener };
    routesOf.set(server, routes);
    server.on("upgrade", listener);
  }
  const { byPath, listener } = routes;
  if (byPath.has(path))
    throw protocolError("INVALID_STATE", `upgrades for ${path ?? "every path"} have a taker already`);
  byPath.set(path, handler);
  return () => {
    byPath.delete(path);
    if (byPath.size > 0) return;
    server.off("upgrade", listener);
    routesOf.delete(server);
  };
}

function notFound(socket: Duplex): void {
  const response = formatResponse(refusalFor(serverError("PATH_NOT_FOUND")));
  sayAndEnd(transportOf(socket, { noDelay: true }), response, systemClock);
}
