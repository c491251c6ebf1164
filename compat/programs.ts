// The programs whose use of ws is tested, and their versions.
import type { RunResult } from "./run.ts";

export interface Program {
  readonly name: string;
  /** What the scenario covers, for the table. */
  readonly covers: string;
  /** Its packages and their versions. The first one gives the version in the table. */
  readonly packages: Readonly<Record<string, string>>;
  /** A file of `scenarios/`, or a package whose own test files run. */
  readonly run: { readonly scenario: string } | { readonly testsOf: string };
  /** Whether it also runs in `npm test`, with the packages that are installed there. */
  readonly short?: boolean;
  /** Requirements besides the packages. */
  readonly needs?: "chromium";
}

const SOCKET_IO = { "socket.io": "4.8.4", "socket.io-client": "4.8.4" };
const FASTIFY = { fastify: "5.12.8" };

export const PROGRAMS: readonly Program[] = [
  {
    name: "Socket.IO",
    covers:
      "server and client, websocket only: acknowledgements, binary data, rooms, recovery, compression; also by `wsEngine`",
    packages: SOCKET_IO,
    run: { scenario: "socket.io.mjs" },
    short: true,
  },
  {
    name: "graphql-ws",
    covers: "server and client: queries, subscriptions, refusal by close code",
    packages: { "graphql-ws": "6.4.2", graphql: "16.11.0" },
    run: { scenario: "graphql-ws.mjs" },
    short: true,
  },
  {
    name: "MQTT.js and Aedes",
    covers: "QoS 0 to 2, 1 MiB, retained messages, reconnecting; Aedes over `createWebSocketStream`",
    packages: { mqtt: "5.16.0", aedes: "1.2.0" },
    run: { scenario: "mqtt.mjs" },
  },
  {
    name: "@fastify/websocket",
    covers: "routes, hooks, `maxPayload`, `injectWS`",
    packages: { "@fastify/websocket": "11.3.7", ...FASTIFY },
    run: { scenario: "fastify-websocket.mjs" },
    short: true,
  },
  {
    name: "@fastify/websocket",
    covers: "the test files of its npm package",
    packages: { "@fastify/websocket": "11.3.7", ...FASTIFY, split2: "4.2.0" },
    run: { testsOf: "@fastify/websocket" },
    short: true,
  },
  {
    name: "@nestjs/platform-ws",
    covers: "gateways on two paths, replies, broadcast, refusal",
    packages: {
      "@nestjs/platform-ws": "11.1.6",
      "@nestjs/websockets": "11.1.6",
      "@nestjs/core": "11.1.6",
      "@nestjs/common": "11.1.6",
      "@nestjs/platform-express": "11.1.6",
      "reflect-metadata": "0.2.2",
      rxjs: "7.8.2",
    },
    run: { scenario: "nestjs.mjs" },
  },
  {
    name: "tRPC",
    covers: "adapter and client: queries, mutations, subscriptions, keep-alive, reconnecting",
    packages: { "@trpc/server": "11.25.2", "@trpc/client": "11.25.2" },
    run: { scenario: "trpc.mjs" },
    short: true,
  },
  {
    name: "Hocuspocus, y-websocket",
    covers: "two providers edit a Yjs document; awareness; y-websocket's provider",
    packages: {
      "@hocuspocus/server": "3.4.4",
      "@hocuspocus/provider": "3.4.4",
      "y-websocket": "3.1.0",
      "y-protocols": "1.0.6",
      yjs: "13.6.33",
    },
    run: { scenario: "hocuspocus.mjs" },
  },
  {
    name: "puppeteer-core",
    covers: "Chromium over its DevTools socket: pages, 4 MB in both directions, screenshots",
    packages: { "puppeteer-core": "24.43.1" },
    run: { scenario: "puppeteer.mjs" },
    needs: "chromium",
  },
  {
    name: "@fastify/http-proxy",
    covers: "proxied messages, subprotocols, pings, close codes",
    packages: { "@fastify/http-proxy": "11.6.3", ...FASTIFY },
    run: { scenario: "http-proxy.mjs" },
  },
];

/** Returns the programs whose name or scenario contains one of the parts, all without parts. */
export function selectPrograms(parts: readonly string[]): readonly Program[] {
  const text = ({ name, run }: Program): string => `${name} ${JSON.stringify(run)}`.toLowerCase();
  return PROGRAMS.filter(
    (program) => parts.length === 0 || parts.some((part) => text(program).includes(part.toLowerCase())),
  );
}

export interface Row {
  readonly program: Program;
  readonly version: string;
  readonly results: ReadonlyMap<string, RunResult>;
}
