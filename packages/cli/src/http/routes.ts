import type { IncomingMessage, ServerResponse } from "node:http";
import type { HostPolicy } from "tungstate/internal";
import { authorityOf, pathOf } from "./target.ts";
import { limitUnreadBody } from "./unread-body.ts";

/** A response to a GET request. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | undefined;
}

/**
 * Returns the response to a GET or HEAD request. Called for each request; cache expensive results
 * inside it.
 */
export type Route = (request: IncomingMessage) => Answer | Promise<Answer>;

/** The routes by path. */
export type Routes = ReadonlyMap<string, Route>;

/**
 * Answers a request with the route of its path: 404 without one, 405 for a method other than GET
 * and HEAD, 400 for a target that is no path and no URL. A route that fails is answered with 500
 * and reported to `onError`.
 */
export function answerRequest(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
  onError: (error: unknown) => void,
): void {
  const path = pathOf(request.url ?? "");
  if (path === undefined) return send(request, response, INVALID_TARGET);
  const route = routes.get(path);
  if (route === undefined) return send(request, response, NOT_FOUND);
  if (request.method !== "GET" && request.method !== "HEAD") return send(request, response, WRONG_METHOD);
  const failed = (error: unknown): void => {
    onError(error);
    send(request, response, INTERNAL_ERROR);
  };
  try {
    const answer = route(request);
    if (answer instanceof Promise) answer.then((later) => send(request, response, later)).catch(failed);
    else send(request, response, answer);
  } catch (error) {
    failed(error);
  }
}

/**
 * Answers a request with 421 if it names a host that is not allowed, in Host or in its target.
 * Returns whether it did.
 */
export function refuseHost(hosts: HostPolicy, request: IncomingMessage, response: ServerResponse): boolean {
  if (hosts.allows(request.headers.host) && hosts.allows(authorityOf(request.url ?? ""))) return false;
  response.shouldKeepAlive = false;
  send(request, response, WRONG_HOST);
  return true;
}

/** Returns a response with one line of text. */
function textAnswer(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body: `${text}\n` };
}

/** Header fields of all responses that belong to the page. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

const INVALID_TARGET = textAnswer(400, "the request target must be a path or an absolute URL");
const WRONG_HOST = textAnswer(421, "this server does not serve the host of the request: see --allowed-host");
const NOT_FOUND = textAnswer(404, "not found", PAGE_HEADERS);
const WRONG_METHOD = textAnswer(405, "the method must be GET or HEAD", { allow: "GET, HEAD" });
const INTERNAL_ERROR = textAnswer(500, "internal server error");

/**
 * The response of a WebSocket route to a request without an upgrade. RFC 9110 §15.5.22: "The server
 * MUST send an Upgrade header field in a 426 response to indicate the required protocol(s)".
 */
export const UPGRADE_REQUIRED = textAnswer(426, "this is a WebSocket; ask for an upgrade", {
  connection: "upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
});

/** RFC 9113 §8.2.2: a message of HTTP/2 has no fields that belong to one connection. */
function withoutUpgrade({ connection: _, upgrade: __, ...rest }: Answer["headers"]): Answer["headers"] {
  return rest;
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  if (response.headersSent || response.destroyed) return;
  // RFC 9110 §8.6: a 304 without a body needs no Content-Length
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  response.writeHead(status, { ...(request.httpVersionMajor >= 2 ? withoutUpgrade(headers) : headers), ...length });
  response.end(request.method === "HEAD" ? undefined : body);
  limitUnreadBody(request);
}
