import type { IncomingMessage } from "node:http";
import type { Http2Server } from "node:http2";
import type { Duplex } from "node:stream";
import {
  formatResponse,
  isWebSocketUpgrade,
  parseTarget,
  protocolError,
  refusalFor,
  type UpgradeHead,
} from "@tungstate/protocol";
import { systemClock } from "../../schedule/clock.ts";
import { defaultRuntime } from "../../native/runtime.ts";
import { transportOf } from "../../transport/of.ts";
import type { Arrivals } from "../door/arrivals.ts";
import { openDoor } from "../door/door.ts";
import type { HandshakeTaker } from "../door/first-request.ts";
import { behindResponses } from "./earlier-responses.ts";
import { serverError } from "../errors.ts";
import { sayAndEnd } from "../say-and-end.ts";
import { handOver } from "./handover.ts";
import type { StreamTaker } from "../http2/opened-stream.ts";
import { chooseUpgrades } from "./upgrade-choice.ts";
import { isWebServer, type WebServer } from "./web-server.ts";

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Takes the upgrade requests for a path. */
export interface UpgradeTaker {
  /** Takes a request that node:http has read. */
  readonly take: UpgradeHandler;
  /** Takes a handshake that is the first request of its connection. Default: node:http reads it. */
  readonly accept?: HandshakeTaker;
  /** Takes a handshake over HTTP/2. Default: the server gets it. */
  readonly acceptConnect?: StreamTaker;
  /** The limits of connections whose request is not known yet. */
  readonly arrivals?: Arrivals;
  /**
   * Returns whether it wants this request, which asks for WebSocket. The others are ordinary
   * requests. Default: all.
   */
  wants?(request: IncomingMessage): boolean;
}

interface Routes {
  readonly byPath: Map<string | undefined, UpgradeTaker>;
  /** Returns whether a request becomes an upgrade here. */
  wants(request: IncomingMessage): boolean;
  /** Opens the door of the server, once it has a taker. */
  readonly open: (maxConcurrentStreams: number | undefined) => void;
  /** Takes the listener off the server. */
  readonly remove: () => void;
}

/** One upgrade listener per server, however many share it, so that exactly one of them answers. */
const routesOf = new WeakMap<WebServer, Routes>();

/**
 * Sends the requests for an upgrade to WebSocket on a path (undefined: on every path that has no
 * other taker) to `taker`. The function returned ends that. `maxConcurrentStreams`: of HTTP/2
 * sessions; the first taker of a server determines it.
 */
export function routeUpgrades(
  server: WebServer,
  path: string | undefined,
  taker: UpgradeTaker,
  maxConcurrentStreams?: number,
): () => void {
  const routes = routesOf.get(server) ?? listenTo(server);
  const { byPath } = routes;
  if (byPath.has(path))
    throw protocolError(
      "INVALID_STATE",
      `another WebSocketServer already accepts upgrades for ${path ?? "every path"}: use another path`,
    );
  byPath.set(path, taker);
  routes.open(maxConcurrentStreams);
  return () => {
    byPath.delete(path);
    if (byPath.size > 0) return;
    routes.remove();
    routesOf.delete(server);
  };
}

/**
 * Makes a server that passes its `upgrade` events on to `main` do so only for the requests that
 * `main` would emit `upgrade` for. The others are ordinary requests, as on `main`. The function
 * returned ends that.
 */
export function choosePassedOn(server: WebServer, main: WebServer): () => void {
  const wanted = (request: IncomingMessage): boolean => {
    const routes = routesOf.get(main);
    return main.listenerCount("upgrade") > (routes === undefined ? 0 : 1) || routes?.wants(request) === true;
  };
  const release = chooseUpgrades(server, wanted);
  const byPath = routesOf.get(main)?.byPath;
  const closeDoor = byPath === undefined ? undefined : doorOf(server, main, byPath);
  return () => {
    release?.();
    closeDoor?.();
  };
}

/**
 * Sends the handshakes of an HTTP/2 server without listeners of its own to the takers of `main`.
 * Returns a function that ends that.
 */
export function shareRoutes(server: Http2Server, main: WebServer, maxConcurrentStreams: number): () => void {
  const byPath = routesOf.get(main)?.byPath ?? new Map<undefined, UpgradeTaker>();
  return doorOf(server, main, byPath, maxConcurrentStreams);
}

/** Returns the taker of this path; of all other paths if it is undefined. */
export function takerOf(server: WebServer, path: string | undefined): UpgradeTaker | undefined {
  return routesOf.get(server)?.byPath.get(path);
}

/**
 * Returns the taker of a handshake that is the first request of its connection; undefined if
 * node:http should read it.
 */
export function handshakeTakerOf(server: WebServer, { target }: UpgradeHead): HandshakeTaker | undefined {
  const byPath = routesOf.get(server)?.byPath;
  return (byPath?.get(pathOf(target)) ?? byPath?.get(undefined))?.accept;
}

/** The path of a request's target, without the query. */
function pathOf(target: string): string {
  const url = parseTarget(target)?.resource ?? target;
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

function listenTo(server: WebServer): Routes {
  const byPath = new Map<string | undefined, UpgradeTaker>();
  const find = ({ url = "" }: IncomingMessage): UpgradeTaker | undefined =>
    byPath.get(pathOf(url)) ?? byPath.get(undefined);
  const wanted = (request: IncomingMessage): boolean =>
    asksForWebSocket(request) && find(request)?.wants?.(request) !== false;
  const listener: UpgradeHandler = (request, socket, head) => {
    const others = server.listenerCount("upgrade") > 1;
    const taker = others && !wanted(request) ? undefined : find(request);
    if (taker !== undefined) behindResponses(socket, head, (all) => taker.take(request, socket, all));
    else if (others) handOver(socket);
    else behindResponses(socket, head, () => notFound(socket));
  };
  const release = chooseUpgrades(server, wanted);
  let closeDoor: (() => void) | undefined;
  server.on("upgrade", listener);
  const routes = {
    byPath,
    wants: wanted,
    open: (maxConcurrentStreams: number | undefined) =>
      void (closeDoor ??= doorOf(server, server, byPath, maxConcurrentStreams)),
    remove: () => {
      release?.();
      closeDoor?.();
      server.off("upgrade", listener);
    },
  };
  routesOf.set(server, routes);
  return routes;
}

/** Opens the door of a server to the takers of `main`. Returns a function that closes it. */
function doorOf(
  server: WebServer | object,
  main: WebServer,
  byPath: ReadonlyMap<string | undefined, UpgradeTaker>,
  maxConcurrentStreams?: number,
): () => void {
  if (!isWebServer(server)) return () => undefined;
  return openDoor(server, {
    // of several servers, the one that was attached first
    arrivals() {
      for (const { arrivals } of byPath.values()) if (arrivals !== undefined) return arrivals;
      return undefined;
    },
    // other `upgrade` listeners receive the requests for our paths too
    takerOf: (head) => (main.listenerCount("upgrade") > 1 ? undefined : handshakeTakerOf(main, head)),
    streamTakerOf: (target) => (byPath.get(pathOf(target)) ?? byPath.get(undefined))?.acceptConnect,
    maxConcurrentStreams,
  });
}

function asksForWebSocket({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  return isWebSocketUpgrade({ version: httpVersion, headers: { get: (name) => valueOf(rawHeaders, name) } });
}

/** By `headers` every request would pay for an object of all fields. */
function valueOf(rawHeaders: readonly string[], wanted: string): string | undefined {
  let value: string | undefined;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length !== wanted.length || name.toLowerCase() !== wanted) continue;
    value = value === undefined ? rawHeaders[at + 1] : `${value}, ${rawHeaders[at + 1]}`;
  }
  return value;
}

function notFound(socket: Duplex): void {
  const response = formatResponse(refusalFor(serverError("PATH_NOT_FOUND")));
  sayAndEnd(
    transportOf(socket, { noDelay: true, runtime: defaultRuntime, transport: "socket" }),
    response,
    systemClock,
  );
}
