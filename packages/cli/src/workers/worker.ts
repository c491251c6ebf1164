// One of the processes of `tungstate serve --workers N`, forked by the primary, which tells it everything.
import cluster from "node:cluster";
import type { Message } from "tungstate";
import { type App, type Siblings, startApp } from "../app.ts";
import type { Stores } from "../hub.ts";
import { openLog, type ServeLog } from "../logging/logger.ts";
import type { ServePlan } from "../plan.ts";
import { openStores } from "../stores.ts";
import type { PrimaryCalls, Shared, WorkerCalls } from "./calls.ts";
import { Link } from "./link.ts";
import { pipeToPrimary } from "./pipe.ts";
import { RemoteBroker, RemotePresenceStore } from "./remote-stores.ts";

const LAST_LINES = 500; // ms for the last log lines, where nobody reads them

let app: App | undefined;
let log: ServeLog | undefined;
let hear: (type: Message["type"], bytes: Uint8Array) => void = () => undefined;
let hearLoss: () => void = () => undefined;
const broker = new RemoteBroker(() => link);

const calls: WorkerCalls = {
  ...broker.deliveries,
  start,
  broadcast: (type, bytes) => hear(type, bytes),
  lost({ publications, broadcasts }) {
    if (publications) broker.interrupted();
    if (broadcasts) hearLoss();
  },
  ping: () => undefined,
  figures: () => started().figures(),
  setCertificate: (certificate) => started().setCertificate(certificate),
  stopListening: () => app?.stopListening(),
  async close(timeout) {
    await app?.close(timeout);
    await log?.flush(LAST_LINES);
    // the answer leaves first
    setImmediate(() => setImmediate(() => process.exit()));
  },
};
const link: Link<PrimaryCalls> = new Link(pipeToPrimary(), { ...calls });

// The terminal and the system send these to all processes; what follows from them is the primary's to say.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
// without it nobody would end this process, or tell it of others
process.once("disconnect", () => process.exit());

async function start(plan: ServePlan, { ticketKeys, presenceTtl }: Shared): Promise<string> {
  log = openLog(plan.logLevel, { worker: cluster.worker?.id ?? 0 });
  const here: Stores = {
    broker,
    presence: new RemotePresenceStore(() => link, presenceTtl),
    unavailable: () => (link.isTaking ? [] : ["the primary process does not answer"]),
  };
  const stores = (await openStores(plan, log.logger)) ?? here;
  const siblings: Siblings = {
    ticketKeys: Buffer.from(ticketKeys),
    broadcast: ({ type, bytes }) => link.call("broadcast", type, bytes),
    onBroadcast: (listener) => void (hear = listener),
    onBroadcastLoss: (listener) => void (hearLoss = listener),
    figures: () => link.call("allFigures"),
  };
  app = await startApp({ plan, log, stores, siblings });
  return app.url;
}

function started(): App {
  if (app === undefined) throw new Error("the worker has not been started");
  return app;
}
