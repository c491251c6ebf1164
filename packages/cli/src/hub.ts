import {
  attachSocket,
  createHttpApi,
  createTokenVerifier,
  type HttpApi,
  Hub,
  type NamespaceOptions,
} from "@tungstate/hub";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { WebSocketServer, type WebSocketServerOptions } from "tungstate";
import { guest } from "./guest.ts";
import { hubMetricsText } from "./hub-metrics.ts";
import type { HubOptions } from "./hub-options.ts";
import { LIVE } from "./live.ts";

export const HUB_PATH = "/connection/websocket";

const API_PATH = "/api/";
const MAX_API_BODY = 4 * 1024 * 1024; // bytes
const MAX_MESSAGE_SIZE = 65_536; // bytes; the hub's own limit for a frame
const CLOSES_PER_MS = 1; // how fast sessions are sent away: all at once, they would all come back at once

const CHANNELS: NamespaceOptions = { history: { size: 1000, ttl: 3600_000 }, presence: true, joinLeave: true };

/** The namespace in which everybody may do everything. */
const PUBLIC: NamespaceOptions = { ...CHANNELS, subscribe: "anyone", publish: "anyone" };

/** Who types in a public channel: the page tells it in `typing:lobby` of `public:lobby`. Nothing is kept. */
const TYPING: NamespaceOptions = { subscribe: "anyone", publish: "subscribers" };

/** Subscribing takes a subscription token; who has subscribed may publish. */
const WITH_TOKEN: NamespaceOptions = { ...CHANNELS, publish: "subscribers" };

export interface HubService {
  readonly hub: Hub;
  /** Of the route HUB_PATH, to be attached. */
  readonly server: WebSocketServer;
  /** Whether a request for this path is for `answer`: one of the HTTP API, where that is on. */
  answers(path: string): boolean;
  answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** For /metrics. */
  metrics(): string;
  /** Ends all sessions, and then all connections, within `timeout` ms. */
  close(timeout: number): Promise<void>;
}

/** The hub of `tungstate serve`. The options have to be without problems. */
export async function startHub(
  { tokenSecret, apiKey = [], namespace = [], namespaces = {} }: HubOptions,
  websocket: WebSocketServerOptions,
  log: Logger,
): Promise<HubService> {
  const withToken = ["", ...namespace].map((name) => [name, WITH_TOKEN] as const);
  const hub = new Hub({
    name: "tungstate",
    anonymous: true,
    authenticate: guest,
    namespaces: { public: PUBLIC, typing: TYPING, live: LIVE, ...Object.fromEntries(withToken), ...namespaces },
    ...(tokenSecret === undefined
      ? {}
      : { tokens: createTokenVerifier({ keys: [{ algorithm: "HS256", secret: tokenSecret }] }) }),
    limits: { messageSize: MAX_MESSAGE_SIZE },
    onConnect: ({ client, user }) => log.debug({ client, user }, "client connected"),
    onDisconnect: ({ client, user }, { code, reason }) =>
      log.debug({ client, user, code, reason }, "client disconnected"),
    onError: (error) => log.error({ err: error }, "hub"),
  });
  await hub.start();
  const server = new WebSocketServer({ ...websocket, maxMessageSize: MAX_MESSAGE_SIZE });
  server.on("connection", (socket, request) => void attachSocket(hub, socket, request));
  const api = apiKey.length === 0 ? undefined : createHttpApi(hub, { keys: apiKey });

  return {
    hub,
    server,
    answers: (path) => api !== undefined && path.startsWith(API_PATH),
    async answer(path, request, response) {
      if (api !== undefined) await answerApi(api, path.slice(API_PATH.length), request, response);
    },
    metrics: () => hubMetricsText(hub.metrics),
    async close(timeout) {
      const from = performance.now();
      await hub.close({ window: Math.min(timeout / 2, hub.metrics.connections / CLOSES_PER_MS) });
      await server.close(1001, "", Math.max(1, Math.ceil(timeout - (performance.now() - from))));
    },
  };
}

async function answerApi(
  api: HttpApi,
  method: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "POST") {
    say(response, 405, { allow: "POST" }, "only POST");
    return;
  }
  const body = await bodyOf(request);
  if (body === undefined) {
    // what is left of it is not waited for
    say(response, 413, { connection: "close" }, `a body has at most ${MAX_API_BODY} bytes`);
    return;
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    say(response, 400, {}, "the body is not UTF-8");
    return;
  }
  const { status, headers, body: json } = await api(method, text, request.headers);
  response.writeHead(status, headers).end(json);
}

/** Undefined if it is too long. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Buffer)) continue; // impossible: nobody sets an encoding
    size += chunk.length;
    if (size > MAX_API_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function say(response: ServerResponse, status: number, headers: Record<string, string>, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers }).end(`${text}\n`);
}
