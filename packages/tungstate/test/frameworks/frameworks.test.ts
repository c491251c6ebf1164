import assert from "node:assert/strict";
import { type ClientRequest, get, type IncomingMessage, type RequestOptions } from "node:http";
import { after, before, describe, test } from "node:test";
import { HandshakeRejectedError } from "../../src/client/client.ts";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";
import { frame, Raw, TEXT, upgradeRequest } from "../support/raw.ts";
import { turns } from "../support/server.ts";
import { until } from "../support/until.ts";
import { type App, COOKIES, echo, FRAMEWORKS, GREETING, REFUSAL } from "./support/apps.ts";

for (const framework of FRAMEWORKS) {
  describe(framework.name, () => {
    let app: App;
    const ws = (path: string): string => `ws://127.0.0.1:${app.port}${path}`;
    const http = (path: string): string => `http://127.0.0.1:${app.port}${path}`;
    before(async () => (app = await framework.start()));
    after(() => app.close());

    test("the handler of a route receives the connection", async () => {
      const connection = await connect(ws("/echo"));
      await connection.send("one");
      await connection.send(Uint8Array.of(1, 2));
      assert.deepEqual(await take(connection, 2), ["one", Buffer.of(1, 2)].map(plain));
      assert.equal((await connection.close()).code, 1000);
    });

    test("bytes directly after the request are the first message", async (t) => {
      const raw = Raw.to(t, app).send(upgradeRequest("/echo"), frame(TEXT, "early"));
      assert.equal((await raw.head()).status, 101);
      assert.deepEqual(await raw.frames(1), [{ opcode: TEXT, payload: Buffer.from("early") }]);
    });

    for (const path of ["/greet", "/slow"]) {
      test(`${path}: hooks run before the upgrade, and the handler has their results`, async () => {
        const connection = await connect(ws(path), { headers: { authorization: "alice" } });
        assert.deepEqual(await take(connection, 1), [`${GREETING}, alice`]);
        await connection.close();
      });

      test(`${path}: response fields of hooks are in the 101, except those about a body`, async (t) => {
        const raw = Raw.to(t, app).send(upgradeRequest(path, { authorization: "alice" }));
        const { status, headers } = await raw.head();
        assert.equal(status, 101);
        assert.equal(headers["x-hook"], "ran");
        for (const cookie of COOKIES)
          assert.match(raw.received.toString("latin1"), new RegExp(`^set-cookie: ${cookie}\r$`, "im"));
        for (const name of Object.keys(headers)) assert.doesNotMatch(name, /^content-|^transfer-encoding$/);
      });

      test(`${path}: a reply of a hook rejects the upgrade`, async (t) => {
        await assert.rejects(connect(ws(path)), (error) => {
          assert.ok(error instanceof HandshakeRejectedError);
          assert.equal(error.response.status, 401);
          return true;
        });
        const answer = await Raw.to(t, app).send(upgradeRequest(path)).answer();
        assert.equal(answer.status, 401);
        assert.equal(answer.headers.connection, "close");
        assert.equal(answer.rest.toString(), REFUSAL);
      });
    }

    test("a route without an upgrade answers 426", async () => {
      const { response, body } = await request(http("/echo"));
      assert.equal(response.statusCode, 426);
      assert.equal(response.headers.upgrade, "websocket");
      assert.match(String(response.headers.connection), /upgrade/i);
      assert.doesNotMatch(body, /Error/);
    });

    test("one path serves pages and WebSockets", async (t) => {
      for (const method of ["GET", "HEAD"]) {
        const { response, body } = await request(http("/both"), { method });
        assert.deepEqual([response.statusCode, body], [200, method === "GET" ? "page" : ""]);
      }
      const raw = Raw.to(t, app).send("GET /both HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await raw.until((got) => got.toString("latin1").endsWith("page"));
      // on the same connection
      const before = raw.received.length;
      raw.send(upgradeRequest("/both"));
      const all = await raw.until((got) => got.includes("\r\n\r\n", before));
      assert.match(all.toString("latin1", before), /^HTTP\/1\.1 101 /);
      const connection = await connect(ws("/both"));
      await connection.send("one");
      assert.deepEqual(await take(connection, 1), ["one"]);
      await connection.close();
    });

    if (framework.name !== "node:http") {
      test("hooks that run when the head is written also run for the 101", async () => {
        const connection = await connect(ws("/late"));
        assert.equal(connection.headers.get("x-late"), "ran");
        await connection.send("one");
        assert.deepEqual(await take(connection, 1), ["one"]);
        await connection.close();
      });

      test("hooks that run after each response also run after the 101", async () => {
        app.finished.length = 0;
        const connection = await connect(ws("/echo"));
        await connection.close();
        assert.deepEqual(app.finished, ["101 /echo"]);
      });
    }

    if (framework.name === "Fastify" || framework.name === "Hono") {
      test("a late response of a hook rejects the upgrade", async (t) => {
        const answer = await Raw.to(t, app).send(upgradeRequest("/late?refuse")).answer();
        assert.equal(answer.status, 403);
        assert.match(answer.rest.toString(), /too late/);
      });
    }

    test("other routes are unchanged", async () => {
      const { response, body } = await request(http("/plain"));
      assert.equal(response.statusCode, 200);
      assert.equal(body, "plain");
    });

    test("an upgrade of an unknown path is answered with 404", async (t) => {
      assert.equal((await Raw.to(t, app).send(upgradeRequest("/nobody")).answer()).status, 404);
    });

    test("an invalid handshake, or one from another origin, is rejected", async (t) => {
      const noKey = upgradeRequest("/echo", { "Sec-WebSocket-Key": undefined });
      assert.equal((await Raw.to(t, app).send(noKey).answer()).status, 400);
      const foreign = upgradeRequest("/echo", { Origin: "http://elsewhere.example" });
      assert.equal((await Raw.to(t, app).send(foreign).answer()).status, 403);
    });

    test("an error of a handler closes with 1011, and is reported", async () => {
      const connection = await connect(ws("/fail"));
      assert.equal((await connection.closed).code, 1011);
      assert.deepEqual(app.errors.map(String), ["Error: on purpose"]);
    });

    test("a client that disconnects during the hooks has no effect", async (t) => {
      const release = app.slow.hold();
      const raw = Raw.to(t, app).send(upgradeRequest("/slow", { authorization: "alice" }));
      await until(() => app.slow.waiting === 1);
      raw.stream.destroy();
      await raw.gone();
      await turns(2); // the server has read that
      release();
      const connection = await connect(ws("/slow"), { headers: { authorization: "bob" } });
      assert.deepEqual(await take(connection, 1), [`${GREETING}, bob`]);
      await connection.close();
    });

    test("a WebSocketServer that is attached besides keeps its path", async () => {
      const beside = new WebSocketServer().on("connection", echo).attach(app.http, { path: "/beside" });
      const connection = await connect(ws("/beside"));
      await connection.send("here");
      assert.deepEqual(await take(connection, 1), ["here"]);
      await beside.close();
      assert.equal((await connection.closed).code, 1001);
    });
  });

  test(`${framework.name}: a hook that never answers does not keep a connection`, async (t) => {
    const app = await framework.start({ upgradeTimeout: 100 });
    const raw = Raw.to(t, app).send(upgradeRequest("/stuck"));
    await raw.gone();
    assert.doesNotMatch(raw.received.toString("latin1"), /101/);
    await app.close();
  });

  test(`${framework.name}: closing closes all connections with 1001`, async () => {
    const app = await framework.start();
    const connections = await Promise.all([1, 2].map(() => connect(`ws://127.0.0.1:${app.port}/echo`)));
    const [infos] = await Promise.all([Promise.all(connections.map(({ closed }) => closed)), app.close()]);
    assert.deepEqual(
      infos.map(({ code }) => code),
      [1001, 1001],
    );
  });
}

function plain(data: string | Uint8Array): string | Uint8Array {
  return typeof data === "string" ? data : new Uint8Array(data);
}

/** Without keep-alive, so that the server can close. */
async function request(
  url: string,
  options: RequestOptions = {},
): Promise<{ readonly response: IncomingMessage; readonly body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked: ClientRequest = get(url, { ...options, agent: false }, resolve);
    asked.on("error", reject);
  });
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += String(chunk);
  return { response, body };
}
