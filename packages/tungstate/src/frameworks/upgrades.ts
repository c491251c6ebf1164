import { buildRefusal, formatResponse, refusalFor } from "@tungstate/protocol";
import { argumentError, invalidOption } from "@tungstate/protocol/internal";
import { type IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import { type Server as NetServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { driverOf } from "../connection/connection.ts";
import { checkNames } from "../options/names.ts";
import { RefusedError } from "../server/admission/refused.ts";
import type { Arrivals } from "../server/door/arrivals.ts";
import { serverError } from "../server/errors.ts";
import { routeUpgrades } from "../server/http/router.ts";
import { arrivalsOf, WebSocketServer } from "../server/server.ts";
import type { WebSocketConnection } from "../connection/types.ts";
import { type ResponseHeaders, SwitchingResponse } from "./switching.ts";
import { time } from "../options/check.ts";
import { describe } from "../options/describe.ts";

export interface UpgradeOptions {
  /**
   * How long the application may take to respond to an upgrade request or to accept it, in ms.
   * Default 10,000.
   */
  readonly upgradeTimeout?: number;
  /**
   * The WebSocketServer whose limits apply until the application has chosen one:
   * `handshakeTimeout`, `maxHandshakes` and `maxConnectionsPerAddress`, to connections whose
   * request is not known and to upgrade requests that the application has not decided about. It
   * emits `refused` for them. Default: the default limits, with `upgradeTimeout` as
   * `handshakeTimeout`.
   */
  readonly server?: WebSocketServer;
}

/** An upgrade request that the application has not decided about. */
interface Pending {
  readonly socket: Socket;
  readonly head: Uint8Array;
  readonly response: ServerResponse;
  readonly switching: SwitchingResponse;
  /** Detaches the socket from `response`. */
  readonly release: () => void;
}

const pending = new WeakMap<IncomingMessage, Pending>();

const LINGER = 1_000; // ms that a refused client has to read its answer and hang up

/**
 * Passes upgrade requests to the `request` listeners of a node:http or node:https server, so that a
 * framework's hooks, middleware and routes run for them. Their response is sent; `acceptUpgrade`
 * accepts the connection instead. Paths that a WebSocketServer is attached to are not passed.
 * Returns a function that undoes it.
 */
export function letRequestsUpgrade(server: NetServer, options: UpgradeOptions = {}): () => void {
  checkNames(options, { upgradeTimeout: true, server: true });
  const timeout = time(options, "upgradeTimeout", 10_000);
  if (!(server instanceof HttpServer || server instanceof HttpsServer)) {
    throw argumentError(
      TypeError,
      `the argument of acceptUpgrades() must be a server of node:http or node:https, got ${describe(server)}`,
    );
  }
  const limits = options.server ?? new WebSocketServer({ handshakeTimeout: timeout });
  if (!(limits instanceof WebSocketServer)) {
    throw invalidOption("server", "a WebSocketServer", limits, describe(limits));
  }
  const arrivals = arrivalsOf(limits);
  return routeUpgrades(server, undefined, {
    arrivals,
    // an ordinary request keeps its connection, and its body can be read
    wants: (request) => request.method === "GET" && !hasBody(request),
    take: (request, socket, head) => begin(server, request, socket, head, timeout, arrivals),
  });
}

function begin(
  server: HttpServer | HttpsServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  timeout: number,
  arrivals: Arrivals,
): void {
  if (!(socket instanceof Socket)) {
    socket.destroy(); // impossible: node:http has no other streams
    return;
  }
  if (hasBody(request)) {
    // node:http has not read the body and cannot read it any more, so the application must not
    // respond without it
    socket.on("error", () => socket.destroy());
    socket.write(BODY_REFUSED);
    endGently(socket);
    return;
  }
  const place = arrivals.arrive(arrivals.countsAddresses ? socket.remoteAddress : undefined, true);
  if (place instanceof RefusedError) {
    socket.on("error", () => socket.destroy());
    socket.write(place.response);
    endGently(socket);
    return;
  }
  const response = new ServerResponse(request);
  // node:http has released the socket and cannot read another request from it
  response.shouldKeepAlive = false;
  const onError = (): void => void socket.destroy(); // without a listener it would end the process
  const onTimeout = (): void => {
    const error = serverError("AUTHORIZE_TIMEOUT", `the application has not responded within ${timeout} ms`);
    arrivals.onRefused(error);
    const isUnanswered = !response.headersSent;
    release();
    if (!isUnanswered) return void socket.destroy();
    socket.write(formatResponse(refusalFor(error)));
    endGently(socket);
  };
  const timer = setTimeout(onTimeout, timeout);
  const release = (): void => {
    clearTimeout(timer);
    place.leave();
    pending.delete(request);
    response.off("finish", onFinish);
    response.detachSocket(socket);
  };
  const onFinish = (): void => {
    release();
    endGently(socket);
  };
  socket.on("error", onError);
  socket.once("close", () => {
    clearTimeout(timer);
    place.leave();
  });
  response.once("finish", onFinish);
  response.assignSocket(socket);
  pending.set(request, { socket, head, response, switching: new SwitchingResponse(response), release });
  server.emit("request", request, response);
}

/** Whether a request has a body: it has one of these fields (RFC 9112 §6.3). */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;
}

const BODY_REFUSED = formatResponse(buildRefusal({ status: 400, body: "a request for an upgrade has no body\n" }));

/**
 * Ends a socket after everything is written. Bytes that still arrive are dropped, so that a reset
 * does not destroy the response.
 */
function endGently(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.once("close", () => clearTimeout(timer));
  socket.resume();
  socket.end();
}

/**
 * Accepts an upgrade request: when the application ends its response with the status 101 (or
 * SWITCH_BY_HEADER), runs the handshake and calls `run` with the connection. Header fields of that
 * response are added to the 101. If the server refuses the handshake (origin policy, `authorize`,
 * limits), the client gets the refusal. An error of `run` closes the connection with 1011 and is
 * emitted as the server's `error`. A response with another status is sent as it is. Returns false,
 * and does nothing, for a request that is not an upgrade or already has a response.
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
  // runs the hooks that follow each response, such as logging
  if (connection !== undefined) response.emit("finish");
  response.emit("close");
  if (connection === undefined) return;
  try {
    await run(connection);
  } catch (error) {
    driverOf(connection)?.handlerFailed(error);
  }
}

/**
 * Fields of a body, which a 101 does not have (RFC 9110 §8.6: "A server MUST NOT send a
 * Content-Length header field in any response with a status code of 1xx"), and fields of the
 * handshake.
 */
const NOT_FOR_UPGRADE = /^(connection|upgrade|keep-alive|transfer-encoding|trailer|content-.*|sec-websocket-.*)$/i;

function forUpgrade(headers: ResponseHeaders): [name: string, value: string][] {
  return headers.flatMap(([name, value]) =>
    NOT_FOR_UPGRADE.test(name) ? [] : [value].flat().map((each): [string, string] => [name, String(each)]),
  );
}

/**
 * The response of a WebSocket route to a request without an upgrade. RFC 9110 §15.5.22: "The server
 * MUST send an Upgrade header field in a 426 response to indicate the required protocol(s)", and
 * §7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
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
