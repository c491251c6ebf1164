// ping(), pong(), their events and automatic pongs.
import assert from "node:assert/strict";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closing, event, listen, pair } from "./support/pairs.ts";
import { masked, OPCODE, wireClient } from "./support/wire.ts";

onEach("ping and pong", (ws) => {
  for (const method of ["ping", "pong"] as const) {
    for (const [title, args, expected] of [
      ["without data", [], ""],
      ["with a string", ["hé"], "hé"],
      ["with a number", [42], "42"],
      ["with a Buffer", [Buffer.from("x")], "x"],
      ["with a Uint8Array", [new Uint8Array([120])], "x"],
      ["with an ArrayBuffer", [new Uint8Array([120]).buffer], "x"],
      ["with a Blob", [new Blob(["x"])], "x"],
      ["with mask", ["x", true], "x"],
    ] as const) {
      test(`${method} ${title}`, async (t) => {
        const { client, peer } = await pair(t, ws);
        const received = event(peer, method);
        client[method](...args);
        const [data, ...rest] = await received;
        assert.ok(Buffer.isBuffer(data));
        assert.deepEqual([data.toString(), rest], [expected, []]);
      });
    }

    test(`${method} takes a callback as each of its arguments`, async (t) => {
      const { client } = await pair(t, ws);
      for (const args of [[], ["x"], ["x", true]]) {
        await new Promise<void>((resolve, reject) =>
          client[method](...args, (error?: Error) => (error ? reject(error) : resolve())),
        );
      }
    });

    test(`${method} throws for more than 125 bytes`, async (t) => {
      const { client, peer } = await pair(t, ws);
      for (const data of ["x".repeat(126), Buffer.alloc(126), new Blob(["x".repeat(126)])]) {
        assert.throws(() => client[method](data), {
          name: "RangeError",
          message: "The data size must not be greater than 125 bytes",
        });
      }
      const received = event(peer, method);
      client[method]("x".repeat(125));
      assert.equal(String((await received)[0]).length, 125);
    });
  }

  test("a ping is answered with its data, and is emitted", async (t) => {
    const { client, peer } = await pair(t, ws);
    const [pinged, ponged] = [event(peer, "ping"), event(client, "pong")];
    client.ping("data");
    assert.equal(String((await pinged)[0]), "data");
    assert.equal(String((await ponged)[0]), "data");
  });

  test("autoPong: false answers nothing", async (t) => {
    const { client, peer } = await pair(t, ws, { server: { autoPong: false } });
    const received: string[] = [];
    client.on("pong", (data: Buffer) => received.push(data.toString()));
    client.ping("first");
    await event(peer, "ping");
    const ponged = event(client, "pong");
    peer.pong("own");
    await ponged;
    assert.deepEqual(received, ["own"]);
  });

  test("autoPong: false is an option of the client as well", async (t) => {
    const { client, peer } = await pair(t, ws, { client: { autoPong: false } });
    const received: string[] = [];
    peer.on("pong", (data: Buffer) => received.push(data.toString()));
    peer.ping("first");
    await event(client, "ping");
    const ponged = event(peer, "pong");
    client.pong("own");
    await ponged;
    assert.deepEqual(received, ["own"]);
  });

  test("each ping of one chunk is answered, in order", async (t) => {
    const { port } = await listen(t, ws);
    const wire = await wireClient(t, port);
    wire.write(masked(OPCODE.ping, "1"), masked(OPCODE.ping, "2"), masked(OPCODE.ping, "3"));
    const replies = [await wire.next(), await wire.next(), await wire.next()];
    assert.deepEqual(
      replies.map(({ opcode, payload }) => [opcode, payload.toString()]),
      [
        [OPCODE.pong, "1"],
        [OPCODE.pong, "2"],
        [OPCODE.pong, "3"],
      ],
    );
  });

  test("maxPendingAutoPongs terminates a peer that pings and does not read", async (t) => {
    const { port, server } = await listen(t, ws, { maxPendingAutoPongs: 5 });
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const done = closing(peer);
    wire.socket.pause();
    // output that the kernel does not take keeps the pongs behind it pending
    const chunk = Buffer.alloc(1024 * 1024);
    while (peer.bufferedAmount < 4 * chunk.length) peer.send(chunk);
    for (let at = 0; at < 6; at++) wire.write(masked(OPCODE.ping, String(at)));
    assert.deepEqual(await done, { code: 1006, reason: "", errors: [] });
  });

  for (const [option, pings] of [
    [0, 200],
    [undefined, 60],
  ] as const) {
    test(`maxPendingAutoPongs ${option ?? "by default"} allows ${pings} pending pongs`, async (t) => {
      const { port, server } = await listen(t, ws, option === undefined ? {} : { maxPendingAutoPongs: option });
      const connected = event(server, "connection");
      const wire = await wireClient(t, port);
      const [peer] = (await connected) as [Socket];
      wire.socket.pause();
      const chunk = Buffer.alloc(1024 * 1024);
      while (peer.bufferedAmount < 4 * chunk.length) peer.send(chunk);
      const all = new Promise<void>((resolve) => {
        let seen = 0;
        peer.on("ping", () => ++seen === pings && resolve());
      });
      wire.write(...Array.from({ length: pings }, () => masked(OPCODE.ping, "x")));
      await all;
      assert.equal(peer.readyState, ws.WebSocket.OPEN);
    });
  }

  test("the default of maxPendingAutoPongs is 60", async (t) => {
    const { port, server } = await listen(t, ws);
    assert.equal(server.options["maxPendingAutoPongs"], 60);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const done = closing(peer);
    wire.socket.pause();
    const chunk = Buffer.alloc(1024 * 1024);
    while (peer.bufferedAmount < 4 * chunk.length) peer.send(chunk);
    wire.write(...Array.from({ length: 61 }, () => masked(OPCODE.ping, "x")));
    assert.equal((await done).code, 1006);
  });
});
