import type { IncomingMessage, ServerResponse } from "node:http";
import { pathOf } from "./target.ts";

/** What a GET is answered with. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
}

/** The answers by path. They are made again for each request: what is expensive is kept by whoever makes it. */
export type Endpoints = Readonly<Record<string, () => Answer | Promise<Answer>>>;

/**
 * Answers requests for one of the paths; false: it is none of them. These answers do without a framework's routes and hooks: monitoring asks for
 * them often, and so may anybody.
 */
export function answerEndpoint(endpoints: Endpoints, request: IncomingMessage, response: ServerResponse): boolean {
  const path = pathOf(request.url ?? "");
  if (path === undefined || !Object.hasOwn(endpoints, path)) return false;
  const { method } = request;
  if (method !== "GET" && method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    send(response, { status: 405, type: TEXT, body: "only GET and HEAD\n" }, true);
    return true;
  }
  const answer = endpoints[path]?.() ?? NOTHING;
  if (answer instanceof Promise) {
    void answer.then(
      (later) => send(response, later, method === "GET"),
      () => send(response, NOTHING, method === "GET"),
    );
  } else send(response, answer, method === "GET");
  return true;
}

const TEXT = "text/plain; charset=utf-8";
const NOTHING: Answer = { status: 500, type: TEXT, body: "something went wrong here\n" };

function send(response: ServerResponse, { status, type, body }: Answer, hasBody: boolean): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
  });
  response.end(hasBody ? body : undefined);
}
