// One of the processes of `tungstate serve --workers N`, forked by the primary, which tells it everything.
import cluster from "node:cluster";
import type { Message } from "tungstate";
import { type App, type Siblings, startApp } from "../app.ts";
import type { Stores } from "../hub.ts";
import { openLog, type ServeLog } from "../logging/logger.ts";
import type { ServePlan } from "../plan.ts";
import { openStores } from "../stores.ts";
import type { PrimaryCalls, Shared, WorkerCalls } from "./calls.ts";
import { toPrimary } from "./channels.ts";
import { Link } from "./link.ts";
import { RemoteBroker, RemotePresenceStore } from "./remote-stores.ts";

const LAST_LINES = 500; // ms for the last log lines, where nobody reads them

let app: App | undefined;
let log: ServeLog | undefined;
let hear: (type: Message["type"], bytes: Uint8Array) => void = () => undefined;
const broker = new RemoteBroker(() => link);

const calls: WorkerCalls = {
  ...broker.deliveries,
  start,
  broadcast: (type, bytes) => hear(type, bytes),
  figures: () => started().figures(),
  setCertificate: (certificate) => started().setCertificate(certificate),
  stopListening: () => app?.stopListening(),
  async close(timeout) {
    await app?.close(timeout);
    await log?.flush(LAST_LINES);
    // the answer leaves first
    setImmediate(() => setImmediate(() => process.disconnect()));
  },
};
const link: Link<PrimaryCalls> = new Link(toPrimary(), { ...calls });

// what node:cluster is sent before somebody listens is lost
link.note("loaded");

// The terminal and the system send these to all processes; what follows from them is the primary's to say.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
// without it nobody would end this process, or tell it of others
process.once("disconnect", () => process.exit());

async function start(plan: ServePlan, { ticketKeys, presenceTtl }: Shared): Promise<string> {
  log = openLog(plan.logLevel, { worker: cluster.worker?.id ?? 0 });
  const here: Stores = { broker, presence: new RemotePresenceStore(() => link, presenceTtl), unavailable: () => [] };
  const stores = (await openStores(plan, log.logger)) ?? here;
  const siblings: Siblings = {
    ticketKeys: Buffer.from(ticketKeys),
    broadcast: ({ type, bytes }) => link.call("broadcast", type, bytes),
    onBroadcast: (listener) => void (hear = listener),
    onBroadcastLoss: () => undefined,
    figures: () => link.call("allFigures"),
  };
  app = await startApp({ plan, log: log.logger, stores, siblings });
  return app.url;
}

function started(): App {
  if (app === undefined) throw new Error("the worker has not been started");
  return app;
}
