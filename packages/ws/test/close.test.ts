// close(), terminate(), close codes and the close event.
import assert from "node:assert/strict";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closing, event, listen, pair, terminateAfter } from "./support/pairs.ts";
import { closePayload, frame, masked, OPCODE, wireClient, wireServer } from "./support/wire.ts";

onEach("close", (ws) => {
  for (const [title, args, code, reason] of [
    ["without arguments", [], 1005, ""],
    ["with a code", [1000], 1000, ""],
    ["with a code and a reason", [1001, "away"], 1001, "away"],
    ["with a reason as bytes", [4000, Buffer.from("bytes")], 4000, "bytes"],
    ["with a reason as a Uint8Array", [4999, new Uint8Array([120])], 4999, "x"],
    ["with an empty reason", [3000, ""], 3000, ""],
    ["with the longest reason", [1000, "é".repeat(61) + "x"], 1000, "é".repeat(61) + "x"],
  ] as const) {
    test(`${title} is received by both sides, from the client and from the server`, async (t) => {
      for (const side of ["client", "peer"] as const) {
        const both = await pair(t, ws);
        const done = Promise.all([closing(both.client), closing(both.peer)]);
        both[side].close(...(args as unknown as [number?, string?]));
        assert.equal(both[side].readyState, ws.WebSocket.CLOSING);
        for (const closed of await done) assert.deepEqual(closed, { code, reason, errors: [] });
        assert.equal(both.client.readyState, ws.WebSocket.CLOSED);
        assert.equal(both.peer.readyState, ws.WebSocket.CLOSED);
      }
    });
  }

  test("the close event has the code and the reason as a Buffer", async (t) => {
    const { client, peer } = await pair(t, ws);
    const closed = event(peer, "close");
    client.close(1000, "bye");
    const args = await closed;
    assert.deepEqual(args, [1000, Buffer.from("bye")]);
    assert.ok(Buffer.isBuffer(args[1]));
  });

  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, "1000", null] as number[]) {
    test(`throws for the code ${JSON.stringify(code)}`, async (t) => {
      const { client } = await pair(t, ws);
      assert.throws(() => client.close(code), {
        name: "TypeError",
        message: "First argument must be a valid error code number",
      });
      assert.equal(client.readyState, ws.WebSocket.OPEN);
    });
  }

  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]) {
    test(`accepts the code ${code}, to send and to receive`, async (t) => {
      const { client, peer } = await pair(t, ws);
      const done = closing(peer);
      client.close(code);
      assert.deepEqual(await done, { code, reason: "", errors: [] });
    });
  }

  test("throws for a reason of more than 123 bytes and for one of another type", async (t) => {
    const { client } = await pair(t, ws);
    assert.throws(() => client.close(1000, "x".repeat(124)), {
      name: "RangeError",
      message: "The message must not be greater than 123 bytes",
    });
    assert.throws(() => client.close(1000, ["x"] as never), { name: "TypeError" });
    assert.equal(client.readyState, ws.WebSocket.OPEN);
  });

  test("messages sent before close are delivered", async (t) => {
    const { client, peer } = await pair(t, ws);
    const received: string[] = [];
    peer.on("message", (data: Buffer) => received.push(data.toString()));
    const done = closing(peer);
    client.send("1");
    client.send("2");
    client.close();
    await done;
    assert.deepEqual(received, ["1", "2"]);
  });

  test("messages of the peer that arrive after close() was called are emitted", async (t) => {
    const { port, server } = await listen(t, ws);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const received: string[] = [];
    peer.on("message", (data: Buffer) => received.push(data.toString()));
    const done = closing(peer);
    peer.close(1000);
    await wire.next();
    wire.write(masked(OPCODE.text, "late"), masked(OPCODE.close, closePayload(1000)));
    await done;
    assert.deepEqual(received, ["late"]);
  });

  test("nothing after the peer's Close is emitted", async (t) => {
    const { port, server } = await listen(t, ws);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    peer.on("message", () => assert.fail("message after Close"));
    const done = closing(peer);
    wire.write(masked(OPCODE.close, closePayload(1000)), masked(OPCODE.text, "late"));
    assert.equal((await done).code, 1000);
  });

  test("the reply to a Close repeats its code and reason", async (t) => {
    const { port } = await listen(t, ws);
    for (const payload of [closePayload(1001, "away"), Buffer.alloc(0)]) {
      const wire = await wireClient(t, port);
      wire.write(masked(OPCODE.close, payload));
      const reply = await wire.next();
      assert.deepEqual([reply.opcode, reply.payload], [OPCODE.close, payload]);
    }
  });

  test("close may be called again, and after the end", async (t) => {
    const { client } = await pair(t, ws);
    const done = closing(client);
    client.close(1000);
    client.close(1001);
    assert.equal((await done).code, 1000);
    client.close();
    client.terminate();
    assert.equal(client.readyState, ws.WebSocket.CLOSED);
  });

  test("close() in a message listener", async (t) => {
    const { client, peer } = await pair(t, ws);
    const done = closing(client);
    peer.on("message", () => peer.close(4001, "enough"));
    client.send("x");
    assert.deepEqual(await done, { code: 4001, reason: "enough", errors: [] });
  });

  test("terminate ends the connection at once: 1006 on both sides", async (t) => {
    const { client, peer } = await pair(t, ws);
    const done = Promise.all([closing(client), closing(peer)]);
    client.terminate();
    assert.equal(client.readyState, ws.WebSocket.CLOSING);
    for (const closed of await done) assert.deepEqual(closed, { code: 1006, reason: "", errors: [] });
  });

  test("a stream that ends without a Close is 1006", async (t) => {
    const { port, server } = await listen(t, ws);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const done = closing(peer);
    wire.socket.end();
    assert.deepEqual(await done, { code: 1006, reason: "", errors: [] });
  });

  test("a reset of the connection is 1006", async (t) => {
    const { port, server } = await listen(t, ws);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const done = closing(peer);
    wire.socket.resetAndDestroy();
    assert.equal((await done).code, 1006);
  });

  test("the closing peer is a client: the server ends the TCP connection first", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url);
    terminateAfter(t, client);
    const peer = await next();
    client.on("open", () => client.close(1000));
    await peer.next();
    const done = closing(client);
    peer.write(frame(OPCODE.close, closePayload(1000)));
    peer.socket.end();
    assert.deepEqual(await done, { code: 1000, reason: "", errors: [] });
  });

  test("closeTimeout limits the wait for the peer", async (t) => {
    const { url, next } = await wireServer(t);
    const client = new ws.WebSocket(url, { closeTimeout: 20 });
    terminateAfter(t, client);
    await next();
    await event(client, "open");
    const done = closing(client);
    client.close(1000);
    assert.deepEqual(await done, { code: 1006, reason: "", errors: [] });
  });

  test("closeTimeout is an option of the server as well; the default is 30 s", async (t) => {
    const { port, server } = await listen(t, ws, { closeTimeout: 20 });
    const connected = event(server, "connection");
    await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const done = closing(peer);
    peer.close(1000);
    assert.equal((await done).code, 1006);
    assert.equal((await listen(t, ws)).server.options["closeTimeout"], 30_000);
  });

  test("a peer that closes in both directions with different codes: each side has the other's", async (t) => {
    const { port, server } = await listen(t, ws);
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [peer] = (await connected) as [Socket];
    const done = closing(peer);
    peer.close(1001, "mine");
    const sent = await wire.next();
    wire.write(masked(OPCODE.close, closePayload(1002, "yours")));
    assert.deepEqual(sent.payload, closePayload(1001, "mine"));
    assert.deepEqual(await done, { code: 1002, reason: "yours", errors: [] });
  });
});
