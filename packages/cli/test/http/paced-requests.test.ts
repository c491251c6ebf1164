// Pipelined requests are passed to node:http in slices, after the previous ones were answered.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { WebSocketServer } from "tungstate";
import { createPacedServer } from "../../src/http/server.ts";
import { selfSigned } from "../support/certificate.ts";

const MAX_IN_SLICE = 32;

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

const folder = mkdtempSync(join(tmpdir(), "tungstate-paced-"));
after(() => rmSync(folder, { recursive: true }));
const certificate = selfSigned(folder);

for (const scheme of ["http", "https"] as const) {
  const serve = async (t: TestContext, listener: Listener): Promise<HttpServer | HttpsServer> => {
    const server = createPacedServer(listener, scheme === "https" ? certificate : undefined, undefined);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return server;
  };
  const open = async (server: HttpServer | HttpsServer): Promise<Socket> => {
    const { port } = server.address() as AddressInfo;
    const socket =
      scheme === "https"
        ? connectTls({ port, host: "127.0.0.1", ca: certificate.cert, servername: "localhost" })
        : connectTcp(port, "127.0.0.1");
    await once(socket, scheme === "https" ? "secureConnect" : "connect");
    return socket.on("error", () => undefined);
  };
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  /** Reads until `enough` accepts everything received. */
  const read = async (socket: Socket, enough: (text: string) => boolean): Promise<string> => {
    let text = "";
    socket.setEncoding("latin1");
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      text += chunk;
      if (enough(text)) break;
    }
    return text;
  };
  const bodiesIn = (text: string): readonly string[] =>
    [...text.matchAll(/\r\n\r\n\[([^\]]*)\]/g)].map(([, body = ""]) => body);
  const answer: Listener = (request, response) => void response.end(`[${request.url}]`);

  describe(`a paced server, ${scheme}`, () => {
    test("answers thousands of pipelined requests in order, over many ticks", async (t) => {
      let ticks = 0;
      let isCounted = false;
      const server = await serve(t, (request, response) => {
        if (!isCounted) {
          isCounted = true;
          ticks++;
          setImmediate(() => (isCounted = false));
        }
        answer(request, response);
      });
      const socket = await open(server);
      const count = 4000;
      socket.write(Array.from({ length: count }, (_, index) => get(`/${index}`)).join(""));
      const text = await read(socket, (all) => all.endsWith(`[/${count - 1}]`));
      assert.deepEqual(
        bodiesIn(text),
        Array.from({ length: count }, (_, index) => `/${index}`),
      );
      // two chunks of 64 KiB; node:http would parse each at once
      assert.ok(ticks > 4, `${ticks} ticks`);
    });

    test("serves other connections between the requests of one", async (t) => {
      const order: string[] = [];
      const server = await serve(t, (request, response) => {
        order.push(request.url ?? "");
        answer(request, response);
      });
      const [many, one] = [await open(server), await open(server)];
      many.write(get("/many").repeat(2000));
      await once(many, "data");
      one.write(get("/one"));
      await read(one, (all) => all.includes("[/one]"));
      assert.ok(order.indexOf("/one") < 2000 && order.includes("/one"), `behind ${order.indexOf("/one")} others`);
    });

    test("parses at most one slice ahead while a request is unanswered", async (t) => {
      const waiting: ServerResponse[] = [];
      const server = await serve(t, (request, response) => {
        if (request.url === "/slow") waiting.push(response);
        else answer(request, response);
      });
      const socket = await open(server);
      socket.write(get("/slow").repeat(1000));
      while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
      // bytes that arrive later stay in the socket
      socket.write(get("/late"));
      const other = await open(server);
      other.write(get("/other"));
      await read(other, (all) => all.includes("[/other]"));
      assert.ok(waiting.length <= MAX_IN_SLICE, `${waiting.length} requests at a time`);
      const all = read(socket, (text) => text.includes("[/late]"));
      let answered = 0;
      while (answered < 1000) {
        for (const response of waiting.splice(0)) {
          response.end("[/slow]");
          answered++;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(bodiesIn(await all).length, 1001);
    });

    test("passes on a body while its request is open, and keeps the bytes after it", async (t) => {
      const server = await serve(t, (request, response) => {
        let size = 0;
        request.on("data", (chunk: Buffer) => (size += chunk.length));
        request.on("end", () => response.end(`[${request.url} ${size}]`));
      });
      const socket = await open(server);
      const body = "a\nb\n".repeat(100_000);
      const post = `POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      socket.write(post + get("/between").repeat(100) + post + get("/last"));
      const text = await read(socket, (all) => all.includes("[/last"));
      const bodies = bodiesIn(text);
      assert.equal(bodies.length, 103);
      assert.deepEqual(
        [bodies[0], bodies[101], bodies[102]],
        [`/post ${body.length}`, `/post ${body.length}`, "/last 0"],
      );
    });

    test("sends all responses to a client that has ended its side", async (t) => {
      const server = await serve(t, answer);
      const socket = await open(server);
      socket.end(get("/x").repeat(500) + get("/last").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
      const text = await read(socket, () => false);
      assert.equal(bodiesIn(text).length, 501);
    });

    test("accepts a request that arrives byte by byte", async (t) => {
      const server = await serve(t, answer);
      const socket = await open(server);
      socket.setNoDelay(true);
      for (const byte of get("/slow")) {
        socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await read(socket, (all) => all.includes("[/slow]"));
    });

    test("answers any mix of requests, responses and chunks in order", async (t) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ body: fc.nat(5000), large: fc.boolean(), later: fc.nat(3) }), {
            minLength: 1,
            maxLength: 60,
          }),
          fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1 }),
          async (requests, pieces) => {
            const server = await serve(t, (request, response) => {
              const [, later = "", large = ""] = /later=(\d)&large=(\w+)/.exec(request.url ?? "") ?? [];
              let size = 0;
              request.on("data", (chunk: Buffer) => (size += chunk.length));
              request.on("end", () => {
                let ticks = Number(later);
                const wait = (): void => {
                  if (ticks-- > 0) setImmediate(wait);
                  else response.end(`[${size}]${large === "true" ? "x".repeat(100_000) : ""}`);
                };
                wait();
              });
            });
            const socket = await open(server);
            const bytes = requests
              .map(({ body, large, later }, index) => {
                const rest = body === 0 ? "" : `Content-Length: ${body}\r\n`;
                const method = body === 0 ? "GET" : "POST";
                return `${method} /${index}?later=${later}&large=${large} HTTP/1.1\r\nHost: a\r\n${rest}\r\n${"\n".repeat(body)}`;
              })
              .join("");
            const sent = (async () => {
              for (let at = 0, piece = 0; at < bytes.length; piece++) {
                const length = pieces[piece % pieces.length] ?? 1;
                socket.write(bytes.slice(at, at + length));
                at += length;
                await new Promise((resolve) => setImmediate(resolve));
              }
            })();
            let bodies: readonly string[] = [];
            await read(socket, (text) => (bodies = bodiesIn(text)).length === requests.length);
            await sent;
            assert.deepEqual(
              bodies,
              requests.map(({ body }) => String(body)),
            );
            socket.destroy();
            server.close();
          },
        ),
        { numRuns: 30 },
      );
    });

    for (const [title, before] of [
      ["first", ""],
      ["behind one request", get("/before")],
      ["behind many requests", get("/before").repeat(300)],
    ] as const) {
      test(`passes a handshake ${title} to its server, with all bytes after it`, async (t) => {
        const server = await serve(t, answer);
        const ws = new WebSocketServer();
        ws.attach(server);
        const received: number[] = [];
        const enough = new Promise<void>((resolve) => {
          ws.on("connection", (connection) => {
            connection.on("message", ({ size }) => {
              if (received.push(size) === 200) resolve();
            });
          });
        });
        t.after(() => ws.close(1001, "", 1));
        const socket = await open(server);
        const handshake =
          "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        // the mask is 0, so the frames contain line feeds
        const frame = Buffer.from([0x81, 0x80 | 10, 0, 0, 0, 0, ...Buffer.from("\n".repeat(10))]);
        socket.write(Buffer.concat([Buffer.from(before + handshake), ...Array.from({ length: 200 }, () => frame)]));
        await enough;
        assert.deepEqual(new Set(received), new Set([10]));
        socket.destroy();
      });
    }
  });
}
