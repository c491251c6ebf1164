import { createServer } from "node:http";
import type { Duplex } from "node:stream";
import { memoryPipe } from "tungstate/testing";
import { WebSocketServer } from "ws";
import { REFUSED_HERE, REFUSED_THERE } from "../differences.ts";
import { requestHead } from "../generate/heads.ts";
import { check, type Target } from "../target.ts";
import { serverResult } from "./handshakes.ts";

const theirs = new WebSocketServer({
  noServer: true,
  perMessageDeflate: true,
  handleProtocols: (protocols) => [...protocols][0] ?? false,
});
const http = createServer((_, response) => response.writeHead(426).end());
http.on("upgrade", (request, socket, head) =>
  theirs.handleUpgrade(request, socket, head, (connection) => connection.on("error", () => undefined).terminate()),
);

/** Returns the status with which ws answers behind node:http; 0: none. */
async function theirStatus(bytes: Uint8Array): Promise<number> {
  const [near, far] = memoryPipe();
  let got = "";
  near.on("data", (chunk: Buffer) => (got += chunk.toString("latin1")));
  near.on("error", () => undefined);
  far.on("error", () => undefined);
  const over = new Promise((resolve) => near.once("close", resolve).once("end", resolve));
  http.emit("connection", asSocket(far));
  near.write(bytes);
  near.end();
  await over;
  near.destroy();
  far.destroy();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(got.replace(/^HTTP\/1\.1 100 [^]*?\r\n\r\n/, ""))?.[1] ?? 0);
}

/** Methods of a socket that node:http calls in addition to those of a Duplex. */
function asSocket(stream: Duplex): Duplex {
  const self = (): Duplex => stream;
  return Object.assign(stream, { setTimeout: self, setNoDelay: self, setKeepAlive: self, ref: self, unref: self });
}

/** Returns the name of the row why ws decides differently, or undefined if it decides the same. */
export async function compareRequests(input: Uint8Array): Promise<string | undefined> {
  const ours = serverResult(input, [input.length]);
  if (ours.text === "more") return undefined;
  const status = await theirStatus(input);
  if (ours.accepted === (status === 101)) return undefined;
  if (ours.code !== undefined) {
    check(REFUSED_HERE[ours.code] !== undefined, () => `${ours.code} here, ${status} by ws`);
    return ours.code;
  }
  const request = Buffer.from(input).toString("latin1");
  const known = REFUSED_THERE.find(({ is }) => is({ request, theirs: status }));
  check(known !== undefined, () => `accepted here, ${status} by ws: ${JSON.stringify(request)}`);
  return known.name;
}

export const requestsVsWs: Target = {
  name: "requests-vs-ws",
  about: "requests in both: accepted and rejected as by ws behind node:http, or a listed difference",
  inputs: 30_000,
  generate: requestHead,
  run: async (input) => void (await compareRequests(input)),
};
