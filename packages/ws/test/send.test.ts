// send(): types of data, options, callbacks and bufferedAmount.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, openAsBlob, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onEach, test } from "./support/implementations.ts";
import { closing, event, listen, message, messages, pair, terminateAfter } from "./support/pairs.ts";
import { accepting, OPCODE, wireClient, wireServer } from "./support/wire.ts";

onEach("send", (ws) => {
  for (const [title, data, isBinary, expected] of [
    ["a string", "hé", false, Buffer.from("hé")],
    ["an empty string", "", false, Buffer.alloc(0)],
    ["a number", 42, false, Buffer.from("42")],
    ["0", 0, false, Buffer.from("0")],
    ["a Buffer", Buffer.from([1, 2]), true, Buffer.from([1, 2])],
    ["a Uint8Array", new Uint8Array([1, 2]), true, Buffer.from([1, 2])],
    ["a Uint8Array that is a view", new Uint8Array([0, 1, 2, 0]).subarray(1, 3), true, Buffer.from([1, 2])],
    ["a DataView", new DataView(new Uint8Array([1, 2]).buffer), true, Buffer.from([1, 2])],
    ["a Float32Array", new Float32Array([1]), true, Buffer.from([0, 0, 128, 63])],
    ["an ArrayBuffer", new Uint8Array([1, 2]).buffer, true, Buffer.from([1, 2])],
    ["an array of bytes", [1, 2, 257], true, Buffer.from([1, 2, 1])],
    ["a Blob", new Blob(["blob"]), true, Buffer.from("blob")],
    ["undefined", undefined, true, Buffer.alloc(0)],
    ["null", null, true, Buffer.alloc(0)],
  ] as const) {
    test(`sends ${title}, from the client and from the server`, async (t) => {
      const { client, peer } = await pair(t, ws);
      for (const [from, to] of [
        [client, peer],
        [peer, client],
      ] as const) {
        const received = message(to);
        from.send(data);
        assert.deepEqual(await received, { data: expected, isBinary });
      }
    });
  }

  test("throws a TypeError for data of another type", async (t) => {
    const { client } = await pair(t, ws);
    for (const data of [true, {}, Symbol("x")]) assert.throws(() => client.send(data), { name: "TypeError" });
  });

  test("binary: true sends a string as binary; binary: false sends bytes as text", async (t) => {
    const { client, peer } = await pair(t, ws);
    client.send("text", { binary: true });
    assert.deepEqual(await message(peer), { data: Buffer.from("text"), isBinary: true });
    client.send(Buffer.from("text"), { binary: false });
    assert.deepEqual(await message(peer), { data: Buffer.from("text"), isBinary: false });
  });

  test("does not change the data when it masks", async (t) => {
    const { client, peer } = await pair(t, ws);
    const small = Buffer.from("unchanged");
    const large = Buffer.alloc(200_000, 1);
    client.send(small);
    client.send(large);
    await messages(peer, 2);
    assert.equal(small.toString(), "unchanged");
    assert.ok(large.equals(Buffer.alloc(200_000, 1)));
  });

  for (const size of [125, 126, 65_535, 65_536, 1_000_000]) {
    test(`sends ${size} bytes`, async (t) => {
      const { client, peer } = await pair(t, ws);
      const data = Buffer.alloc(size, 7);
      for (const [from, to] of [
        [client, peer],
        [peer, client],
      ] as const) {
        const received = message(to);
        from.send(data);
        assert.ok(data.equals((await received).data as Buffer));
      }
    });
  }

  test("a client masks and a server does not", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const peer = await next();
    client.on("open", () => client.send("x"));
    assert.equal((await peer.next()).masked, true);

    const { server, port } = await listen(t, ws);
    server.on("connection", (socket) => socket.send("x"));
    assert.equal((await (await wireClient(t, port)).next()).masked, false);
  });

  test("mask overrides the role", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const peer = await next();
    client.on("open", () => client.send("hello", { mask: false }));
    const frame = await peer.next();
    assert.deepEqual([frame.masked, frame.payload.toString()], [false, "hello"]);
  });

  test("fin: false sends fragments of one message; text and binary of the first part count", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const peer = await next();
    client.on("open", () => {
      client.send("a", { fin: false });
      client.send(Buffer.from("b"), { fin: false });
      client.ping("between");
      client.send("c", { fin: true });
      client.send("d");
    });
    const frames = [await peer.next(), await peer.next(), await peer.next(), await peer.next(), await peer.next()];
    assert.deepEqual(
      frames.map(({ opcode, fin, payload }) => [opcode, fin, payload.toString()]),
      [
        [OPCODE.text, false, "a"],
        [OPCODE.continuation, false, "b"],
        [OPCODE.ping, true, "between"],
        [OPCODE.continuation, true, "c"],
        [OPCODE.text, true, "d"],
      ],
    );
  });

  test("a message in fragments is received as one", async (t) => {
    const { client, peer } = await pair(t, ws);
    const received = message(peer);
    client.send("fragm", { fin: false });
    client.send("ent", { fin: true });
    assert.deepEqual(await received, { data: Buffer.from("fragment"), isBinary: false });
  });

  test("the callback is called without an error, after send returned", async (t) => {
    const { client } = await pair(t, ws);
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      client.send("x", (error) => {
        order.push("callback");
        assert.ok(error === undefined || error === null);
        resolve();
      });
      order.push("returned");
    });
    assert.deepEqual(order, ["returned", "callback"]);
  });

  test("the callback may be the second or the third argument", async (t) => {
    const { client } = await pair(t, ws);
    await new Promise<void>((resolve) => client.send("x", () => resolve()));
    await new Promise<void>((resolve) => client.send("x", { binary: true }, () => resolve()));
  });

  test("the callback of a small message on an idle socket runs before an immediate", async (t) => {
    const { client } = await pair(t, ws, { client: { perMessageDeflate: false } });
    await new Promise((resolve) => setImmediate(resolve));
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        order.push("immediate");
        resolve();
      });
      client.send("x", () => order.push("callback"));
    });
    assert.deepEqual(order, ["callback", "immediate"]);
  });

  test("callbacks are called in the order of their messages", async (t) => {
    const { client } = await pair(t, ws);
    const order: number[] = [];
    await new Promise<void>((resolve) => {
      for (let at = 0; at < 100; at++) client.send("x".repeat(at * 100), () => order.push(at) === 100 && resolve());
    });
    assert.deepEqual(
      order,
      Array.from({ length: 100 }, (_, at) => at),
    );
  });

  test("bufferedAmount is 0 right after a small message on an idle socket", async (t) => {
    const { client, peer } = await pair(t, ws);
    client.send("x");
    assert.equal(client.bufferedAmount, 0);
    peer.send(Buffer.alloc(1000));
    assert.equal(peer.bufferedAmount, 0);
  });

  test("bufferedAmount grows when the peer does not read, and falls to 0 when it does", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url, { perMessageDeflate: false });
    terminateAfter(t, client);
    const peer = await next();
    await event(client, "open");
    peer.socket.pause();
    const chunk = Buffer.alloc(1024 * 1024);
    let last: Promise<void> | undefined;
    for (let sent = 0; client.bufferedAmount < 8 * chunk.length; sent++) {
      assert.ok(sent < 64, "bufferedAmount does not grow");
      last = new Promise<void>((resolve) => client.send(chunk, () => resolve()));
    }
    peer.socket.resume();
    await last;
    assert.equal(client.bufferedAmount, 0);
  });

  test("throws while connecting", async (t) => {
    const { url } = await listen(t, ws);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    for (const call of [() => client.send("x"), () => client.ping(), () => client.pong()]) {
      assert.throws(call, { name: "Error", message: "WebSocket is not open: readyState 0 (CONNECTING)" });
    }
  });

  for (const [state, number] of [
    ["CLOSING", 2],
    ["CLOSED", 3],
  ] as const) {
    test(`calls back with an error in ${state}, and bufferedAmount grows`, async (t) => {
      const { client } = await pair(t, ws);
      const closed = once(client, "close");
      client.close();
      if (state === "CLOSED") await closed;
      const before = client.bufferedAmount;
      let sync = true;
      const errors = ["send", "ping", "pong"].map(
        (method) =>
          new Promise<Error>((resolve) => {
            (Reflect.get(client, method) as typeof client.ping).call(client, "hé", (error: Error) => {
              assert.equal(sync, false);
              resolve(error);
            });
          }),
      );
      client.send("ignored without a callback");
      sync = false;
      for (const error of await Promise.all(errors)) {
        assert.equal(error.message, `WebSocket is not open: readyState ${number} (${state})`);
      }
      if (state === "CLOSED") assert.equal(client.bufferedAmount, before + 3 * 3 + 26);
      else assert.ok(client.bufferedAmount >= before + 3 * 3 + 26);
    });
  }

  test("bufferedAmount grows after a failed handshake as well", async (t) => {
    const { url } = await wireServer(t, accepting({}, "400 Bad Request"));
    const client = new ws.WebSocket(url);
    await closing(client);
    client.send("hello");
    client.send(Buffer.alloc(5));
    client.send(new Blob(["12345"]));
    assert.equal(client.bufferedAmount, 15);
  });

  test("the callback of a message that is not completely sent is called when the connection is terminated", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url, { perMessageDeflate: false });
    terminateAfter(t, client);
    const peer = await next();
    await event(client, "open");
    peer.socket.pause();
    const chunk = Buffer.alloc(16 * 1024 * 1024);
    const called = new Promise<unknown>((resolve) => client.send(chunk, resolve));
    client.terminate();
    await called;
  });

  for (const perMessageDeflate of [false, { threshold: 0 }]) {
    const title = perMessageDeflate ? "compressed " : "";
    test(`callbacks of ${title}messages that are not sent come before close`, async (t) => {
      const { client, peer } = await pair(t, ws, { server: { perMessageDeflate } });
      peer.pause();
      const order: string[] = [];
      client.on("close", () => order.push("close"));
      for (const name of ["first", "second", "third"]) {
        client.send(Buffer.alloc(16 * 1024 * 1024), () => order.push(name));
      }
      const closed = event(client, "close");
      client.terminate();
      await closed;
      assert.deepEqual(order, ["first", "second", "third", "close"]);
    });
  }

  test("a Blob keeps its place among other messages", async (t) => {
    const { client, peer } = await pair(t, ws);
    const received = messages(peer, 4);
    client.send("1");
    client.send(new Blob(["2"]));
    client.send("3");
    client.send(new Blob(["4"]));
    assert.ok(client.bufferedAmount > 0);
    assert.deepEqual(await received, ["1", "2", "3", "4"]);
  });

  test("a Blob that cannot be read is an error of the callback and of the socket", async (t) => {
    const { client } = await pair(t, ws);
    const file = join(mkdtempSync(join(tmpdir(), "tungstate-ws-")), "blob");
    t.after(() => rmSync(dirname(file), { recursive: true }));
    writeFileSync(file, "x".repeat(64));
    const blob = await openAsBlob(file);
    writeFileSync(file, "x".repeat(32)); // it is another file now
    const done = closing(client);
    const called = new Promise<unknown>((resolve) => client.send(blob, resolve));
    const { errors } = await done;
    assert.deepEqual(
      errors.map(({ name }) => name),
      ["NotReadableError"],
    );
    assert.equal(await called, errors[0]);
  });

  test("close after a Blob is sent behind it", async (t) => {
    const { client, peer } = await pair(t, ws);
    const received = message(peer);
    const closed = closing(peer);
    client.send(new Blob(["x"]));
    client.close(1000, "bye");
    assert.equal(String((await received).data), "x");
    assert.deepEqual(await closed, { code: 1000, reason: "bye", errors: [] });
  });
});
