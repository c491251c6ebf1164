import { buildRefusal, formatResponse, protocolError } from "@tungstate/protocol";
import { type IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import { type Server as NetServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { driverOf } from "../connection/connection.ts";
import { checkNames } from "../options/names.ts";
import { routeUpgrades } from "../server/http/router.ts";
import type { WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { type ResponseHeaders, SwitchingResponse } from "./switching.ts";
import { describe, time } from "../options/check.ts";

export interface UpgradeOptions {
  /** How long the application may take to answer an upgrade request, or to take it, in ms. Default 10,000. */
  readonly upgradeTimeout?: number;
}

/** An upgrade request that the application has not decided about. */
interface Pending {
  readonly socket: Socket;
  readonly head: Uint8Array;
  readonly response: ServerResponse;
  readonly switching: SwitchingResponse;
  /** Takes the socket away from `response`. */
  readonly release: () => void;
}

const pending = new WeakMap<IncomingMessage, Pending>();

const LINGER = 1_000; // ms that a refused client has to read its answer and hang up

/**
 * Gives upgrade requests to the `request` listeners of a node:http or node:https server, so that a framework's hooks, middleware and
 * routes decide about them as about all others: what they answer is the answer, and `acceptUpgrade` takes the connection. Paths that a
 * WebSocketServer is attached for stay with it. The function returned ends that.
 */
export function letRequestsUpgrade(server: NetServer, options: UpgradeOptions = {}): () => void {
  checkNames(options, { upgradeTimeout: true });
  const timeout = time(options, "upgradeTimeout", 10_000);
  if (!(server instanceof HttpServer || server instanceof HttpsServer)) {
    throw protocolError(
      "INVALID_ARGUMENT",
      `upgrades need a server of node:http or node:https, got ${describe(server)}`,
    );
  }
  return routeUpgrades(server, undefined, {
    // an ordinary request keeps its connection, and its body can be read
    wants: (request) => request.method === "GET" && !hasBody(request),
    take: (request, socket, head) => begin(server, request, socket, head, timeout),
  });
}

function begin(
  server: HttpServer | HttpsServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  timeout: number,
): void {
  if (!(socket instanceof Socket)) {
    socket.destroy(); // impossible: node:http knows no other streams
    return;
  }
  if (hasBody(request)) {
    // node:http has not read it and can't any more: better no answer of the application's than one without the body
    socket.on("error", () => socket.destroy());
    socket.write(BODY_REFUSED);
    endGently(socket);
    return;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false; // node:http has let go of the socket and would read no second request from it
  const onError = (): void => void socket.destroy(); // without a listener it would end the process
  const timer = setTimeout(() => socket.destroy(), timeout);
  const release = (): void => {
    clearTimeout(timer);
    pending.delete(request);
    response.off("finish", onFinish);
    response.detachSocket(socket);
  };
  const onFinish = (): void => {
    release();
    endGently(socket);
  };
  socket.on("error", onError);
  socket.once("close", () => clearTimeout(timer));
  response.once("finish", onFinish);
  response.assignSocket(socket);
  pending.set(request, { socket, head, response, switching: new SwitchingResponse(response), release });
  server.emit("request", request, response);
}

/** By RFC 9112 §6.3 a request has one if it has either of these fields. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;
}

const BODY_REFUSED = formatResponse(buildRefusal({ status: 400, body: "a request for an upgrade has no body\n" }));

/** Ends a socket once all is written; what still comes is dropped, so that the answer isn't lost to a reset. */
function endGently(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.once("close", () => clearTimeout(timer));
  socket.resume();
  socket.end();
}

/**
 * Lets an upgrade request become a connection: when the application ends its response with the status 101 (or SWITCH_BY_HEADER), the
 * handshake is done, and `run` gets the connection. Header fields of that response are in the 101. Where the handshake is refused (by the
 * server's origin policy, its `authorize`, its limits) the client has its answer. An error of `run` closes with 1011 and is the server's
 * `error`. If the application ends the response with another status, that is the answer. False, and nothing done, for a request that is no upgrade, or is answered already.
 */
export function acceptUpgrade(
  server: WebSocketServer,
  request: IncomingMessage,
  run: (connection: WebSocketConnection) => unknown,
): boolean {
  const found = pending.get(request);
  if (found?.switching.undecided !== true) return false;
  found.switching.onSwitch((headers) => {
    found.release();
    void upgrade(server, request, found, headers, run);
  });
  return true;
}

async function upgrade(
  server: WebSocketServer,
  request: IncomingMessage,
  { socket, head, response }: Pending,
  headers: ResponseHeaders,
  run: (connection: WebSocketConnection) => unknown,
): Promise<void> {
  const connection = await server.handleUpgrade(request, socket, head, forUpgrade(headers));
  // hooks that run behind each answer, such as those that log it
  if (connection !== undefined) response.emit("finish");
  response.emit("close");
  if (connection === undefined) return;
  try {
    await run(connection);
  } catch (error) {
    driverOf(connection)?.handlerFailed(error);
  }
}

/** Of a body, which a 101 has none of (RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx"), or the handshake's own. */
const NOT_FOR_UPGRADE = /^(connection|upgrade|keep-alive|transfer-encoding|trailer|content-.*|sec-websocket-.*)$/i;

function forUpgrade(headers: ResponseHeaders): [name: string, value: string][] {
  return headers.flatMap(([name, value]) =>
    NOT_FOR_UPGRADE.test(name) ? [] : [value].flat().map((each): [string, string] => [name, String(each)]),
  );
}

/**
 * The answer of a WebSocket route that is asked without an upgrade. RFC 9110 §15.5.22: "The server MUST send an Upgrade header field in a
 * 426 response to indicate the required protocol(s)", and §7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
 */
export const UPGRADE_REQUIRED = {
  status: 426,
  headers: {
    "content-type": "text/plain; charset=utf-8",
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
  },
  body: "this is a WebSocket; ask for an upgrade\n",
} as const;
