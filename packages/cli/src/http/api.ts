import type { HttpApi } from "@tungstate/hub";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Bodies, BodyRefusal } from "./bodies.ts";
import { pathOf } from "./target.ts";
import { limitUnreadBody } from "./unread-body.ts";

const PREFIX = "/api/";
const TEXT = "text/plain; charset=utf-8";

/**
 * Answers requests below `/api/` with the hub's HTTP API. Returns false for other paths. The key is
 * checked before the body is read. The content type is ignored: the body is always JSON.
 */
export function answerApi(api: HttpApi, bodies: Bodies, request: IncomingMessage, response: ServerResponse): boolean {
  const path = pathOf(request.url ?? "");
  if (path?.startsWith(PREFIX) !== true) return false;
  if (request.method !== "POST") {
    response.setHeader("allow", "POST");
    sendText(request, response, 405, "the method must be POST");
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
  // the client may send the body now that the key was checked
  if (/^100-continue$/i.test(request.headers.expect ?? "")) response.writeContinue();
  const result = await bodies.read(request, async (bytes): Promise<BodyRefusal | undefined> => {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return { status: 400, text: "the body must be UTF-8" };
    }
    const { status, headers, body } = await api(method, text, request.headers);
    send(request, response, status, headers, body);
    return undefined;
  });
  if (result !== undefined) sendText(request, response, result.status, result.text);
}

function sendText(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
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
  limitUnreadBody(request);
}
