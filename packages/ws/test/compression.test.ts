// permessage-deflate through the sockets.
import assert from "node:assert/strict";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import type { TestContext } from "node:test";
import { onEach, test, type Socket } from "./support/implementations.ts";
import { closing, event, listen, message, messages, pair, terminateAfter } from "./support/pairs.ts";
import { masked, OPCODE, wireClient, type Frame } from "./support/wire.ts";

const TEXT = JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ id, name: `name ${id}` })));
const TAIL = Buffer.from([0, 0, 255, 255]);

function deflated(text: string): Buffer {
  return deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function inflated(payload: Buffer): string {
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
}

const parametersOf = (answer: string | undefined): Set<string> => new Set(answer?.split("; "));

/**
 * The drop-in keeps no zlib stream for a connection: its servers decline context takeover wherever an
 * option does not ask for it. A client has to accept that (RFC 7692, section 7.1.1).
 */
function addedParameters(options: object | true): readonly string[] {
  const given = options === true ? {} : options;
  return [
    ...("serverNoContextTakeover" in given ? [] : ["server_no_context_takeover"]),
    ...("clientNoContextTakeover" in given ? [] : ["client_no_context_takeover"]),
  ];
}

onEach("compression", (ws, name) => {
  test("is off for servers and on for clients by default", async (t) => {
    const plain = await pair(t, ws);
    assert.deepEqual([plain.client.extensions, plain.peer.extensions], ["", ""]);
    const both = await pair(t, ws, { server: { perMessageDeflate: true } });
    assert.deepEqual([both.client.extensions, both.peer.extensions], ["permessage-deflate", "permessage-deflate"]);
  });

  for (const [title, options] of [
    ["with the defaults", {}],
    ["without context takeover", { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 }],
    ["with small windows", { serverMaxWindowBits: 9, clientMaxWindowBits: 9, threshold: 0 }],
    ["with zlib options", { zlibDeflateOptions: { level: 1, memLevel: 3 }, zlibInflateOptions: { chunkSize: 1024 } }],
  ] as const) {
    test(`messages of all kinds in both directions ${title}`, async (t) => {
      const { client, peer } = await pair(t, ws, { server: { perMessageDeflate: options } });
      for (const [from, to] of [
        [client, peer],
        [peer, client],
      ] as const) {
        const sent = ["", "short", TEXT, TEXT, "é".repeat(50_000), "x".repeat(1_000_000)];
        const received = messages(to, sent.length + 1);
        for (const text of sent) from.send(text);
        from.send(Buffer.from(TEXT));
        assert.deepEqual(await received, [...sent, TEXT]);
      }
    });
  }

  const response = async (t: TestContext, options: object | true, offer: string): Promise<string | undefined> => {
    const { port } = await listen(t, ws, { perMessageDeflate: options });
    const wire = await wireClient(t, port, { "Sec-WebSocket-Extensions": offer });
    return /\r\nSec-WebSocket-Extensions: (.*)/.exec(wire.head)?.[1];
  };

  for (const [options, offer, expected] of [
    [true, "permessage-deflate", "permessage-deflate"],
    [true, "permessage-deflate; client_max_window_bits", "permessage-deflate"],
    [true, "permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"],
    [true, "permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"],
    [true, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"],
    [true, "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"],
    [{ serverNoContextTakeover: true }, "permessage-deflate", "permessage-deflate; server_no_context_takeover"],
    [{ clientNoContextTakeover: true }, "permessage-deflate", "permessage-deflate; client_no_context_takeover"],
    [{ serverMaxWindowBits: 9 }, "permessage-deflate", "permessage-deflate; server_max_window_bits=9"],
    [
      { clientMaxWindowBits: 11 },
      "permessage-deflate; client_max_window_bits",
      "permessage-deflate; client_max_window_bits=11",
    ],
    [{ clientMaxWindowBits: false }, "permessage-deflate; client_max_window_bits=12", "permessage-deflate"],
    [
      { serverNoContextTakeover: false },
      "permessage-deflate; server_no_context_takeover, permessage-deflate",
      "permessage-deflate",
    ],
    [true, "foo, permessage-deflate", "permessage-deflate"],
    [true, "foo", undefined],
  ] as const) {
    test(`a server with ${JSON.stringify(options)} answers "${offer}" with ${expected ?? "nothing"}`, async (t) => {
      const answer = await response(t, options, offer);
      if (expected === undefined || name === "ws") assert.equal(answer, expected);
      else assert.deepEqual(parametersOf(answer), new Set([...parametersOf(expected), ...addedParameters(options)]));
    });
  }

  for (const offer of ["permessage-deflate", "permessage-deflate; client_max_window_bits"]) {
    test(`a server that asks for context takeover by both options answers "${offer}" as ws does`, async (t) => {
      const options = { serverNoContextTakeover: false, clientNoContextTakeover: false };
      assert.equal(await response(t, options, offer), "permessage-deflate");
    });
  }

  /** Returns the frames that a server sends. */
  const sent = async (
    t: TestContext,
    options: object,
    send: (peer: Socket) => void,
    count: number,
  ): Promise<Frame[]> => {
    const { port, server } = await listen(t, ws, { perMessageDeflate: options });
    server.on("connection", send);
    const wire = await wireClient(t, port, { "Sec-WebSocket-Extensions": "permessage-deflate" });
    const frames: Frame[] = [];
    for (let at = 0; at < count; at++) frames.push(await wire.next());
    return frames;
  };

  test("a compressed frame has RSV1 and inflates to the message", async (t) => {
    const [first] = await sent(t, {}, (peer) => peer.send(TEXT), 1);
    assert.equal(first?.rsv1, true);
    assert.ok((first?.payload.length ?? Infinity) < TEXT.length / 2);
    assert.equal(inflated(first?.payload ?? Buffer.alloc(0)), TEXT);
  });

  test("threshold: with no context takeover, smaller messages are not compressed; the default is 1024", async (t) => {
    const frames = await sent(
      t,
      { serverNoContextTakeover: true },
      (peer) => {
        peer.send("x".repeat(1023));
        peer.send("x".repeat(1024));
        peer.send("é".repeat(512));
      },
      3,
    );
    assert.deepEqual(
      frames.map(({ rsv1 }) => rsv1),
      [false, true, true],
    );
  });

  test("threshold has no effect with context takeover", async (t) => {
    const options = { threshold: 1024, serverNoContextTakeover: false, clientNoContextTakeover: false };
    const [first] = await sent(t, options, (peer) => peer.send("x"), 1);
    assert.equal(first?.rsv1, true);
  });

  test("compress: false sends uncompressed; compress: true obeys the threshold", async (t) => {
    const frames = await sent(
      t,
      { serverNoContextTakeover: true },
      (peer) => {
        peer.send(TEXT, { compress: false });
        peer.send("short", { compress: true });
        peer.send(TEXT, { compress: true });
      },
      3,
    );
    assert.deepEqual(
      frames.map(({ rsv1 }) => rsv1),
      [false, false, true],
    );
    assert.equal(frames[0]?.payload.toString(), TEXT);
  });

  test("only the first fragment has RSV1, and the whole inflates", async (t) => {
    const frames = await sent(
      t,
      { threshold: 0 },
      (peer) => {
        peer.send("first ", { fin: false });
        peer.send("second", { fin: true });
      },
      2,
    );
    assert.deepEqual(
      frames.map(({ rsv1, fin, opcode }) => [rsv1, fin, opcode]),
      [
        [true, false, OPCODE.text],
        [false, true, OPCODE.continuation],
      ],
    );
    assert.equal(inflated(Buffer.concat(frames.map(({ payload }) => payload))), "first second");
  });

  test("the order is kept between compressed, uncompressed, ping and close", async (t) => {
    const { client, peer } = await pair(t, ws, { server: { perMessageDeflate: { threshold: 0 } } });
    const order: string[] = [];
    peer.on("message", (data: Buffer) => order.push(data.toString().slice(0, 5)));
    peer.on("ping", () => order.push("ping"));
    const done = closing(peer);
    client.send("first".repeat(10_000));
    client.send("plain", { compress: false });
    client.ping();
    client.send(new Blob(["blob "]));
    client.send("last ");
    client.close(1000, "bye");
    assert.deepEqual(await done, { code: 1000, reason: "bye", errors: [] });
    assert.deepEqual(order, ["first", "plain", "ping", "blob ", "last "]);
  });

  test("callbacks of compressed messages are called in order, and bufferedAmount returns to 0", async (t) => {
    const { client } = await pair(t, ws, { server: { perMessageDeflate: { threshold: 0 } } });
    const order: number[] = [];
    await new Promise<void>((resolve) => {
      for (let at = 0; at < 20; at++) client.send(TEXT, () => order.push(at) === 20 && resolve());
    });
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, at) => at),
    );
    assert.equal(client.bufferedAmount, 0);
  });

  test("a compressed message from a peer without context takeover, in fragments", async (t) => {
    const { port, server } = await listen(t, ws, { perMessageDeflate: true });
    const connected = event(server, "connection");
    const wire = await wireClient(t, port, { "Sec-WebSocket-Extensions": "permessage-deflate" });
    const [peer] = (await connected) as [Socket];
    const bytes = deflated(TEXT);
    const received = messages(peer, 3);
    wire.write(
      masked(OPCODE.text, bytes, { rsv: 4 }),
      masked(OPCODE.text, bytes.subarray(0, 100), { rsv: 4, fin: false }),
      masked(OPCODE.continuation, Buffer.alloc(0), { fin: false }),
      masked(OPCODE.continuation, bytes.subarray(100)),
      masked(OPCODE.text, "uncompressed"),
    );
    assert.deepEqual(await received, [TEXT, TEXT, "uncompressed"]);
  });

  test("the same data to many clients in one tick", async (t) => {
    const { server, url } = await listen(t, ws, { perMessageDeflate: { threshold: 0 } });
    const clients = Array.from({ length: 10 }, () => new ws.WebSocket(url));
    for (const client of clients) terminateAfter(t, client);
    await Promise.all(clients.map((client) => event(client, "open")));
    const buffer = Buffer.from(TEXT);
    const received = Promise.all(clients.map((client) => messages(client, 3)));
    for (const peer of server.clients ?? []) peer.send(TEXT);
    for (const peer of server.clients ?? []) peer.send(buffer, { binary: false });
    buffer.fill("y"); // ws has not necessarily read it yet: only its own copy is compared
    for (const peer of server.clients ?? []) peer.send("end");
    for (const got of await received) {
      assert.equal(got[0], TEXT);
      assert.equal(got[2], "end");
    }
  });

  test("terminate while a message is compressed calls back with an error", async (t) => {
    const { client } = await pair(t, ws, { server: { perMessageDeflate: { threshold: 0 } } });
    const called = new Promise<unknown>((resolve) => client.send(Buffer.alloc(8 * 1024 * 1024), resolve));
    client.terminate();
    const error = await called;
    assert.ok(error instanceof Error);
    assert.match(
      error.message,
      /^(The socket was closed while data was being compressed|The deflate stream was closed while data was being processed)$/,
    );
  });

  test("a client refuses a server that compresses although it was not agreed", async (t) => {
    const { client, peer } = await pair(t, ws);
    const done = closing(client);
    peer._socket?.write(Buffer.concat([Buffer.from([0xc1, 3]), Buffer.from("abc")]));
    assert.equal((await done).errors[0]?.code, "WS_ERR_UNEXPECTED_RSV_1");
  });

  test("a compressed message in each binaryType", async (t) => {
    const { client, peer } = await pair(t, ws, { server: { perMessageDeflate: { threshold: 0 } } });
    const data = Buffer.from(TEXT);
    for (const type of ["nodebuffer", "arraybuffer", "fragments", "blob"]) {
      peer.binaryType = type;
      const received = message(peer);
      client.send(data);
      const got = (await received).data;
      const bytes =
        got instanceof Blob
          ? Buffer.from(await got.arrayBuffer())
          : Array.isArray(got)
            ? Buffer.concat(got as Buffer[])
            : Buffer.from(got as Buffer);
      assert.ok(data.equals(bytes), type);
    }
  });
});
