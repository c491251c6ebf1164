// message events, binaryType, pause and resume.
import assert from "node:assert/strict";
import { onEach, test } from "./support/implementations.ts";
import { event, listen, message, messages, pair, terminateAfter } from "./support/pairs.ts";
import { accepting, frame, masked, OPCODE, wireClient, wireServer } from "./support/wire.ts";

onEach("message", (ws) => {
  test("text is a Buffer and isBinary false; the listener's this is the socket", async (t) => {
    const { client, peer } = await pair(t, ws);
    const seen = new Promise<unknown[]>((resolve) =>
      peer.on("message", function listener(this: unknown, ...args: unknown[]) {
        resolve([this, ...args]);
      }),
    );
    client.send("text");
    const [self, data, isBinary, ...rest] = await seen;
    assert.equal(self, peer);
    assert.ok(Buffer.isBuffer(data));
    assert.deepEqual([data.toString(), isBinary, rest], ["text", false, []]);
  });

  test("messages flow and are dropped without a listener", async (t) => {
    const { client, peer } = await pair(t, ws);
    client.send("dropped");
    const ponged = event(client, "pong");
    client.ping();
    await ponged; // the peer has read past the message
    const received = message(peer);
    client.send("received");
    assert.equal(String((await received).data), "received");
  });

  test("a listener that throws is an uncaught exception of the process, not an error of the socket", async (t) => {
    const { client, peer } = await pair(t, ws);
    peer.on("error", () => assert.fail("error event"));
    const thrown = new Error("from the listener");
    const caught = new Promise((resolve) => {
      process.once("uncaughtException", resolve);
    });
    t.after(() => process.removeAllListeners("uncaughtException"));
    peer.once("message", () => {
      throw thrown;
    });
    const others = process.listeners("uncaughtException").slice(0, -1);
    for (const other of others) process.off("uncaughtException", other);
    client.send("x");
    assert.equal(await caught, thrown);
    for (const other of others) process.on("uncaughtException", other);
  });

  for (const [type, check] of [
    ["nodebuffer", (data: unknown) => Buffer.isBuffer(data) && data.toString() === "abc"],
    ["arraybuffer", (data: unknown) => data instanceof ArrayBuffer && Buffer.from(data).toString() === "abc"],
    ["blob", async (data: unknown) => data instanceof Blob && (await data.text()) === "abc"],
    ["fragments", (data: unknown) => Array.isArray(data) && Buffer.concat(data as Buffer[]).toString() === "abc"],
  ] as const) {
    test(`binaryType ${type}`, async (t) => {
      const { client, peer } = await pair(t, ws);
      peer.binaryType = type;
      assert.equal(peer.binaryType, type);
      const received = message(peer);
      client.send(Buffer.from("abc"));
      const { data, isBinary } = await received;
      assert.equal(isBinary, true);
      assert.ok(await check(data));
    });

    test(`binaryType ${type} has no effect on text`, async (t) => {
      const { client, peer } = await pair(t, ws);
      peer.binaryType = type;
      const received = message(peer);
      client.send("abc");
      assert.deepEqual(await received, { data: Buffer.from("abc"), isBinary: false });
    });
  }

  for (const compression of [false, true]) {
    test(`data stays as it is after later messages, ${compression ? "compressed" : "not compressed"}`, async (t) => {
      const perMessageDeflate = compression ? { threshold: 0 } : false;
      const { client, peer } = await pair(t, ws, { server: { perMessageDeflate } });
      const kept: unknown[] = [];
      const keep = (data: unknown): void => void kept.push(data);
      peer.on("message", keep).on("ping", keep).on("pong", keep);
      const sent: string[] = [];
      for (let at = 0; at < 500; at++) {
        peer.binaryType = "nodebuffer";
        const text = `${at} `.repeat(1 + (at % 300));
        sent.push(text);
        if (at % 10 === 0) client.ping(text.slice(0, 100));
        else if (at % 10 === 1) client.pong(text.slice(0, 100));
        else client.send(at % 2 === 0 ? text : Buffer.from(text));
      }
      const closed = event(peer, "close");
      client.close(1000, "a reason");
      const [, reason] = (await closed) as [number, Buffer];
      assert.equal(reason.toString(), "a reason");
      assert.deepEqual(
        kept.map((data) => (data as Buffer).toString()),
        sent.map((text, at) => (at % 10 < 2 ? text.slice(0, 100) : text)),
      );
    });
  }

  test("data may be changed, and an ArrayBuffer may be transferred", async (t) => {
    const { client, peer } = await pair(t, ws);
    for (const size of [1, 100, 5000, 100_000]) {
      const [first, second] = [Buffer.alloc(size, 1), Buffer.alloc(size, 2)];
      peer.binaryType = "nodebuffer";
      const received = messages(peer, 2);
      const kept: Buffer[] = [];
      peer.on("message", (data: Buffer) => kept.push(data));
      client.send(first);
      client.send(second);
      await received;
      kept[0]?.fill(9);
      assert.ok(kept[1]?.equals(second), `${size}`);
      peer.removeAllListeners("message");
      peer.binaryType = "arraybuffer";
      const arrived = message(peer);
      client.send(first);
      const { data } = await arrived;
      assert.ok(data instanceof ArrayBuffer);
      assert.equal(data.byteLength, size);
      const moved = structuredClone(data, { transfer: [data] });
      assert.ok(Buffer.from(moved).equals(first));
    }
  });

  test("an empty binary message in each binaryType", async (t) => {
    const { client, peer } = await pair(t, ws);
    for (const [type, size] of [
      ["nodebuffer", (data: unknown) => (data as Buffer).length],
      ["arraybuffer", (data: unknown) => (data as ArrayBuffer).byteLength],
      ["blob", (data: unknown) => (data as Blob).size],
      ["fragments", (data: unknown) => (data as Buffer[]).length],
    ] as const) {
      peer.binaryType = type;
      const received = message(peer);
      client.send(Buffer.alloc(0));
      assert.equal(size((await received).data), 0, type);
    }
  });

  test("fragments keeps the parts of the sender", async (t) => {
    const { client, peer } = await pair(t, ws, { client: { perMessageDeflate: false } });
    peer.binaryType = "fragments";
    const received = message(peer);
    client.send(Buffer.from("ab"), { fin: false });
    client.send(Buffer.from(""), { fin: false });
    client.send(Buffer.from("c"), { fin: true });
    assert.deepEqual((await received).data, [Buffer.from("ab"), Buffer.from("c")]);
  });

  test("an unknown binaryType is ignored", async (t) => {
    const { client } = await pair(t, ws);
    client.binaryType = "arraybuffer";
    client.binaryType = "foo";
    assert.equal(client.binaryType, "arraybuffer");
  });

  test("binaryType may be set before open and between messages", async (t) => {
    const { url, server } = await listen(t, ws);
    server.on("connection", (socket) => socket.send(Buffer.from("1")));
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    client.binaryType = "arraybuffer";
    assert.ok((await message(client)).data instanceof ArrayBuffer);
    client.binaryType = "nodebuffer";
    for (const socket of server.clients ?? []) socket.send(Buffer.from("2"));
    assert.ok(Buffer.isBuffer((await message(client)).data));
  });

  test("messages of one chunk are emitted in one tick by default", async (t) => {
    const early = Buffer.concat(["1", "2", "3"].map((text) => frame(OPCODE.text, text)));
    const { url } = await wireServer(t, accepting(), early);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const order: string[] = [];
    await new Promise<void>((resolve) =>
      client.on("message", (data: Buffer) => {
        const text = data.toString();
        order.push(text);
        if (text === "1") setImmediate(() => order.push("immediate"));
        if (text === "3") setImmediate(resolve);
      }),
    );
    assert.deepEqual(order, ["1", "2", "3", "immediate"]);
  });

  test("allowSynchronousEvents: false emits one message in a tick", async (t) => {
    const early = Buffer.concat([
      ...["1", "2"].map((text) => frame(OPCODE.text, text)),
      frame(OPCODE.ping, "3"),
      frame(OPCODE.pong, "4"),
    ]);
    const { url } = await wireServer(t, accepting(), early);
    const client = new ws.WebSocket(url, { allowSynchronousEvents: false });
    terminateAfter(t, client);
    const order: string[] = [];
    const note = (data: Buffer): void => {
      order.push(data.toString());
      void Promise.resolve().then(() => order.push("microtask"));
    };
    await new Promise<void>((resolve) =>
      client
        .on("message", note)
        .on("ping", note)
        .on("pong", (data: Buffer) => {
          note(data);
          setImmediate(resolve);
        }),
    );
    assert.deepEqual(order, ["1", "microtask", "2", "microtask", "3", "microtask", "4", "microtask"]);
  });

  test("skipUTF8Validation accepts invalid text", async (t) => {
    const { port, server } = await listen(t, ws, { skipUTF8Validation: true });
    const received = new Promise<{ data: unknown }>((resolve) =>
      server.on("connection", (socket) => resolve(message(socket))),
    );
    const peer = await wireClient(t, port, {}, masked(OPCODE.text, Buffer.from([0xce, 0xba, 0xe1])));
    assert.deepEqual((await received).data, Buffer.from([0xce, 0xba, 0xe1]));
    peer.socket.destroy();
  });
});

onEach("pause and resume", (ws) => {
  test("pause stops messages and resume continues them", async (t) => {
    const { client, peer } = await pair(t, ws);
    assert.equal(peer.isPaused, false);
    peer.pause();
    assert.equal(peer.isPaused, true);
    let received = 0;
    peer.on("message", () => received++);
    await new Promise<void>((resolve) => client.send("x", () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(received, 0);
    const arrived = message(peer);
    peer.resume();
    assert.equal(peer.isPaused, false);
    await arrived;
    assert.equal(received, 1);
  });

  test("pause in a message listener lets the messages of the chunk through, and no later ones", async (t) => {
    const { port, server } = await listen(t, ws);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [import("./support/implementations.ts").Socket];
    const order: string[] = [];
    peer.on("message", (data: Buffer) => {
      order.push(data.toString());
      if (order.length === 1) peer.pause();
    });
    const three = messages(peer, 3);
    wire.write(masked(OPCODE.text, "1"), masked(OPCODE.text, "2"), masked(OPCODE.text, "3"));
    await three;
    wire.write(masked(OPCODE.text, "4"));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(order, ["1", "2", "3"]);
    const fourth = message(peer);
    peer.resume();
    assert.equal(String((await fourth).data), "4");
  });

  test("do nothing while connecting and after the end", async (t) => {
    const { url } = await listen(t, ws);
    const client = new ws.WebSocket(url);
    client.pause();
    assert.equal(client.isPaused, false);
    client.resume();
    await event(client, "open");
    client.close();
    await event(client, "close");
    client.pause();
    assert.equal(client.isPaused, false);
    client.resume();
  });

  test("sending continues while paused", async (t) => {
    const { client, peer } = await pair(t, ws);
    peer.pause();
    const received = message(client);
    peer.send("x");
    assert.equal(String((await received).data), "x");
  });

  test("a paused socket delivers what it has when the peer closed and it is resumed", async (t) => {
    const { client, peer } = await pair(t, ws);
    peer.pause();
    client.send("last");
    client.close(1000);
    await new Promise((resolve) => setImmediate(resolve));
    const [received, closed] = [message(peer), event(peer, "close")];
    peer.resume();
    assert.equal(String((await received).data), "last");
    assert.equal((await closed)[0], 1000);
  });
});
