// Run in a network namespace of its own. Opens connections on all routes whose readers take
// nothing, fills their queues, removes the network, and prints how each connection has ended.
import { execFileSync } from "node:child_process";
import type { WebSocketConnection } from "../../../src/connection/types.ts";
import { reconnecting } from "../../../src/reconnecting/reconnecting.ts";
import { type Cleanup, routes, type RouteServer } from "../../support/routes.ts";
import { turns } from "../../support/server.ts";

/** What the program prints for each connection. */
export interface Ended {
  readonly name: string;
  /** State after several heartbeats, while the host of the peer was there. */
  readonly before: string;
  readonly code: string | undefined;
}

const OPTIONS = {
  heartbeat: { interval: 100, timeout: 300 },
  receiveQueueSize: 1000,
  readAheadSize: 10_000,
} as const;
const PEER = { heartbeat: false, closeTimeout: 1 } as const;
const CHUNK = Buffer.alloc(48 * 1024);
const PINGS = 5; // while nothing is read

interface Case {
  readonly name: string;
  readonly state: () => string;
  readonly bytesReceived: () => number;
  readonly peer: WebSocketConnection;
  readonly end: Promise<string | undefined>;
}

const ends: (() => unknown)[] = [];
const cleanup: Cleanup = { after: (end) => void ends.push(end) };
const cases: Case[] = [];

function add(name: string, connection: WebSocketConnection, peer: WebSocketConnection): void {
  const end = connection.closed.then(({ error }) => error?.code);
  cases.push({
    name,
    state: () => connection.state,
    bytesReceived: () => connection.stats.bytesReceived,
    peer,
    end,
  });
}

/** The server's end of the next connection of a server. */
async function next(server: RouteServer, before: number): Promise<WebSocketConnection> {
  await server.until(() => server.accepted.length > before);
  const peer = server.accepted[before];
  if (peer === undefined) throw new Error("it was waited for");
  return peer;
}

/** Fills a connection's queue, and waits for pings of its heartbeat while nothing is read. */
async function fill({ peer, bytesReceived }: Case): Promise<void> {
  peer.on("message", () => undefined);
  while (peer.bufferedAmount < 1024 * 1024) {
    peer.write(CHUNK);
    await turns(1);
  }
  for (let pings = 0, before = -1; pings < PINGS;) {
    await new Promise<void>((resolve) => peer.once("ping", () => resolve()));
    pings = before === bytesReceived() ? pings + 1 : 0;
    before = bytesReceived();
  }
}

execFileSync("ip", ["link", "set", "lo", "up"]);
for (const route of routes) {
  const server = await route.start(cleanup, OPTIONS);
  const peer = await server.connect(PEER);
  add(`server: ${route.name}`, await next(server, 0), peer);
}
for (const [index, name] of [
  [0, "connect to ws:"],
  [1, "connect to wss:"],
] as const) {
  const server = await routes[index]?.start(cleanup, PEER);
  if (server === undefined) throw new Error("there is no such route");
  add(name, await server.connect(OPTIONS), await next(server, 0));
}
{
  const server = await routes[0]?.start(cleanup, PEER);
  if (server === undefined) throw new Error("there is no such route");
  const connection = reconnecting(server.url, { proxy: false, ...OPTIONS });
  ends.push(() => connection.terminate());
  const end = new Promise<string | undefined>((resolve) => {
    connection.on("waiting", ({ after }) => resolve(after.type === "closed" ? after.info.error?.code : after.type));
  });
  await connection.ready();
  cases.push({
    name: "reconnecting",
    state: () => connection.state,
    bytesReceived: () => connection.stats.bytesReceived,
    peer: await next(server, 0),
    end,
  });
}
await Promise.all(cases.map(fill));
const before = cases.map(({ state }) => state());
execFileSync("ip", ["link", "set", "lo", "down"]);
const codes = await Promise.all(cases.map(({ end }) => end));
const ended: Ended[] = cases.map(({ name }, at) => ({ name, before: before[at] ?? "", code: codes[at] }));
process.stdout.write(`${JSON.stringify(ended)}\n`, () => process.exit());
