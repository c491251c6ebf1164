import { availableParallelism } from "node:os";
import type { LoadOptions } from "./load/run.ts";
import { connectionLimit } from "./runner/machine.ts";
import type { PeerName } from "./runner/peers.ts";

/**
 * What a row compares: messages/s, server CPU per message, milliseconds of a burst, KB per
 * connection, p99 of the latency.
 */
export type Metric = "rate" | "cpuUs" | "ms" | "kb" | "p99Us";

/** Minimum or maximum of Tungstate's value divided by the peer's. */
export type Floor = { readonly atLeast: number } | { readonly atMost: number };

export interface Row {
  readonly name: string;
  readonly title: string;
  /** The value that ratios compare. */
  readonly metric: Metric;
  readonly load: LoadOptions;
  /**
   * Factor of the warm-up time relative to an echo; rarely executed code is compiled late. Default
   * 1.
   */
  readonly slowToWarm?: number;
  readonly deflate?: boolean;
  readonly tls?: boolean;
  /** How connections reach the server. Default: its own port. */
  readonly route?: ServerRoute;
  /** `transfer`: the echo of Tungstate is written with this option. Default: default options. */
  readonly option?: "transfer";
  /** For idle rows: the number of connections to measure, and the number before them. */
  readonly idle?: { readonly from: number; readonly to: number };
  /** Number of worker processes by node:cluster. Default: one, without node:cluster. */
  readonly workers?: number;
  readonly floors?: Partial<Record<PeerName, Floor>>;
  /** The plot to which the row contributes a point. */
  readonly point?: { readonly plot: PlotName; readonly x: number };
}

/**
 * Ways into a server. `attach`: node:http, or node:https with `tls`. ws is always attached, and
 * uWebSockets.js always has a port of its own.
 */
export type ServerRoute = "attach" | "fastify" | "serve";

export type PlotName = "connections" | "bytes" | "subscribers";

export const PLOTS: Readonly<Record<PlotName, { readonly title: string; readonly x: string }>> = {
  connections: { title: "Echo of 64 B, 1 in flight on each connection", x: "connections" },
  bytes: { title: "Echo, 4 connections, 2 in flight on each", x: "bytes in a message" },
  subscribers: { title: "Broadcast of 64 B, 4 in flight", x: "subscribers" },
};

const floorsOf = (ws: Floor, uws?: Floor): NonNullable<Row["floors"]> => ({
  ws,
  ...(uws === undefined ? {} : { uws, "uws-latest": uws }),
});
const atLeast = (ws: number, uws: number): NonNullable<Row["floors"]> => floorsOf({ atLeast: ws }, { atLeast: uws });
const atMost = (ws: number, uws?: number): NonNullable<Row["floors"]> =>
  floorsOf({ atMost: ws }, uws === undefined ? undefined : { atMost: uws });

const echo = (name: string, title: string, load: Omit<LoadOptions, "mode">, floors?: Row["floors"]): Row => ({
  name,
  title: `echo, ${title}`,
  metric: "rate",
  load: { mode: "echo", path: "/echo", ...load },
  ...(floors === undefined ? {} : { floors }),
});

const broadcast = (name: string, title: string, load: Omit<LoadOptions, "mode">, floors?: Row["floors"]): Row => ({
  name,
  title: `broadcast ${title}`,
  metric: "rate",
  load: { mode: "broadcast", path: "/broadcast", ...load },
  ...(floors === undefined ? {} : { floors }),
});

const idle = (name: string, connections: number): Row => ({
  name,
  title: `KB per idle connection of ${connections.toLocaleString("en")}, after one message each`,
  metric: "kb",
  load: { mode: "idle", path: "/echo", bytes: 64 },
  idle: { from: connections / 10, to: Math.min(connections, connectionLimit().connections) },
  floors: atMost(0.5),
});

/** Rows that run by default. */
const EVERYDAY: readonly Row[] = [
  echo("echo-1", "100 connections, 64 B, 1 in flight", { connections: 100, bytes: 64, depth: 1 }, atLeast(1.6, 1)),
  echo("echo-32", "100 connections, 64 B, 32 in flight", { connections: 100, bytes: 64, depth: 32 }, atLeast(15, 1.5)),
  echo(
    "echo-text",
    "100 connections, 1 KiB of text, 8 in flight",
    { connections: 100, bytes: 1024, depth: 8, type: "text" },
    atLeast(5, 1.2),
  ),
  echo("echo-utf8", "100 connections, 1 KiB of text beyond ASCII, 8 in flight", {
    connections: 100,
    bytes: 1024,
    depth: 8,
    type: "utf8",
  }),
  echo(
    "echo-64k",
    "8 connections, 64 KiB, 4 in flight",
    { connections: 8, bytes: 65_536, depth: 4 },
    atLeast(1.8, 0.95),
  ),
  echo(
    "echo-1m",
    "2 connections, 1 MiB, 2 in flight",
    { connections: 2, bytes: 1_048_576, depth: 2 },
    atLeast(1.5, 0.95),
  ),
  {
    ...echo("transfer-64k", "with `transfer`, 8 connections, 64 KiB, 4 in flight", {
      connections: 8,
      bytes: 65_536,
      depth: 4,
    }),
    option: "transfer",
  },
  {
    ...echo("transfer-1m", "with `transfer`, 2 connections, 1 MiB, 2 in flight", {
      connections: 2,
      bytes: 1_048_576,
      depth: 2,
    }),
    option: "transfer",
  },
  broadcast("broadcast-64", "to 1,000, 64 B, 4 in flight", { connections: 1000, bytes: 64, depth: 4 }, atLeast(6, 1)),
  broadcast(
    "broadcast-1k",
    "to 100, 1 KiB, 32 in flight",
    { connections: 100, bytes: 1024, depth: 32 },
    atLeast(12, 1.5),
  ),
  {
    name: "burst",
    title: "burst: 100,000 x 100 B requested and read on one connection",
    metric: "ms",
    load: { mode: "burst", path: "/burst", count: 100_000, bytes: 100, times: 9 },
    floors: atMost(0.08, 1),
  },
  {
    ...echo("fairness", "99 connections, 64 B, 1 in flight, while another one has 4,096 in flight: p99 of the 99", {
      connections: 100,
      bytes: 64,
      depth: 1,
      floods: 1,
      flooddepth: 4096,
    }),
    metric: "p99Us",
  },
  {
    name: "handshakes",
    title: "new connection, one exchange of 64 B, close; 32 at a time",
    metric: "cpuUs",
    slowToWarm: 3,
    load: { mode: "handshakes", path: "/echo", connections: 32, bytes: 64 },
    floors: atMost(0.5),
  },
  idle("idle-5k", 5000),
  idle("idle-20k", 20_000),
  {
    ...echo(
      "echo-tls",
      "TLS, 100 connections, 64 B, 1 in flight",
      { connections: 100, bytes: 64, depth: 1 },
      atLeast(1.8, 0.9),
    ),
    tls: true,
  },
  {
    ...echo(
      "echo-tls-64k",
      "TLS, 8 connections, 64 KiB, 4 in flight",
      { connections: 8, bytes: 65_536, depth: 4 },
      atLeast(1.3, 0.9),
    ),
    tls: true,
  },
  {
    ...echo("deflate-echo", "compressed, 100 connections, 465 B of JSON, 1 in flight", {
      connections: 100,
      bytes: 465,
      depth: 1,
      type: "json",
    }),
    metric: "cpuUs",
    deflate: true,
    floors: atMost(1 / 5, 1 / 1.05),
  },
  {
    ...broadcast("deflate-broadcast", "compressed to 500, 465 B of JSON, 4 in flight", {
      connections: 500,
      bytes: 465,
      depth: 4,
      type: "json",
    }),
    metric: "cpuUs",
    deflate: true,
    floors: atMost(3 / 50, 0.3),
  },
  {
    name: "deflate-idle",
    title: "KB per connection after one compressed message, 1,500 connections",
    metric: "kb",
    load: { mode: "idle", path: "/echo", bytes: 465, type: "json" },
    idle: { from: 100, to: 1600 },
    deflate: true,
    floors: atMost(0.04),
  },
  {
    name: "deflate-idle-10k",
    title: "KB per connection after one compressed message, 10,000 connections",
    metric: "kb",
    load: { mode: "idle", path: "/echo", bytes: 465, type: "json" },
    idle: { from: 1000, to: 11_000 },
    deflate: true,
  },
];

/** The same rows on the ways into a server that users have, with default options. */
const ROUTES: readonly Row[] = [
  ...onRoute("attach", "`attach` to node:http", { route: "attach" }),
  ...onRoute("fastify", "Fastify", { route: "fastify" }),
  ...onRoute("serve", "`tungstate serve`", { route: "serve" }),
  {
    ...variant("broadcast-64", "serve", "`tungstate serve`", { route: "serve" }),
    load: { mode: "broadcast", path: "/ws", connections: 1000, bytes: 64, depth: 4 },
  },
  variant("deflate-echo", "serve", "`tungstate serve`", { route: "serve" }),
  variant("deflate-idle", "serve", "`tungstate serve`", { route: "serve" }),
  ...["echo-tls", "echo-tls-64k"].map((name) => variant(name, "https", "`attach` to node:https", { route: "attach" })),
  ...[
    variant("handshakes", "tls", "`listen({ tls })`", { tls: true }),
    variant("handshakes", "https", "`attach` to node:https", { tls: true, route: "attach" }),
  ].map((row): Row => ({ ...row, floors: atMost(0.9) })),
];

function onRoute(prefix: string, title: string, change: Partial<Row>): readonly Row[] {
  return ["echo-1", "echo-32", "echo-64k", "echo-1m", "handshakes", "idle-5k", "idle-20k"].map((name) =>
    variant(name, prefix, title, change),
  );
}

/** Returns an everyday row on another route. */
function variant(name: string, prefix: string, title: string, change: Partial<Row>): Row {
  const row = EVERYDAY.find((each) => each.name === name);
  if (row === undefined) throw new Error(`expected an everyday row, got ${name}`);
  return { ...row, ...change, name: `${prefix}-${name}`, title: `${title}: ${row.title}` };
}

const GROWTH: readonly Row[] = [
  ...[1, 10, 100, 1000, 10_000, Math.min(20_000, connectionLimit().connections)].map((x): Row => {
    const title = `${x.toLocaleString("en")} connections, 64 B, 1 in flight`;
    return {
      ...echo(`connections-${x}`, title, { connections: x, bytes: 64, depth: 1 }),
      point: { plot: "connections", x },
    };
  }),
  ...Array.from({ length: 11 }, (_, step): Row => {
    const x = 16 * 4 ** Math.min(step, 10);
    const title = `4 connections, ${x.toLocaleString("en")} B, 2 in flight`;
    return { ...echo(`bytes-${x}`, title, { connections: 4, bytes: x, depth: 2 }), point: { plot: "bytes", x } };
  }),
  ...[1, 10, 100, 1000, 10_000].map((x): Row => {
    const title = `to ${x.toLocaleString("en")}, 64 B, 4 in flight`;
    return {
      ...broadcast(`subscribers-${x}`, title, { connections: x, bytes: 64, depth: 4 }),
      point: { plot: "subscribers", x },
    };
  }),
];

/**
 * Much work for the server and little for the load generator, which shares the cores with the
 * workers.
 */
export const WORKERS_WORK = "echo, compressed, 100 connections, 465 B of JSON, 16 in flight";

const WORKERS: readonly Row[] = workerCounts(availableParallelism()).map((workers) => ({
  name: `workers-${workers}`,
  title: `${WORKERS_WORK}, ${workers} workers`,
  metric: "rate",
  load: { mode: "echo", path: "/echo", connections: 100, bytes: 465, depth: 16, type: "json" },
  deflate: true,
  workers,
}));

/** 1, 2, 4, ... and the number of cores. */
export function workerCounts(cores: number): readonly number[] {
  const doubled = Array.from({ length: 32 }, (_, power) => 2 ** power);
  return [...doubled.filter((count) => count < cores), cores];
}

/** Names for several rows. */
const GROUPS: Readonly<Record<string, readonly Row[]>> = {
  all: [...EVERYDAY, ...ROUTES, ...GROWTH, ...WORKERS],
  everyday: EVERYDAY,
  routes: ROUTES,
  growth: GROWTH,
  workers: WORKERS,
  compressed: EVERYDAY.filter((row) => row.deflate === true),
  tls: EVERYDAY.filter((row) => row.tls === true),
  quick: EVERYDAY.filter((row) => ["echo-1", "echo-32", "broadcast-1k", "burst"].includes(row.name)),
};

/** Parses names of rows or groups, separated by commas. */
export function selectRows(list: string): readonly Row[] {
  const rows = new Set<Row>();
  for (const name of list.split(",")) {
    const found = GROUPS[name] ?? GROUPS["all"]?.filter((row) => row.name === name) ?? [];
    if (found.length === 0) {
      const names = [...Object.keys(GROUPS), ...[...EVERYDAY, ...ROUTES].map((row) => row.name)].join(", ");
      throw new Error(`expected some of ${names}; got ${name}`);
    }
    for (const row of found) rows.add(row);
  }
  return [...rows];
}
