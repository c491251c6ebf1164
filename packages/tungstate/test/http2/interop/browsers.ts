import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CloseInfo, type WebSocketConnection, WebSocketServer } from "../../../src/index.ts";
import { BROWSERS, openPage } from "../../browser/support/programs.ts";
import { CLOSE, respond, SERVER_CODE } from "./exchange.ts";
import type { Certificate } from "./servers.ts";

const PAGE_CODE = 4103;
const PATIENCE = 90_000; // ms, for a browser that does not start

/**
 * The script of the page. The page itself came by HTTP/2, so a session is there whose SETTINGS
 * announced WebSockets. Odd sockets are closed by the page, even ones by the server.
 */
async function page(url: string, sockets: number, close: string, code: number): Promise<void> {
  const one = (index: number): Promise<unknown> =>
    new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      const received: unknown[] = [];
      const text = "compressible ".repeat(4096);
      socket.onopen = () => {
        socket.send(`text ${index}`);
        socket.send(new Uint8Array(70_000).fill(index));
        socket.send(text);
      };
      socket.onmessage = ({ data }: { data: unknown }) => {
        if (typeof data === "string") received.push(data === text ? "compressed" : data);
        else
          received.push([
            (data as ArrayBuffer).byteLength,
            new Uint8Array(data as ArrayBuffer).every((byte) => byte === index),
          ]);
        if (received.length < 3) return;
        if (index % 2 === 1) socket.close(code, "from the page");
        else socket.send(close);
      };
      socket.onclose = ({ code: got, reason, wasClean }) => {
        resolve({ received, extensions: socket.extensions, code: got, reason, wasClean });
      };
    });
  const results = await Promise.all(Array.from({ length: sockets }, (_, index) => one(index)));
  await fetch("/results", { method: "POST", body: JSON.stringify(results) });
}

/** How a browser accepts the certificate of the server. */
function program(name: string, port: () => number, { cert }: Certificate): Parameters<typeof openPage>[0] {
  const base = BROWSERS[name];
  assert.ok(base, name);
  return {
    ...base,
    arguments(profile, url) {
      if (name !== "Firefox") return ["--ignore-certificate-errors", "--disable-quic", ...base.arguments(profile, url)];
      const row = ["OID.2.16.840.1.101.3.4.2.1", new X509Certificate(cert).fingerprint256, ""].join("\t");
      writeFileSync(join(profile, "cert_override.txt"), `localhost:${port()}:\t${row}\n`);
      return base.arguments(profile, url);
    },
  };
}

/**
 * Opens a page with these sockets in a browser, and checks both ends: one HTTP/2 session, messages,
 * compression, and close codes in both directions.
 */
export async function browser(name: string, sockets: number, certificate: Certificate): Promise<string> {
  let finish!: (results: string) => void;
  let fail!: (error: Error) => void;
  const finished = new Promise<string>((resolve, reject) => ([finish, fail] = [resolve, reject]));
  const server = new WebSocketServer({ path: "/socket", compression: true });
  const connections: WebSocketConnection[] = [];
  const closed: Promise<CloseInfo>[] = [];
  server.on("connection", (connection) => {
    connections.push(connection);
    closed.push(connection.closed);
    respond(connection);
  });
  const http = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.method !== "POST") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      const args = JSON.stringify([`wss://localhost:${port}/socket`, sockets, CLOSE, PAGE_CODE]).slice(1, -1);
      response.end(
        `<!doctype html><title>test</title><script>globalThis.__name = (f) => f; (${page.toString()})(${args})</script>`,
      );
      return;
    }
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      response.end();
      finish(body);
    });
  };
  const address = await server.listen({ host: "127.0.0.1", tls: certificate, http2: true, http });
  const port = typeof address === "object" ? address.port : 0;
  const timer = setTimeout(() => fail(new Error(`${name} sent no results in ${PATIENCE / 1000} s`)), PATIENCE);
  try {
    await using _page = openPage(
      program(name, () => port, certificate),
      `https://localhost:${port}/`,
    );
    const results = JSON.parse(await finished) as readonly { extensions: string }[];
    results.forEach(({ extensions, ...rest }, index) => {
      assert.match(extensions, /^permessage-deflate/);
      const received = [`text ${index}`, [70_000, true], "compressed"];
      const [code, reason] = index % 2 === 1 ? [PAGE_CODE, ""] : [SERVER_CODE, "from the server"];
      assert.deepEqual(rest, { received, code, reason, wasClean: true });
    });
    assert.equal(results.length, sockets);
    assert.equal(connections.length, sockets);
    assert.deepEqual(new Set(connections.map(({ route }) => route?.httpVersion)), new Set(["2"]));
    assert.equal(new Set(connections.map(({ route }) => route?.session)).size, 1);
    const infos = await Promise.all(closed);
    assert.ok(infos.every(({ clean }) => clean));
    const fromPage = infos.filter(({ code, reason }) => code === PAGE_CODE && reason === "from the page");
    assert.equal(fromPage.length, Math.floor(sockets / 2));
    return `${sockets} sockets on 1 HTTP/2 session`;
  } finally {
    clearTimeout(timer);
    await server.close();
  }
}
