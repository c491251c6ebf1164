// Each limit one below, at and one above its value, on each route. SECURITY.md shows the result.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { WebSocketServerOptions } from "../../src/server/options.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { selfSigned } from "../support/pairs.ts";
import { type Raw, upgradeRequest } from "../support/raw.ts";
import { type Cleanup, type Route, routes, RouteServer } from "../support/routes.ts";
import { end, turns } from "../support/server.ts";

const LIMIT = 3;
const MAX_HEAD_SIZE = 16 * 1024;
const MAX_HEADERS = 100;

/** What a client that comes last sees. */
async function outcome(raw: Raw): Promise<string> {
  await raw.until((got) => got.includes("\r\n\r\n"));
  return /^HTTP\/1\.1 (\d+)/.exec(raw.received.toString("latin1"))?.[1] ?? "closed";
}

async function last(t: Cleanup, served: RouteServer, request = upgradeRequest()): Promise<string> {
  // a connection may be refused before TLS
  const raw = await served.raw(t).catch(() => undefined);
  return raw === undefined ? "closed" : await outcome(raw.send(request));
}

/** Waits until the server has counted this many connections that are no WebSockets yet. */
async function counted(served: RouteServer, count: number): Promise<void> {
  while ((served.server?.stats.handshakes ?? count) < count) await turns(1);
}

/** A limit: its options, and what happens with `difference` more than it allows. */
interface Limit {
  readonly title: string;
  readonly options: WebSocketServerOptions;
  run(t: Cleanup, served: RouteServer, difference: number): Promise<string>;
}

const silent: Limit["run"] = async (t, served, difference) => {
  const others: Raw[] = [];
  while (others.length < LIMIT + difference - 1) {
    others.push(await served.raw(t));
    await counted(served, others.length);
  }
  const result = await last(t, served);
  for (const { stream } of others) stream.destroy(); // the server waits for them
  return result;
};

/** Calls of `authorize`. */
let asked = 0;
const waits = {
  authorize: () => {
    asked++;
    return new Promise<boolean>(() => undefined);
  },
};

const LIMITS: readonly Limit[] = [
  {
    title: "`maxHeadSize`",
    options: {},
    run(t, served, difference) {
      const size = MAX_HEAD_SIZE + difference;
      const empty = upgradeRequest("/", { X: "" }).length;
      return last(t, served, upgradeRequest("/", { X: "x".repeat(size - empty) }));
    },
  },
  {
    title: "`maxHeaders`",
    options: {},
    run(t, served, difference) {
      const present = upgradeRequest().split("\r\n").length - 3;
      const more = Array.from({ length: MAX_HEADERS + difference - present }, (_, index) => [`X-${index}`, "x"]);
      return last(t, served, upgradeRequest("/", Object.fromEntries(more) as Record<string, string>));
    },
  },
  {
    title: "`maxHandshakes`, in `authorize`",
    options: { ...waits, maxHandshakes: LIMIT },
    async run(t, served, difference) {
      const others: Raw[] = [];
      const before = asked;
      while (others.length < LIMIT + difference - 1) {
        others.push((await served.raw(t)).send(upgradeRequest()));
        // a connection whose request has not been read could be refused in place of the last one
        while (asked - before < others.length) await turns(1);
      }
      // a connection may be refused before TLS
      const raw = await served.raw(t).catch(() => undefined);
      if (raw === undefined) return "closed";
      raw.send(upgradeRequest());
      // one with a place gets no response yet
      while (raw.received.length === 0 && !raw.ended && asked - before < LIMIT + difference) await turns(1);
      const result = raw.received.length === 0 && !raw.ended ? "waits" : await outcome(raw);
      for (const { stream } of [...others, raw]) stream.destroy(); // the server waits for them
      return result;
    },
  },
  { title: "`maxHandshakes`, silent", options: { maxHandshakes: LIMIT }, run: silent },
  {
    title: "`maxConnections`",
    options: { maxConnections: LIMIT },
    async run(t, served, difference) {
      for (let count = 1; count < LIMIT + difference; count++) assert.equal(await last(t, served), "101");
      return await last(t, served);
    },
  },
  {
    title: "`maxConnectionsPerAddress`",
    options: { maxConnectionsPerAddress: LIMIT },
    async run(t, served, difference) {
      for (let count = 1; count < LIMIT + difference; count++) assert.equal(await last(t, served), "101");
      return await last(t, served);
    },
  },
  { title: "the same, silent", options: { maxConnectionsPerAddress: LIMIT }, run: silent },
];

async function withHttp(t: Cleanup, options: WebSocketServerOptions, secure: boolean): Promise<RouteServer> {
  const server = new WebSocketServer(options);
  t.after(() => end(server));
  const http = createServer((_request, response) => response.end("page"));
  const { port } = (await server.listen({ http, ...(secure ? { tls: selfSigned() } : {}) })) as AddressInfo;
  return new RouteServer(port, server, secure);
}

const ALL: readonly Route[] = [
  ...routes.filter(({ name }) => name !== "accept"),
  { name: "a port with `http`", start: (t, options = {}) => withHttp(t, options, false) },
  { name: "a port with `http` and TLS", start: (t, options = {}) => withHttp(t, options, true) },
];

test("each limit holds on each route, as SECURITY.md says", async (t) => {
  const rows: string[][] = [["route", ...LIMITS.map(({ title }) => title)]];
  for (const { name, start } of ALL) {
    const row = [name];
    for (const limit of LIMITS) {
      if (name === "handleUpgrade" && limit.run === silent) {
        row.push("node:http"); // which has the connection until it emits `upgrade`
        continue;
      }
      const cells: string[] = [];
      for (const difference of [-1, 0, 1]) {
        await t.test(`${name}, ${limit.title}, ${difference}`, async (each) => {
          const served = await start(each, limit.options);
          const result = await limit.run(each, served, difference);
          cells.push(result);
          // every refusal is reported, once
          if (/^(?:[45]|closed)/.test(result)) {
            await served.until(() => served.refused.length > 0);
            await turns(5);
            // the other clients of `run` may be gone already
            const codes = served.refused.map(({ code }) => code).filter((code) => code !== "REQUEST_LOST");
            assert.equal(codes.length, 1, codes.join());
          } else assert.deepEqual(served.refused, []);
        });
      }
      row.push(cells.join(", "));
    }
    rows.push(row);
  }
  const security = readFileSync(new URL("../../../../SECURITY.md", import.meta.url), "utf8");
  const from = security.indexOf("### Limits on each route");
  const table = security
    .slice(from)
    .split("\n")
    .filter((line) => line.startsWith("|"));
  const shown = table.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const expected = shown.filter((_, index) => index !== 1).slice(0, rows.length);
  assert.deepEqual(expected, rows, rows.map((row) => `| ${row.join(" | ")} |`).join("\n"));
});
