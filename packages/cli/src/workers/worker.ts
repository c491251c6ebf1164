// Entry point of a worker process of `tungstate serve --workers N`, forked by the primary.
import cluster from "node:cluster";
import { Socket } from "node:net";
import type { Message } from "tungstate";
import { type App, type Siblings, startApp } from "../server/app.ts";
import type { Stores } from "../server/hub.ts";
import { openLog, type ServeLog } from "../logging/logger.ts";
import type { ServeConfig } from "../settings/config.ts";
import { openStores } from "../server/stores.ts";
import type { PrimaryCalls, Shared, WorkerCalls } from "./calls.ts";
import { Link } from "./link.ts";
import { type ConnectionMessage, pipeToPrimary } from "./pipe.ts";
import { RemoteBroker, RemotePresenceStore } from "./remote-stores.ts";

const FLUSH_TIMEOUT = 500; // ms for writing the last log lines if stderr is not read

let app: App | undefined;
let log: ServeLog | undefined;
let onBroadcast: (type: Message["type"], bytes: Uint8Array) => void = () => undefined;
let onBroadcastLoss: () => void = () => undefined;
const broker = new RemoteBroker(() => link);

const calls: WorkerCalls = {
  ...broker.deliveries,
  start,
  broadcast: (type, bytes) => onBroadcast(type, bytes),
  lost({ publications, broadcasts }) {
    if (publications) broker.interrupted();
    if (broadcasts) onBroadcastLoss();
  },
  ping: () => undefined,
  offer: () => undefined,
  ownMetrics: () => started().ownMetrics(),
  setCertificate: (certificate) => started().setCertificate(certificate),
  stopListening: () => app?.stopListening(),
  async close(timeout) {
    await app?.close(timeout);
    await log?.flush(FLUSH_TIMEOUT);
    // send the reply before exiting
    setImmediate(() => setImmediate(() => process.exit()));
  },
};
const link: Link<PrimaryCalls> = new Link(pipeToPrimary(), { ...calls });

// Terminals and service managers signal all processes; the primary decides what to do.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.on("message", (message: unknown, socket: unknown) => {
  if (!isConnection(message)) return;
  link.note("confirm", message.id);
  // without a handle: the primary process has dropped the connection meanwhile
  if (!(socket instanceof Socket)) return;
  if (app === undefined) socket.destroy();
  else app.accept(socket);
});
// a worker without its primary would run unattended
process.once("disconnect", () => process.exit());

async function start(config: ServeConfig, { ticketKeys, presenceTtl }: Shared): Promise<string> {
  log = openLog(config.logLevel, { worker: cluster.worker?.id ?? 0 });
  const here: Stores = {
    broker,
    presence: new RemotePresenceStore(() => link, presenceTtl),
    unavailable: () => (link.isTaking ? [] : ["the primary process does not answer"]),
  };
  const stores = (await openStores(config, log.logger)) ?? here;
  const siblings: Siblings = {
    ticketKeys: Buffer.from(ticketKeys),
    broadcast: ({ type, bytes }) => link.call("broadcast", type, bytes),
    onBroadcast: (listener) => void (onBroadcast = listener),
    onBroadcastLoss: (listener) => void (onBroadcastLoss = listener),
    ownMetrics: () => link.call("allMetrics"),
  };
  app = await startApp({ config, log, stores, siblings });
  return app.url;
}

function isConnection(message: unknown): message is ConnectionMessage {
  return typeof message === "object" && message !== null && "type" in message && message.type === "connection";
}

function started(): App {
  if (app === undefined) throw new Error("the worker has not been started");
  return app;
}
