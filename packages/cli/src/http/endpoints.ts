import type { IncomingMessage, ServerResponse } from "node:http";
import { pathOf } from "./target.ts";

/** A response to a GET request. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
}

/**
 * The responses by path. Functions are called for each request; cache expensive results inside
 * them.
 */
export type Endpoints = Readonly<Record<string, () => Answer | Promise<Answer>>>;

/**
 * Answers a request if its path is one of the endpoints; otherwise returns false. Bypasses the
 * framework's routes and hooks, because these endpoints are requested often and by anyone.
 */
export function answerEndpoint(endpoints: Endpoints, request: IncomingMessage, response: ServerResponse): boolean {
  const path = pathOf(request.url ?? "");
  if (path === undefined || !Object.hasOwn(endpoints, path)) return false;
  const { method } = request;
  if (method !== "GET" && method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    send(response, { status: 405, type: TEXT, body: "the method must be GET or HEAD\n" }, true);
    return true;
  }
  const answer = endpoints[path]?.() ?? INTERNAL_ERROR;
  if (answer instanceof Promise) {
    void answer.then(
      (later) => send(response, later, method === "GET"),
      () => send(response, INTERNAL_ERROR, method === "GET"),
    );
  } else send(response, answer, method === "GET");
  return true;
}

const TEXT = "text/plain; charset=utf-8";
const INTERNAL_ERROR: Answer = { status: 500, type: TEXT, body: "internal server error\n" };

function send(response: ServerResponse, { status, type, body }: Answer, hasBody: boolean): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(hasBody ? body : undefined);
}
