import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { connect as connectTcp, type Socket } from "node:net";
import { dirname, join } from "node:path";
import process from "node:process";
import { connect, type WebSocketConnection, WebSocketServer } from "tungstate";
import {
  CHEAP_LINES,
  comingsAndGoings,
  fullFrame,
  hundredHistories,
  hundredPresences,
  newNames,
  paddedPublication,
} from "../catalogue/support/attacks.ts";

/** Where the attackers come from: honest clients have another address, and so an allowance of their own. */
const ADDRESS = "127.0.0.66";
const CHANNEL = "public:abuse";
const BIN = join(dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")), "bin", "tungstate.js");

export interface Target {
  readonly url: string;
  readonly port: number;
}

export interface Attack {
  readonly name: string;
  readonly what: string;
  /** Of `tungstate serve`, beside its defaults. */
  readonly args?: readonly string[];
  /** Nobody reads its stderr. */
  readonly unread?: true;
  /** One of the workers is stopped (SIGSTOP). */
  readonly stops?: true;
  /** Goes on until its process is ended. */
  readonly run: (target: Target) => Promise<void>;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** So many at a time, each begun again when it is over. */
async function forever(count: number, run: (index: number) => Promise<unknown>): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      for (;;) {
        await run(index).catch(() => undefined);
        await sleep(10);
      }
    }),
  );
}

async function ws(target: Target, path: string): Promise<WebSocketConnection> {
  return connect(target.url.replace("http", "ws") + path, { proxy: false, localAddress: ADDRESS, heartbeat: false });
}

async function hubClient(target: Target): Promise<WebSocketConnection> {
  const socket = await ws(target, "/connection/websocket");
  socket.on("message", () => undefined);
  await socket.send(JSON.stringify({ id: 1, connect: {} }));
  return socket;
}

/** Sends a frame again and again, and reads what comes. */
async function flood(target: Target, frame: (round: number) => string, first: readonly object[] = []): Promise<void> {
  const socket = await hubClient(target);
  for (const [index, command] of first.entries()) await socket.send(JSON.stringify({ id: index + 2, ...command }));
  for (let round = 0; ; round++) await socket.send(frame(round));
}

async function tcp({ port }: Target): Promise<Socket> {
  const socket = connectTcp({ port, host: "127.0.0.1", localAddress: ADDRESS });
  socket.on("error", () => undefined);
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("close", reject));
  return socket;
}

/** Writes a text again and again at the server's pace; what comes is dropped. */
async function pour(target: Target, text: (round: number) => string | Buffer): Promise<void> {
  const socket = await tcp(target);
  socket.resume();
  for (let round = 0; !socket.destroyed; round++) {
    if (!socket.write(text(round)))
      await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
  }
}

/** Fills the channel with 60 KB each, as fast as it may. */
const fill = (target: Target, channel = CHANNEL): Promise<void> =>
  flood(target, (round) => JSON.stringify({ id: round + 2, publish: { channel, data: "x".repeat(60_000) } }));

const subscribe = { subscribe: { channel: CHANNEL } };

export const ATTACKS: readonly Attack[] = [
  {
    name: "history",
    what: "100 history commands in a frame, not read; a channel of 60 KB each",
    run: async (target) => {
      void forever(1, () => fill(target));
      await forever(20, async () => {
        const socket = await hubClient(target);
        await socket.send(JSON.stringify({ id: 2, ...subscribe }));
        socket.pause();
        for (let round = 0; round < 20; round++) await socket.send(hundredHistories(CHANNEL));
        await sleep(1_000);
        socket.terminate();
      });
    },
  },
  {
    name: "presence",
    what: "100 presence commands in a frame, of a channel with 300 clients",
    run: async (target) => {
      for (let index = 0; index < 300; index++) {
        const socket = await hubClient(target);
        await socket.send(JSON.stringify({ id: 2, ...subscribe }));
      }
      await forever(5, () => flood(target, () => hundredPresences(CHANNEL), [subscribe]));
    },
  },
  {
    name: "padded publications",
    what: "16 characters in a frame of 64 KB",
    run: (target) => forever(5, () => flood(target, (round) => paddedPublication(CHANNEL, round + 2))),
  },
  {
    name: "new names",
    what: "a publication each to names that nobody uses again",
    run: (target) => forever(5, (index) => flood(target, (round) => newNames(500, (index * 1e6 + round) * 500))),
  },
  {
    name: "refusals",
    what: "refused handshakes, while nobody reads stderr",
    unread: true,
    run: (target) =>
      forever(20, async () => {
        const socket = await tcp(target);
        socket.end(
          "GET /ws HTTP/1.1\r\nHost: a\r\nOrigin: http://elsewhere.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        socket.resume();
        await new Promise((resolve) => socket.once("close", resolve));
      }),
  },
  {
    name: "hung worker",
    what: "SIGSTOP of one of two workers, and messages of 100 KB to /ws",
    args: ["--workers", "2"],
    stops: true,
    run: (target) =>
      forever(2, async () => {
        const socket = await ws(target, "/ws");
        socket.on("message", () => undefined);
        for (;;) {
          await socket.send("x".repeat(100_000));
          await sleep(20);
        }
      }),
  },
  {
    name: "bodies without a key",
    what: "150 connections that send bodies of API calls",
    args: ["--api-key", "a key of sixteen characters or more"],
    run: (target) => {
      const piece = Buffer.alloc(64 * 1024, 0x20);
      const head = "POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n";
      return forever(150, () => pour(target, (round) => (round === 0 ? head : piece)));
    },
  },
  {
    name: "pipelined requests",
    what: "GET /health, /metrics and / without waiting for the responses",
    run: (target) =>
      forever(6, (index) =>
        pour(target, () => `GET ${["/health", "/metrics", "/"][index % 3]} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(1_000)),
      ),
  },
  {
    name: "slow recovery",
    what: "clients that missed megabytes, and read slowly",
    run: async (target) => {
      void forever(1, () => fill(target));
      await forever(10, async () => {
        const socket = await ws(target, "/connection/websocket");
        await socket.send(`${JSON.stringify({ id: 1, connect: {} })}\n${JSON.stringify({ id: 2, ...subscribe })}`);
        for await (const _ of socket) await sleep(60);
      });
    },
  },
  {
    name: "comings and goings",
    what: "480 × (subscribe, unsubscribe) in a frame, 200 subscribers",
    run: async (target) => {
      for (let index = 0; index < 200; index++) {
        const socket = await hubClient(target);
        await socket.send(JSON.stringify({ id: 2, ...subscribe }));
      }
      await forever(5, () => flood(target, () => comingsAndGoings(CHANNEL, 480)));
    },
  },
  {
    name: "cheap lines",
    what: "frames full of commands that there are not",
    run: (target) => {
      const frames = Object.values(CHEAP_LINES).map(fullFrame);
      return forever(frames.length, (index) => flood(target, () => frames[index] ?? ""));
    },
  },
  {
    name: "connect",
    what: "a server that sends tungstate connect 60 MiB of U+0001 in 61 KB",
    run: async () => {
      const server = new WebSocketServer({ compression: true });
      server.on("connection", (socket) => {
        socket.on("message", () => undefined);
        void socket.send("\u0001".repeat(60 * 1024 * 1024)).then(() => socket.close(1000));
      });
      const address = await server.listen({ port: 0 });
      const port = typeof address === "object" ? address.port : 0;
      // it is watched as the server is
      const args = [...process.execArgv.filter((each) => each.includes("watch.mjs")), BIN, "connect", "--compress"];
      await forever(1, async () => {
        const child = spawn(process.execPath, [...args, `ws://127.0.0.1:${port}/`], {
          stdio: ["pipe", "pipe", "ignore"],
        });
        child.stdout.resume();
        await new Promise((resolve) => child.once("close", resolve));
      });
    },
  },
];
