// What attackers are made of.
import { connect as connectTcp, type Socket } from "node:net";
import { connect, type ConnectOptions, type WebSocketConnection } from "tungstate";
import type { Target } from "./attack.ts";

/**
 * Where the attackers come from: honest clients have another address, and so an allowance of their
 * own.
 */
const ADDRESS = "127.0.0.66";
/** The attackers' channel. */
export const CHANNEL = "public:abuse";
export const SUBSCRIBE = { subscribe: { channel: CHANNEL } } as const;
export const API_KEY = "a key of sixteen characters or more";

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `count` at a time, each of them again when it is over. */
export async function forever(count: number, run: (index: number) => Promise<unknown>): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      for (;;) {
        await run(index).catch(() => undefined);
        await sleep(10);
      }
    }),
  );
}

export async function ws(target: Target, path: string, options: ConnectOptions = {}): Promise<WebSocketConnection> {
  const url = target.url.replace("http", "ws") + path;
  return connect(url, { proxy: false, localAddress: ADDRESS, heartbeat: false, ...options });
}

/** A client of the hub. `command`: its connect command. */
export async function hubClient(
  target: Target,
  options: ConnectOptions = {},
  command: object = {},
): Promise<WebSocketConnection> {
  const socket = await ws(target, "/connection/websocket", options);
  socket.on("message", () => undefined);
  await socket.send(JSON.stringify({ id: 1, connect: command }));
  return socket;
}

/** Sends a frame again and again, and reads what comes. */
export async function flood(
  target: Target,
  frame: (round: number) => string,
  { first = [], ...options }: ConnectOptions & { readonly first?: readonly object[] } = {},
): Promise<void> {
  const socket = await hubClient(target, options);
  for (const [index, command] of first.entries()) await socket.send(JSON.stringify({ id: index + 2, ...command }));
  for (let round = 0; ; round++) await socket.send(frame(round));
}

export async function tcp({ port }: Target): Promise<Socket> {
  const socket = connectTcp({ port, host: "127.0.0.1", localAddress: ADDRESS });
  socket.on("error", () => undefined);
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("close", reject));
  return socket;
}

/** Writes a text again and again at the server's pace; what comes is dropped. */
export async function pour(target: Target, text: (round: number) => string | Buffer): Promise<void> {
  const socket = await tcp(target);
  socket.resume();
  for (let round = 0; !socket.destroyed; round++) {
    if (!socket.write(text(round))) await drained(socket);
  }
}

/** Resolves when a socket takes more, or has ended. */
export function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}

/** Writes a text, and waits for the end of the connection. */
export async function say(target: Target, text: string | Buffer): Promise<void> {
  const socket = await tcp(target);
  socket.resume();
  socket.write(text);
  await new Promise((resolve) => socket.once("close", resolve));
}

/** A handshake as a text, with more header fields. */
export function handshake(path: string, ...fields: readonly string[]): string {
  const head = [
    `GET ${path} HTTP/1.1`,
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...fields,
  ];
  return `${head.join("\r\n")}\r\n\r\n`;
}

/** Bytes of masked frames with a key of zeros, each with the payload. */
export function frames(opcode: number, payload: string, count: number): Buffer {
  const bytes = Buffer.from(payload);
  const one = Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
  return Buffer.concat(Array.from({ length: count }, () => one));
}

/** Fills a channel with publications of 60 KB, as fast as one client may. */
export const fill = (target: Target, channel = CHANNEL): Promise<void> =>
  flood(target, (round) => JSON.stringify({ id: round + 2, publish: { channel, data: "x".repeat(60_000) } }));
