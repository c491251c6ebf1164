// What `close` waits for, and the state of a WebSocketServer after it.
import fastify from "fastify";
import express from "express";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server as HttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, type ListenOptions } from "node:net";
import { describe, test } from "node:test";
import { WebSocketServer as WsServer } from "ws";
import { connect } from "../../src/client/connect.ts";
import { acceptUpgrades, websocket as expressWebSocket } from "../../src/frameworks/express.ts";
import { websocket as fastifyWebSocket } from "../../src/frameworks/fastify.ts";
import type { HttpApp } from "../../src/server/http/app.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { ServerListenOptions } from "../../src/server/options.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { echo } from "../frameworks/support/apps.ts";
import { take } from "../support/connected.ts";
import { collectGarbage } from "../../../../scripts/testing/memory.mjs";
import { selfSigned } from "../support/pairs.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { end } from "../support/server.ts";

const page: RequestListener = (_request, response) => void response.end("page");

/** An application, with its own WebSockets at /theirs. */
interface Behind {
  readonly http: HttpApp;
  end(): Promise<unknown> | void;
}

/** The ways in which an HTTP application behind a port has WebSockets of another server. */
const OTHERS: Readonly<Record<string, () => Promise<Behind>>> = {
  "a WebSocketServer that is attached": async () => {
    const http = createServer(page);
    const theirs = new WebSocketServer().on("connection", echo).attach(http, { path: "/theirs" });
    return { http, end: () => end(theirs) };
  },
  "a WebSocketServer with a port of its own": async () => {
    const http = createServer(page);
    const theirs = new WebSocketServer({ path: "/theirs" }).on("connection", echo);
    await theirs.listen({ http });
    return { http, end: () => end(theirs) };
  },
  "upgrade listeners of another library": async () => {
    const http = createServer(page);
    const theirs = new WsServer({ noServer: true });
    theirs.on("connection", (client) => client.on("message", (data, binary) => client.send(data, { binary })));
    http.on("upgrade", (request, socket, head) => {
      if (request.url !== "/theirs") return;
      theirs.handleUpgrade(request, socket, head, (client) => theirs.emit("connection", client, request));
    });
    return {
      http,
      end: () => {
        for (const client of theirs.clients) client.terminate();
      },
    };
  },
  "routes of Fastify": async () => {
    const app = fastify();
    await app.register(fastifyWebSocket);
    app.get("/theirs", { wsHandler: echo }, () => "page");
    app.get("/page", () => "page");
    return {
      http: app,
      end: async () => {
        for (const connection of app.websocketServer.connections) connection.terminate();
        await app.close();
      },
    };
  },
  "routes of Express": async () => {
    const theirs = new WebSocketServer();
    const http = createServer(express().get("/theirs", expressWebSocket(theirs, echo)).use(page));
    acceptUpgrades(http);
    return { http, end: () => end(theirs) };
  },
};

const PORTS: readonly [name: string, where: ServerListenOptions, ca: string | undefined][] = [
  ["a plain port", {}, undefined],
  ["a port with TLS", { tls: selfSigned() }, selfSigned().cert],
];

async function listen(server: WebSocketServer, where: ListenOptions & ServerListenOptions): Promise<number> {
  return ((await server.listen(where)) as AddressInfo).port;
}

for (const [port, where, ca] of PORTS) {
  for (const [other, start] of Object.entries(OTHERS)) {
    for (const first of ["", "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"]) {
      const begun = first === "" ? "" : ", begun with another request";
      test(`close on ${port} does not wait for WebSockets of ${other}${begun}`, async (t) => {
        const behind = await start();
        t.after(() => behind.end());
        const clock = new VirtualClock(); // it stands still: no timeout ends a wait
        const ours = new WebSocketServer({ path: "/ours", clock, heartbeat: false });
        const to = { port: await listen(ours, { ...where, http: behind.http }) };
        const theirs = Raw.to(t, to, ca);
        if (first !== "") await theirs.send(first).until((got) => got.includes("page"));
        const before = theirs.received.length;
        theirs.send(upgradeRequest("/theirs"));
        await theirs.until((got) => got.includes("\r\n\r\n", before));
        const own = Raw.to(t, to, ca).send(upgradeRequest("/ours"));
        assert.equal((await own.head()).status, 101);
        const closing = ours.close();
        own.send(frame(8, Buffer.from([3, 232])));
        await closing;
        await own.gone();
        const answered = theirs.received.length;
        theirs.send(frame(TEXT, "still there"));
        await theirs.until((got) => got.length > answered);
        assert.match(theirs.received.toString("latin1", answered), /still there$/);
      });
    }
  }

  test(`each of two servers with ${port} behind one application closes only its own WebSockets`, async (t) => {
    const http = createServer(page);
    const clock = new VirtualClock();
    const servers = ["/a", "/b"].map((path) =>
      new WebSocketServer({ path, clock, heartbeat: false }).on("connection", echo),
    );
    for (const server of servers) t.after(() => end(server));
    const ports: number[] = [];
    for (const server of servers) ports.push(await listen(server, { ...where, http }));
    const url = (number: number, path: string): string =>
      `${ca === undefined ? "ws" : "wss"}://127.0.0.1:${ports[number]}${path}`;
    const open = (number: number, path: string) =>
      connect(url(number, path), { proxy: false, ...(ca === undefined ? {} : { tls: { ca } }) });
    // each over its own port, and over the other's
    const first = [await open(0, "/a"), await open(1, "/a")];
    const second = [await open(0, "/b"), await open(1, "/b")];
    await servers[0]?.close(1001, "the first");
    for (const client of first) assert.equal((await client.closed).reason, "the first");
    for (const client of second) {
      await client.send("hello");
      assert.deepEqual(await take(client, 1), ["hello"]);
    }
    await servers[1]?.close(1001, "the second");
    for (const client of second) assert.equal((await client.closed).reason, "the second");
  });
}

/** Returns whether a port of this host accepts connections. */
async function isOpen(port: number): Promise<boolean> {
  const socket = connectTcp(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const CLOSED = { name: "WebSocketError", code: "INVALID_STATE" };

/** What a server can listen on. */
const PLACES: Readonly<Record<string, (port: number) => ListenOptions & ServerListenOptions>> = {
  "a port": (port) => ({ port }),
  "a port of a host that has to be looked up": (port) => ({ port, host: "localhost" }),
  "a port with TLS": (port) => ({ port, tls: selfSigned() }),
  "a port with http": (port) => ({ port, http: page }),
  "a port with an application that is not ready": (port) => ({ port, http: fastify() }),
};

describe("listen", () => {
  for (const [place, where] of Object.entries(PLACES)) {
    test(`on ${place} fails after close`, async () => {
      const port = await freePort();
      for (const isWaitedFor of [false, true]) {
        const server = new WebSocketServer();
        const closing = server.close();
        if (isWaitedFor) await closing;
        await assert.rejects(server.listen(where(port)), { ...CLOSED, message: /is closed/ });
        await closing;
        assert.equal(await isOpen(port), false);
      }
    });

    test(`on ${place} fails if close is called meanwhile, and leaves no port open`, async (t) => {
      const port = await freePort();
      for (let wait = 0; wait < 4; wait++) {
        const server = new WebSocketServer();
        t.after(() => end(server));
        const listening = server.listen(where(port)).then(
          () => "listens",
          (error: { code: string }) => error.code,
        );
        for (let turn = 0; turn < wait; turn++) await new Promise((resolve) => setImmediate(resolve));
        await server.close();
        const outcome = await listening;
        assert.ok(outcome === "INVALID_STATE" || (wait > 0 && outcome === "listens"), outcome);
        assert.equal(await isOpen(port), false);
      }
    });
  }

  test("of a server that is still closing connections fails as well", async (t) => {
    const server = new WebSocketServer({ heartbeat: false });
    t.after(() => end(server));
    const port = await listen(server, {});
    const client = Raw.to(t, { port }).send(upgradeRequest());
    await client.head();
    const closing = server.close();
    await assert.rejects(server.listen(), CLOSED);
    client.send(frame(8, Buffer.from([3, 233])));
    await closing;
    await assert.rejects(server.listen(), CLOSED);
  });
});

const HTTP_SERVERS: Readonly<Record<string, () => { http: HttpServer; tls: ServerListenOptions }>> = {
  "node:http": () => ({ http: createServer(page), tls: {} }),
  "node:http behind TLS": () => ({ http: createServer(page), tls: { tls: selfSigned() } }),
  "node:https": () => ({ http: createHttpsServer(selfSigned(), page), tls: { tls: selfSigned() } }),
};

describe("a server given as http that never listened itself", () => {
  for (const [name, make] of Object.entries(HTTP_SERVERS)) {
    test(`of ${name} emits no close when the ports in front of it close`, async (t) => {
      const { http, tls } = make();
      let closes = 0;
      http.on("close", () => closes++);
      for (let round = 0; round < 2; round++) {
        const server = new WebSocketServer();
        t.after(() => end(server));
        const port = await listen(server, { http, ...tls });
        await listen(server, { http, ...tls });
        const raw = Raw.to(t, { port }, "tls" in tls ? selfSigned().cert : undefined);
        await raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").until((got) => got.includes("page"));
        await server.close();
        await raw.gone();
        await new Promise((resolve) => setImmediate(resolve));
        assert.equal(closes, 0);
      }
      await once(http.listen(0, "127.0.0.1"), "listening");
      http.close();
      await once(http, "close");
      assert.equal(closes, 1, "its own");
    });
  }

  test("keeps nothing alive after the ports are closed", async () => {
    const used = async (): Promise<WeakRef<HttpServer>> => {
      const http = createServer(page);
      const server = new WebSocketServer();
      await server.listen({ http });
      await server.close();
      return new WeakRef(http);
    };
    const servers = [await used(), await used(), await used()];
    await collectGarbage();
    assert.ok(servers.filter((server) => server.deref() !== undefined).length <= 1);
  });
});
