import {
  attachSocket,
  type Broker,
  createHttpApi,
  createTokenVerifier,
  type HttpApi,
  Hub,
  HUB_SUBPROTOCOLS,
  MemoryBroker,
  MemoryEngine,
  type NamespaceOptions,
  type PresenceStore,
} from "@tungstate/hub";
import type { Logger } from "pino";
import { type MemoryBudget, WebSocketServer, type WebSocketServerOptions } from "tungstate";
import { anonymousCredentials } from "./anonymous.ts";
import type { ServeConfig } from "../settings/config.ts";
import { LIVE } from "./live-stats.ts";

export const HUB_PATH = "/connection/websocket";

// sessions closed per millisecond, so that clients do not all reconnect at once
const CLOSES_PER_MS = 1;

const CHANNELS: NamespaceOptions = { history: { size: 1000, ttl: 3600_000 }, presence: true, joinLeave: true };

/** The options of `public`, in which every client may do everything. */
const PUBLIC: NamespaceOptions = {
  ...CHANNELS,
  subscribe: "anyone",
  publish: "anyone",
  readHistory: "anyone",
  readPresence: "anyone",
};

/**
 * The options of `typing`. The web page publishes who is typing in `public:lobby` to
 * `typing:lobby`. Nothing is stored.
 */
const TYPING: NamespaceOptions = { subscribe: "anyone", publish: "subscribers" };

/**
 * The options of namespaces in which subscribing requires a subscription token and subscribers may
 * publish.
 */
const WITH_TOKEN: NamespaceOptions = { ...CHANNELS, publish: "subscribers" };

/** Where a hub stores channels and presence, if not in memory. */
export interface Stores {
  readonly broker: Broker;
  readonly presence: PresenceStore;
  /**
   * Returns why the stores cannot be used at the moment. `/health/ready` shows the texts to anyone.
   */
  readonly unavailable: () => readonly string[];
}

export interface HubService {
  readonly hub: Hub;
  /** Accepts connections for `HUB_PATH`. */
  readonly server: WebSocketServer;
  /** The HTTP API, if it is enabled. */
  readonly api: HttpApi | undefined;
  /** Ends all sessions, then closes all connections within `timeout` ms. */
  close(timeout: number): Promise<void>;
}

/** The broker of a hub without Redis, where its options differ from the hub's own broker. */
function memoryStores({ historyBytes }: ServeConfig, memoryBudget: MemoryBudget): { readonly broker?: Broker } {
  if (historyBytes === undefined) return {};
  return { broker: new MemoryBroker(new MemoryEngine({ historyBytes, memoryBudget })) };
}

/** Starts the hub of `tungstate serve`. Rejects if a store cannot be reached. */
export async function startHub(
  config: ServeConfig,
  websocket: WebSocketServerOptions & { readonly memoryBudget: MemoryBudget },
  log: Logger,
  stores: Stores | undefined,
): Promise<HubService> {
  const { tokenKeys, tokenAudience, tokenIssuer, tokenClockTolerance, apiKey, namespace, namespaces } = config;
  const { memoryBudget } = websocket;
  const withToken = ["", ...namespace].map((name) => [name, WITH_TOKEN] as const);
  const claims = {
    ...(tokenAudience.length === 0 ? {} : { audience: tokenAudience }),
    ...(tokenIssuer.length === 0 ? {} : { issuer: tokenIssuer }),
    ...(tokenClockTolerance === undefined ? {} : { clockTolerance: tokenClockTolerance }),
  };
  const onError = (error: unknown): void => log.error({ err: error }, "hub");
  const hub = new Hub({
    name: "tungstate",
    anonymous: true,
    ...config.hub,
    authenticate: anonymousCredentials,
    memoryBudget,
    namespaces: { public: PUBLIC, typing: TYPING, live: LIVE, ...Object.fromEntries(withToken), ...namespaces },
    ...(tokenKeys.length === 0 ? {} : { tokens: createTokenVerifier({ keys: tokenKeys, ...claims, onError }) }),
    ...(stores === undefined
      ? memoryStores(config, memoryBudget)
      : { broker: stores.broker, presence: stores.presence }),
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
