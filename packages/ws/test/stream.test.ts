// createWebSocketStream.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Duplex, Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { onEach, test } from "./support/implementations.ts";
import { closing, event, listen, message, pair, terminateAfter } from "./support/pairs.ts";
import { frame, OPCODE, wireServer } from "./support/wire.ts";

onEach("createWebSocketStream", (ws) => {
  test("returns a Duplex with the given options", () => {
    const stream = ws.createWebSocketStream(new ws.WebSocket(null, undefined, {}), { readableHighWaterMark: 5 });
    assert.ok(stream instanceof Duplex);
    assert.equal(stream.readableHighWaterMark, 5);
    assert.equal(stream.readableObjectMode, false);
  });

  test("objectMode and writableObjectMode are ignored; readableObjectMode gives text as strings", async (t) => {
    const { client, peer } = await pair(t, ws);
    const stream = ws.createWebSocketStream(client, { objectMode: true, readableObjectMode: true });
    assert.equal(stream.writableObjectMode, false);
    peer.send("text");
    assert.deepEqual(await once(stream, "data"), ["text"]);
    peer.send(Buffer.from("bytes"));
    assert.deepEqual(await once(stream, "data"), [Buffer.from("bytes")]);
    stream.destroy();
  });

  test("reads messages and writes binary messages", async (t) => {
    const { client, peer } = await pair(t, ws);
    const stream = ws.createWebSocketStream(client);
    const received = message(peer);
    stream.write("hello");
    assert.deepEqual(await received, { data: Buffer.from("hello"), isBinary: true });
    peer.send("world");
    assert.deepEqual(await once(stream, "data"), [Buffer.from("world")]);
    stream.destroy();
  });

  test("decodeStrings: false writes text", async (t) => {
    const { client, peer } = await pair(t, ws);
    const stream = ws.createWebSocketStream(client, { decodeStrings: false });
    const received = message(peer);
    stream.write("hello");
    assert.deepEqual(await received, { data: Buffer.from("hello"), isBinary: false });
    stream.destroy();
  });

  test("writes before open are sent after it", async (t) => {
    const { server, url } = await listen(t, ws);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const stream = ws.createWebSocketStream(client);
    stream.on("error", () => {});
    stream.write("early");
    const text = new Promise((resolve) =>
      server.on("connection", (peer) => peer.on("message", (data: Buffer) => resolve(data.toString()))),
    );
    assert.equal(await text, "early");
    stream.destroy();
  });

  test("end closes the connection with 1005; close of the peer ends the stream", async (t) => {
    const { client, peer } = await pair(t, ws);
    const [ours, theirs] = [ws.createWebSocketStream(client), ws.createWebSocketStream(peer)];
    const done = Promise.all([closing(client), closing(peer)]);
    const ends = Promise.all([ours, theirs].map((stream) => once(stream, "close")));
    theirs.on("end", () => theirs.end());
    ours.resume();
    theirs.resume();
    ours.end("last");
    for (const { code } of await done) assert.equal(code, 1005);
    await ends;
  });

  test("destroy terminates the connection, and emits close after it", async (t) => {
    const { client, peer } = await pair(t, ws);
    const stream = ws.createWebSocketStream(client);
    const done = closing(peer);
    const closed = once(stream, "close");
    stream.destroy();
    assert.equal((await done).code, 1006);
    await closed;
    assert.equal(client.readyState, ws.WebSocket.CLOSED);
  });

  test("destroy with an error emits it once", async (t) => {
    const { client } = await pair(t, ws);
    const stream = ws.createWebSocketStream(client);
    const errors: unknown[] = [];
    const error = new Error("mine");
    stream.on("error", (given) => errors.push(given));
    const closed = once(client, "close");
    stream.destroy(error);
    await closed;
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(errors, [error]);
  });

  test("an error of the socket is an error of the stream", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url);
    const stream = ws.createWebSocketStream(client);
    const failed = event(stream, "error");
    const wire = await next();
    await event(client, "open");
    wire.write(frame(3, ""));
    const [error] = (await failed) as [Error & { code: string }];
    assert.equal(error.code, "WS_ERR_INVALID_OPCODE");
    wire.socket.end();
  });

  test("an error of the socket without a listener on the stream is an uncaught exception", async (t) => {
    const { url } = await wireServer(t, () => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    const others = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const caught = new Promise<Error>((resolve) => process.once("uncaughtException", resolve));
    ws.createWebSocketStream(new ws.WebSocket(url));
    const error = await caught;
    for (const other of others) process.on("uncaughtException", other);
    assert.equal(error.message, "Unexpected server response: 400");
  });

  test("pipes large data through in both directions, with back pressure", async (t) => {
    const { client, peer } = await pair(t, ws, { server: { perMessageDeflate: false } });
    const [ours, theirs] = [ws.createWebSocketStream(client), ws.createWebSocketStream(peer)];
    const chunks = Array.from({ length: 200 }, (_, at) => Buffer.alloc(100_000, at));
    theirs.pipe(theirs); // echo
    let received = 0;
    const sink = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        setImmediate(done);
      },
    });
    const reading = (async () => {
      for await (const chunk of ours) {
        if (!sink.write(chunk)) await once(sink, "drain");
      }
    })();
    await pipeline(Readable.from(chunks), ours, { end: false });
    while (received < 20_000_000) await once(sink, "drain");
    ours.end();
    await reading;
    assert.equal(received, 20_000_000);
  });

  test("a reader that does not read pauses the socket", async (t) => {
    const { client, peer } = await pair(t, ws);
    const stream = ws.createWebSocketStream(client, { readableHighWaterMark: 10 });
    peer.send("x".repeat(20));
    await once(stream, "readable");
    assert.equal(client.isPaused, true);
    stream.read();
    stream.read();
    assert.equal(client.isPaused, false);
    stream.destroy();
  });

  test("an empty message does not end the stream", async (t) => {
    const { client, peer } = await pair(t, ws);
    const stream = ws.createWebSocketStream(client);
    peer.send("");
    peer.send("after");
    assert.deepEqual(await once(stream, "data"), [Buffer.from("after")]);
    stream.destroy();
  });

  test("frames of the peer after the end of writing are read", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url);
    const stream = ws.createWebSocketStream(client);
    const wire = await next();
    await event(client, "open");
    const data = once(stream, "data");
    stream.end();
    assert.equal((await wire.next()).opcode, OPCODE.close);
    wire.write(frame(OPCODE.text, "late"), frame(OPCODE.close, ""));
    wire.socket.end();
    assert.deepEqual(await data, [Buffer.from("late")]);
    await once(stream, "close");
  });
});
