import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { describe, test } from "node:test";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { memoryPipe } from "../../src/testing/memory-pipe.ts";
import { VirtualClock } from "../../src/testing/virtual-clock.ts";
import { client } from "../../src/client/client.ts";
import { CLOSE, closePayload, Raw, upgradeRequest } from "../support/raw.ts";
import { end, serve, turns } from "../support/server.ts";
import { memoryInUse } from "../../../../scripts/testing/memory.mjs";

describe("maxConnections", () => {
  test("more get 503 with Retry-After; a released place is used", async (t) => {
    const served = await serve(t, { maxConnections: 2 });
    const [first] = await served.pair();
    await served.pair();
    const answer = await Raw.to(t, served).send(upgradeRequest()).answer();
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "5"]);
    assert.equal(served.refused[0]?.code, "SERVER_FULL");
    await first.close();
    while (served.server.connections.size > 1) await turns(1);
    await served.pair();
  });

  test("0 admits no one", async (t) => {
    const served = await serve(t, { maxConnections: 0 });
    assert.equal((await Raw.to(t, served).send(upgradeRequest()).answer()).status, 503);
  });

  test("handshakes in progress count", async (t) => {
    const answers: ((decision: boolean) => void)[] = [];
    const served = await serve(t, {
      maxConnections: 1,
      authorize: () => new Promise<boolean>((resolve) => answers.push(resolve)),
    });
    const first = Raw.to(t, served).send(upgradeRequest());
    while (answers.length === 0) await turns(1);
    assert.equal((await Raw.to(t, served).send(upgradeRequest()).answer()).status, 503);
    answers[0]?.(true);
    assert.equal((await first.head()).status, 101);
    assert.equal(served.server.connections.size, 1);
  });
});

describe("maxHandshakes", () => {
  test("more get 503, including silent ones", async (t) => {
    const served = await serve(t, { maxHandshakes: 3 });
    const slow = [1, 2, 3].map(() => Raw.to(t, served).send("GET"));
    await turns(5);
    const answer = await Raw.to(t, served).answer();
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "5"]);
    slow[0]?.stream.end();
    await served.until(() => served.refused.length === 2);
    assert.equal((await Raw.to(t, served).send(upgradeRequest()).head()).status, 101);
  });

  test("connections do not count", async (t) => {
    const served = await serve(t, { maxHandshakes: 1 });
    for (let number = 0; number < 5; number++) await served.pair();
    assert.equal(served.server.connections.size, 5);
  });
});

describe("close", () => {
  test("sends 1001 to all, and resolves when all have ended", async (t) => {
    const served = await serve(t);
    const pairs = await Promise.all([served.pair(), served.pair(), served.pair()]);
    const closes = pairs.map(([near]) => near.closed);
    await served.server.close(1012, "back soon");
    assert.equal(served.server.connections.size, 0);
    for (const info of await Promise.all(closes)) {
      assert.deepEqual(info, { code: 1012, reason: "back soon", clean: true, error: undefined });
    }
  });

  test("sends what was written before", async (t) => {
    const served = await serve(t);
    const [near, far] = await served.pair();
    for (let number = 0; number < 200; number++) far.write(Buffer.alloc(20_000));
    const closed = served.server.close();
    let count = 0;
    for await (const _ of near) count++;
    assert.equal(count, 200);
    await closed;
  });

  test("terminates those that do not answer in time, and handshakes with 503", async () => {
    const clock = new VirtualClock();
    const server = new WebSocketServer({ clock, closeTimeout: 4000 });
    const [[near, far], [slow, accepting]] = [memoryPipe(), memoryPipe()];
    const stuck = new Raw(near).send(upgradeRequest());
    const handshake = new Raw(slow).send("GET / HT");
    const [connection, refused] = [server.accept(far), server.accept(accepting)];
    await stuck.head();
    await turns(2);
    let closed = false;
    const closing = server.close(1001, "", 1000).then(() => (closed = true));
    assert.equal(await refused, undefined);
    assert.equal((await handshake.answer()).status, 503);
    await clock.advance(999);
    assert.equal(closed, false);
    await clock.advance(1);
    await closing;
    const info = await (await connection)?.closed;
    assert.deepEqual([info?.code, info?.clean], [1006, false]);
    await stuck.gone();
    slow.end();
  });

  test("new requests get 503, behind node:http, too", async (t) => {
    const http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    const server = new WebSocketServer().attach(http);
    const { port } = http.address() as { port: number };
    const stuck = Raw.to(t, { port }).send(upgradeRequest());
    await stuck.head();
    const closing = server.close();
    const answer = await Raw.to(t, { port }).send(upgradeRequest()).answer();
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "5"]);
    const [near, far] = memoryPipe();
    const refused = server.accept(far);
    assert.equal((await new Raw(near).send(upgradeRequest()).answer()).status, 503);
    assert.equal(await refused, undefined);
    assert.deepEqual(await stuck.frames(1), [{ opcode: CLOSE, payload: closePayload(1001) }]);
    stuck.send(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 3, 0xe9])).stream.end();
    await closing;
    near.destroy();
    http.close();
    await once(http, "close");
  });

  test("validates its arguments first", async (t) => {
    const served = await serve(t);
    const [near] = await served.pair();
    for (const wrong of [[1005], [1001, "x".repeat(124)], [1001, "", -1], [1001, "", Number.NaN]] as Parameters<
      WebSocketServer["close"]
    >[]) {
      assert.throws(() => served.server.close(...wrong), { code: "INVALID_ARGUMENT" });
    }
    assert.equal(near.state, "open");
    await served.pair();
  });

  test("twice, or without connections, is the same as once", async () => {
    const server = new WebSocketServer();
    await Promise.all([server.close(), server.close()]);
    await server.close();
    assert.equal(server.connections.size, 0);
  });
});

test("thousands of connections leave nothing behind", async (t) => {
  // the class of Tomcat's CVE-2021-42340
  const clock = new VirtualClock();
  const server = new WebSocketServer({ clock });
  t.after(() => end(server));
  server.on("connection", (connection) => {
    connection.on("message", (message) => void connection.write(message));
  });
  const round = async (count: number): Promise<void> => {
    for (let number = 0; number < count; number++) {
      const [near, far] = memoryPipe();
      const [connection] = await Promise.all([client("ws://localhost/", near, { clock }), server.accept(far)]);
      connection.write("hello");
      if (number % 3 === 0) connection.terminate();
      else await connection.close();
      await connection.closed;
    }
    while (server.connections.size > 0) await turns(1);
  };
  const COUNT = 300;
  await round(COUNT);
  const sizes = [await memoryInUse()];
  for (let again = 0; again < 3; again++) {
    await round(COUNT);
    sizes.push(await memoryInUse());
  }
  // the rest is compiled code
  const growth = Math.min(...sizes.slice(1).map((size, at) => size - (sizes[at] ?? 0)));
  assert.ok(growth < COUNT * 1500, sizes.join()); // a connection with its pipe takes several KiB
  await turns(2);
  assert.equal(clock.pending, 0);
});

test("connect and drain over real sockets leave no handle behind", async () => {
  const count = (): number =>
    process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout|Immediate/.test(kind)).length;
  await turns(3);
  const before = count();
  const server = new WebSocketServer();
  const { port } = (await server.listen()) as { port: number };
  const clients = await Promise.all([1, 2, 3, 4].map(() => connect(`ws://127.0.0.1:${port}/`, { proxy: false })));
  clients[0]?.terminate();
  await Promise.all([...clients.map((one) => one.closed), server.close()]);
  await turns(5);
  assert.ok(count() <= before, process.getActiveResourcesInfo().join());
});
