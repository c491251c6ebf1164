import {
  attachSocket,
  type Broker,
  createHttpApi,
  createTokenVerifier,
  type HttpApi,
  Hub,
  HUB_SUBPROTOCOLS,
  type NamespaceOptions,
  type PresenceStore,
} from "@tungstate/hub";
import type { Logger } from "pino";
import { type MemoryBudget, WebSocketServer, type WebSocketServerOptions } from "tungstate";
import { guest } from "./guest.ts";
import type { ServePlan } from "./plan.ts";
import { LIVE } from "./live.ts";

export const HUB_PATH = "/connection/websocket";

const CLOSES_PER_MS = 1; // how fast sessions are sent away: all at once, they would all come back at once

const CHANNELS: NamespaceOptions = { history: { size: 1000, ttl: 3600_000 }, presence: true, joinLeave: true };

/** The namespace in which everybody may do everything. */
const PUBLIC: NamespaceOptions = {
  ...CHANNELS,
  subscribe: "anyone",
  publish: "anyone",
  readHistory: "anyone",
  readPresence: "anyone",
};

/** Who types in a public channel: the page tells it in `typing:lobby` of `public:lobby`. Nothing is kept. */
const TYPING: NamespaceOptions = { subscribe: "anyone", publish: "subscribers" };

/** Subscribing takes a subscription token; who has subscribed may publish. */
const WITH_TOKEN: NamespaceOptions = { ...CHANNELS, publish: "subscribers" };

/** Where a hub has its channels, if not in the memory of its process. */
export interface Stores {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  /** Why they can't be used at the moment, for anybody to read. */
  readonly unavailable: () => readonly string[];
}

export interface HubService {
  readonly hub: Hub;
  /** Of the route HUB_PATH. */
  readonly server: WebSocketServer;
  /** The HTTP API, where it is on. */
  readonly api: HttpApi | undefined;
  /** Ends all sessions, and then all connections, within `timeout` ms. */
  close(timeout: number): Promise<void>;
}

/** The hub of `tungstate serve`. Rejects where the stores can't be reached. */
export async function startHub(
  { tokenKeys, tokenAudience, tokenIssuer, apiKey, namespace, namespaces, hub: options }: ServePlan,
  websocket: WebSocketServerOptions & { readonly memoryBudget: MemoryBudget },
  log: Logger,
  stores: Stores | undefined,
): Promise<HubService> {
  const withToken = ["", ...namespace].map((name) => [name, WITH_TOKEN] as const);
  const claims = {
    ...(tokenAudience.length === 0 ? {} : { audience: tokenAudience }),
    ...(tokenIssuer.length === 0 ? {} : { issuer: tokenIssuer }),
  };
  const onError = (error: unknown): void => log.error({ err: error }, "hub");
  const hub = new Hub({
    name: "tungstate",
    anonymous: true,
    ...options,
    authenticate: guest,
    memoryBudget: websocket.memoryBudget,
    namespaces: { public: PUBLIC, typing: TYPING, live: LIVE, ...Object.fromEntries(withToken), ...namespaces },
    ...(tokenKeys.length === 0 ? {} : { tokens: createTokenVerifier({ keys: tokenKeys, ...claims, onError }) }),
    ...(stores === undefined ? {} : { broker: stores.broker, presence: stores.presence }),
    onConnect: ({ client, user }) => log.debug({ client, user }, "client connected"),
    onDisconnect: ({ client, user }, { code, reason }) =>
      log.debug({ client, user, code, reason }, "client disconnected"),
    onError,
  });
  await hub.start();
  const server = new WebSocketServer({
    ...websocket,
    maxMessageSize: hub.limits.messageSize,
    protocols: HUB_SUBPROTOCOLS,
  });
  server.on("connection", (socket, request) => void attachSocket(hub, socket, request));
  return {
    hub,
    server,
    api: apiKey.length === 0 ? undefined : createHttpApi(hub, { keys: apiKey }),
    async close(timeout) {
      const from = performance.now();
      await hub.close({ window: Math.min(timeout / 2, hub.metrics.connections / CLOSES_PER_MS) });
      await server.close(1001, "", Math.max(1, Math.ceil(timeout - (performance.now() - from))));
    },
  };
}
