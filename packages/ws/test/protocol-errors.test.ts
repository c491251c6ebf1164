// What a receiver refuses: the error's code and message, the close code that the peer gets.
import assert from "node:assert/strict";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closing, listen, type Closed } from "./support/pairs.ts";
import { assertRefused, DEFLATE, toClient, toServer } from "./support/refused.ts";
import { closePayload, frame, masked, wireClient } from "./support/wire.ts";

const INVALID = "Invalid WebSocket frame: ";

onEach("a violation of the protocol", (ws) => {
  for (const [title, bytes, name, code, text, closeCode] of [
    [
      "RSV1 without compression",
      masked(1, "x", { rsv: 4 }),
      "RangeError",
      "WS_ERR_UNEXPECTED_RSV_1",
      `${INVALID}RSV1 must be clear`,
      1002,
    ],
    [
      "RSV2",
      masked(1, "x", { rsv: 2 }),
      "RangeError",
      "WS_ERR_UNEXPECTED_RSV_2_3",
      `${INVALID}RSV2 and RSV3 must be clear`,
      1002,
    ],
    [
      "RSV3",
      masked(1, "x", { rsv: 1 }),
      "RangeError",
      "WS_ERR_UNEXPECTED_RSV_2_3",
      `${INVALID}RSV2 and RSV3 must be clear`,
      1002,
    ],
    [
      "RSV1 in a control frame",
      masked(9, "", { rsv: 4 }),
      "RangeError",
      "WS_ERR_UNEXPECTED_RSV_1",
      `${INVALID}RSV1 must be clear`,
      1002,
    ],
    [
      "a continuation without a message",
      masked(0, "x"),
      "RangeError",
      "WS_ERR_INVALID_OPCODE",
      `${INVALID}invalid opcode 0`,
      1002,
    ],
    [
      "text within a message",
      Buffer.concat([masked(1, "x", { fin: false }), masked(1, "y")]),
      "RangeError",
      "WS_ERR_INVALID_OPCODE",
      `${INVALID}invalid opcode 1`,
      1002,
    ],
    [
      "binary within a message",
      Buffer.concat([masked(1, "x", { fin: false }), masked(2, "y")]),
      "RangeError",
      "WS_ERR_INVALID_OPCODE",
      `${INVALID}invalid opcode 2`,
      1002,
    ],
    ["the opcode 3", masked(3, ""), "RangeError", "WS_ERR_INVALID_OPCODE", `${INVALID}invalid opcode 3`, 1002],
    ["the opcode 7", masked(7, ""), "RangeError", "WS_ERR_INVALID_OPCODE", `${INVALID}invalid opcode 7`, 1002],
    ["the opcode 11", masked(11, ""), "RangeError", "WS_ERR_INVALID_OPCODE", `${INVALID}invalid opcode 11`, 1002],
    ["the opcode 15", masked(15, ""), "RangeError", "WS_ERR_INVALID_OPCODE", `${INVALID}invalid opcode 15`, 1002],
    [
      "a ping without FIN",
      masked(9, "", { fin: false }),
      "RangeError",
      "WS_ERR_EXPECTED_FIN",
      `${INVALID}FIN must be set`,
      1002,
    ],
    [
      "a Close without FIN",
      masked(8, "", { fin: false }),
      "RangeError",
      "WS_ERR_EXPECTED_FIN",
      `${INVALID}FIN must be set`,
      1002,
    ],
    [
      "a ping of 126 bytes",
      masked(9, "x".repeat(126)),
      "RangeError",
      "WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH",
      `${INVALID}invalid payload length 126`,
      1002,
    ],
    [
      "a Close of 1 byte",
      masked(8, "x"),
      "RangeError",
      "WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH",
      `${INVALID}invalid payload length 1`,
      1002,
    ],
    [
      "the close code 1005",
      masked(8, closePayload(1005)),
      "RangeError",
      "WS_ERR_INVALID_CLOSE_CODE",
      `${INVALID}invalid status code 1005`,
      1002,
    ],
    [
      "the close code 0",
      masked(8, closePayload(0)),
      "RangeError",
      "WS_ERR_INVALID_CLOSE_CODE",
      `${INVALID}invalid status code 0`,
      1002,
    ],
    [
      "the close code 1016",
      masked(8, closePayload(1016)),
      "RangeError",
      "WS_ERR_INVALID_CLOSE_CODE",
      `${INVALID}invalid status code 1016`,
      1002,
    ],
    [
      "the close code 5000",
      masked(8, closePayload(5000)),
      "RangeError",
      "WS_ERR_INVALID_CLOSE_CODE",
      `${INVALID}invalid status code 5000`,
      1002,
    ],
    [
      "invalid UTF-8 in text",
      masked(1, Buffer.from([0xce, 0xba, 0xe1, 0xbd])),
      "Error",
      "WS_ERR_INVALID_UTF8",
      `${INVALID}invalid UTF-8 sequence`,
      1007,
    ],
    [
      "invalid UTF-8 in fragments",
      Buffer.concat([masked(1, Buffer.from([0xce]), { fin: false }), masked(0, Buffer.from([0xce]))]),
      "Error",
      "WS_ERR_INVALID_UTF8",
      `${INVALID}invalid UTF-8 sequence`,
      1007,
    ],
    [
      "invalid UTF-8 in a reason",
      masked(8, Buffer.concat([closePayload(1000), Buffer.from([0xff])])),
      "Error",
      "WS_ERR_INVALID_UTF8",
      `${INVALID}invalid UTF-8 sequence`,
      1007,
    ],
    [
      "a payload of 2^53 bytes",
      Buffer.from([0x82, 0xff, 0x00, 0x20, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
      "RangeError",
      "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH",
      "Unsupported WebSocket frame: payload length > 2^53 - 1",
      1009,
    ],
    [
      "an unmasked frame from a client",
      frame(1, "x"),
      "RangeError",
      "WS_ERR_EXPECTED_MASK",
      `${INVALID}MASK must be set`,
      1002,
    ],
  ] as const) {
    test(`${title} is refused with ${code} and ${closeCode}`, async (t) => {
      assertRefused(await toServer(t, ws, bytes), name, code, text, closeCode);
    });
  }

  test("a masked frame from a server is refused with WS_ERR_UNEXPECTED_MASK and 1002", async (t) => {
    const outcome = await toClient(t, ws, masked(1, "x"));
    assertRefused(outcome, "RangeError", "WS_ERR_UNEXPECTED_MASK", `${INVALID}MASK must be clear`, 1002);
  });

  test("messages before the violation are emitted", async (t) => {
    const { port, server } = await listen(t, ws);
    const received: string[] = [];
    const closed = new Promise<Closed>((resolve) =>
      server.on("connection", (socket: Socket) => {
        socket.on("message", (data: Buffer) => received.push(data.toString()));
        resolve(closing(socket));
      }),
    );
    const wire = await wireClient(t, port);
    wire.write(masked(1, "before"), frame(1, "unmasked"), masked(1, "after"));
    await wire.untilEnd();
    wire.socket.end();
    assert.equal((await closed).errors[0]?.code, "WS_ERR_EXPECTED_MASK");
    assert.deepEqual(received, ["before"]);
  });

  test("in the error event the state is CLOSING", async (t) => {
    const { port, server } = await listen(t, ws);
    const state = new Promise<number>((resolve) =>
      server.on("connection", (socket: Socket) => socket.on("error", () => resolve(socket.readyState))),
    );
    (await wireClient(t, port)).write(frame(1, "x"));
    assert.equal(await state, ws.WebSocket.CLOSING);
  });

  test("a continuation with RSV1 is refused also with compression", async (t) => {
    const bytes = Buffer.concat([masked(1, "x", { fin: false }), masked(0, "y", { rsv: 4 })]);
    const outcome = await toServer(t, ws, bytes, { perMessageDeflate: true }, DEFLATE);
    assertRefused(outcome, "RangeError", "WS_ERR_UNEXPECTED_RSV_1", `${INVALID}RSV1 must be clear`, 1002);
  });

  test("a compressed message that does not inflate is an error with 1007", async (t) => {
    const bytes = masked(1, Buffer.from([0xff, 0xff, 0xff]), { rsv: 4 });
    const outcome = await toServer(t, ws, bytes, { perMessageDeflate: true }, DEFLATE);
    assert.equal(outcome.errors.length, 1);
    assert.match(String(outcome.errors[0]?.code), /^Z_/);
    assert.deepEqual(outcome.replies[0]?.payload, closePayload(1007));
  });
});
