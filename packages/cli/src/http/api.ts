import type { HttpApi } from "@tungstate/hub";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Bodies, BodyRefusal } from "./bodies.ts";
import { pathOf } from "./target.ts";

const PREFIX = "/api/";
const TEXT = "text/plain; charset=utf-8";
const LINGER = 5_000; // ms that a client may go on sending a body that nobody wants, so that it reads the response before the end

/**
 * Answers requests below `/api/` by the hub's HTTP API; false: the path is another one. The key is checked before anything of the body is read. JSON is
 * read as it comes, whatever content type the request says.
 */
export function answerApi(api: HttpApi, bodies: Bodies, request: IncomingMessage, response: ServerResponse): boolean {
  const path = pathOf(request.url ?? "");
  if (path?.startsWith(PREFIX) !== true) return false;
  if (request.method !== "POST") {
    response.setHeader("allow", "POST");
    say(request, response, 405, "only POST");
    return true;
  }
  const unauthorized = api.unauthorized(request.headers);
  if (unauthorized !== undefined) {
    const { status, headers, body } = unauthorized;
    send(request, response, status, headers, body);
    return true;
  }
  void call(api, bodies, path.slice(PREFIX.length), request, response);
  return true;
}

async function call(
  api: HttpApi,
  bodies: Bodies,
  method: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // who waits for leave to send the body gets it now, and not before the key was checked
  if (/^100-continue$/i.test(request.headers.expect ?? "")) response.writeContinue();
  const result = await bodies.read(request, async (bytes): Promise<BodyRefusal | undefined> => {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return { status: 400, text: "the body is not UTF-8" };
    }
    const { status, headers, body } = await api(method, text, request.headers);
    send(request, response, status, headers, body);
    return undefined;
  });
  if (result !== undefined) say(request, response, result.status, result.text);
}

function say(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  send(request, response, status, { "content-type": TEXT }, `${text}\n`);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(body);
  if (request.complete) return;
  // node:http drops the rest of the body
  setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, LINGER).unref();
}
