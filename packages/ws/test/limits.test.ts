// maxPayload, maxFragments and maxBufferedChunks.
import assert from "node:assert/strict";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closing, event, listen } from "./support/pairs.ts";
import { assertRefused, DEFLATE, toClient, toServer } from "./support/refused.ts";
import { closePayload, frame, masked, wireClient } from "./support/wire.ts";

onEach("limits of a message", (ws) => {
  test("the defaults", async (t) => {
    const { options } = (await listen(t, ws)).server;
    assert.equal(options["maxPayload"], 100 * 1024 * 1024);
    assert.equal(options["maxFragments"], 16 * 1024);
    assert.equal(options["maxBufferedChunks"], 256 * 1024);
  });

  for (const [title, bytes] of [
    ["in one frame", masked(2, "x".repeat(21))],
    ["in fragments", Buffer.concat([masked(2, "x".repeat(20), { fin: false }), masked(0, "x")])],
    ["in a declared length", Buffer.from([0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4])],
  ] as const) {
    test(`maxPayload is exceeded ${title}: 1009`, async (t) => {
      assertRefused(
        await toServer(t, ws, bytes, { maxPayload: 20 }),
        "RangeError",
        "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH",
        "Max payload size exceeded",
        1009,
      );
    });
  }

  test("maxPayload allows its number of bytes, 0 any number", async (t) => {
    for (const [maxPayload, size] of [
      [20, 20],
      [0, 100_000],
    ] as const) {
      const bytes = Buffer.concat([masked(2, "x".repeat(size)), masked(8, closePayload(1000))]);
      const outcome = await toServer(t, ws, bytes, { maxPayload });
      assert.deepEqual([outcome.code, outcome.errors], [1000, []]);
    }
  });

  test("maxPayload counts a message after decompression", async (t) => {
    const { deflateRawSync, constants } = await import("node:zlib");
    const deflated = deflateRawSync("x".repeat(1000), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
    const outcome = await toServer(
      t,
      ws,
      masked(2, deflated, { rsv: 4 }),
      { perMessageDeflate: true, maxPayload: 500 },
      DEFLATE,
    );
    assertRefused(outcome, "RangeError", "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "Max payload size exceeded", 1009);
  });

  test("maxPayload is an option of the client as well", async (t) => {
    const outcome = await toClient(t, ws, frame(2, "x".repeat(21)), { maxPayload: 20 });
    assertRefused(outcome, "RangeError", "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "Max payload size exceeded", 1009);
  });

  const fragments = (count: number, payload = "x"): Buffer =>
    Buffer.concat(
      Array.from({ length: count }, (_, at) => masked(at === 0 ? 1 : 0, payload, { fin: at === count - 1 })),
    );

  for (const [title, payload] of [
    ["fragments", "x"],
    ["empty fragments", ""],
  ] as const) {
    test(`maxFragments refuses one more of its ${title}: 1008`, async (t) => {
      assertRefused(
        await toServer(t, ws, fragments(4, payload), { maxFragments: 3 }),
        "RangeError",
        "WS_ERR_TOO_MANY_BUFFERED_PARTS",
        "Too many message fragments",
        1008,
      );
    });
  }

  test("maxFragments allows its number in each message, 0 any number", async (t) => {
    for (const [maxFragments, count] of [
      [3, 3],
      [0, 20_000],
    ] as const) {
      const bytes = Buffer.concat([fragments(count), fragments(count), masked(8, closePayload(1000))]);
      const outcome = await toServer(t, ws, bytes, { maxFragments });
      assert.deepEqual([outcome.code, outcome.errors], [1000, []]);
    }
  });

  test("maxFragments is an option of the client as well", async (t) => {
    const bytes = Buffer.concat([frame(1, "x", { fin: false }), frame(0, "x", { fin: false }), frame(0, "x")]);
    const outcome = await toClient(t, ws, bytes, { maxFragments: 2 });
    assertRefused(outcome, "RangeError", "WS_ERR_TOO_MANY_BUFFERED_PARTS", "Too many message fragments", 1008);
  });

  test("maxFragments counts compressed fragments", async (t) => {
    const bytes = Buffer.concat([
      masked(1, Buffer.from([0xca]), { rsv: 4, fin: false }),
      masked(0, Buffer.from([0x48]), { fin: false }),
      masked(0, Buffer.from([0xcd]), { fin: false }),
    ]);
    const outcome = await toServer(t, ws, bytes, { perMessageDeflate: true, maxFragments: 2 }, DEFLATE);
    assert.equal(outcome.errors[0]?.code, "WS_ERR_TOO_MANY_BUFFERED_PARTS");
  });

  test("maxBufferedChunks refuses more chunks of one frame: 1008", async (t) => {
    const { port, server } = await listen(t, ws, { maxBufferedChunks: 2 });
    const connected = event(server, "connection");
    const wire = await wireClient(t, port);
    const [socket] = (await connected) as [Socket];
    const closed = closing(socket);
    wire.socket.setNoDelay(true);
    // each chunk is read before the next one is sent
    const read = (): number => socket._socket?.bytesRead ?? 0;
    let expected = read();
    for (const chunk of [
      Buffer.from([0x82, 0xfe, 0, 200, 1, 2, 3, 4]),
      Buffer.from("a"),
      Buffer.from("b"),
      Buffer.from("c"),
    ]) {
      wire.write(chunk);
      expected += chunk.length;
      while (socket.readyState === ws.WebSocket.OPEN && read() < expected)
        await new Promise((resolve) => setImmediate(resolve));
    }
    const replies = await wire.untilEnd();
    wire.socket.end();
    assertRefused(
      { ...(await closed), replies },
      "RangeError",
      "WS_ERR_TOO_MANY_BUFFERED_PARTS",
      "Too many buffered chunks",
      1008,
    );
  });
});
