// Receiver, Sender and PerMessageDeflate, used without a socket.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { onEach, test, type DeflateInstance } from "./support/implementations.ts";
import { closePayload, frame, FrameReader, masked, OPCODE } from "./support/wire.ts";

function sink(): { socket: Duplex; written: Buffer[] } {
  const written: Buffer[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  return { socket, written };
}

onEach("Receiver", (ws) => {
  test("emits message, ping, pong and conclude", () => {
    const receiver = new ws.Receiver({ isServer: true });
    const events: unknown[][] = [];
    for (const name of ["message", "ping", "pong", "conclude"]) {
      receiver.on(name, (...args: unknown[]) => events.push([name, ...args]));
    }
    receiver.write(
      Buffer.concat([
        masked(OPCODE.text, "text"),
        masked(OPCODE.binary, "bytes"),
        masked(OPCODE.ping, "1"),
        masked(OPCODE.pong, "2"),
        masked(OPCODE.close, closePayload(1000, "bye")),
      ]),
    );
    assert.deepEqual(events, [
      ["message", Buffer.from("text"), false],
      ["message", Buffer.from("bytes"), true],
      ["ping", Buffer.from("1")],
      ["pong", Buffer.from("2")],
      ["conclude", 1000, Buffer.from("bye")],
    ]);
  });

  test("a Close without a code concludes with 1005", async () => {
    const receiver = new ws.Receiver();
    const concluded = once(receiver, "conclude");
    receiver.end(frame(OPCODE.close));
    assert.deepEqual(await concluded, [1005, Buffer.alloc(0)]);
    await once(receiver, "finish");
  });

  test("takes a frame in pieces of one byte", async () => {
    const receiver = new ws.Receiver();
    const received = once(receiver, "message");
    for (const byte of frame(OPCODE.text, "x".repeat(200))) receiver.write(Buffer.from([byte]));
    assert.equal(String((await received)[0]), "x".repeat(200));
  });

  test("messages in many pieces, one after another, arrive as they were sent", () => {
    for (const binaryType of ["nodebuffer", "arraybuffer", "fragments"]) {
      for (let round = 0; round < 4; round++) {
        const receiver = new ws.Receiver({ binaryType });
        const sent = [17, 19_221, 300_000, 83].map((size, at) => Buffer.alloc(size, round * 10 + at));
        const received: Buffer[] = [];
        receiver.on("message", (data: Buffer[] | Buffer) =>
          received.push(Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)),
        );
        for (const [at, part] of sent.entries()) {
          const options = { fin: at === sent.length - 1 };
          receiver.write(frame(at === 0 ? OPCODE.binary : OPCODE.continuation, part, options));
        }
        assert.ok(Buffer.concat(sent).equals(received[0] ?? Buffer.alloc(0)), `${binaryType}, round ${round}`);
      }
    }
  });

  test("an error event has the code", async () => {
    const receiver = new ws.Receiver();
    const failed = once(receiver, "error");
    receiver.write(frame(3));
    const [error] = (await failed) as [Error & { code: string }];
    assert.deepEqual([error.name, error.code], ["RangeError", "WS_ERR_INVALID_OPCODE"]);
  });

  for (const [option, bytes, code] of [
    [{ maxPayload: 3 }, frame(OPCODE.text, "1234"), "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"],
    [
      { maxFragments: 1 },
      Buffer.concat([frame(OPCODE.text, "1", { fin: false }), frame(OPCODE.continuation, "2")]),
      "WS_ERR_TOO_MANY_BUFFERED_PARTS",
    ],
  ] as const) {
    test(`option ${JSON.stringify(option)}`, async () => {
      const receiver = new ws.Receiver(option);
      const failed = once(receiver, "error");
      receiver.write(bytes);
      assert.equal(((await failed)[0] as { code: string }).code, code);
    });
  }

  test("options binaryType, skipUTF8Validation and allowSynchronousEvents", async () => {
    const receiver = new ws.Receiver({
      binaryType: "arraybuffer",
      skipUTF8Validation: true,
      allowSynchronousEvents: false,
    });
    let sync = true;
    const first = new Promise<unknown[]>((resolve) =>
      receiver.once("message", (...args: unknown[]) => {
        assert.equal(sync, false);
        resolve(args);
      }),
    );
    receiver.write(frame(OPCODE.binary, "abc"));
    sync = false;
    assert.ok((await first)[0] instanceof ArrayBuffer);
    receiver.write(frame(OPCODE.text, Buffer.from([0xff])));
    assert.deepEqual(await once(receiver, "message"), [Buffer.from([0xff]), false]);
  });

  test("decompresses with the given extension", async () => {
    const deflate = new ws.PerMessageDeflate();
    deflate.accept([{}]);
    const receiver = new ws.Receiver({ extensions: { "permessage-deflate": deflate } });
    const received = once(receiver, "message");
    deflate.compress(Buffer.from("compressed"), true, (_error, data) => {
      receiver.write(frame(OPCODE.text, data, { rsv: 4 }));
    });
    assert.deepEqual(await received, [Buffer.from("compressed"), false]);
  });
});

onEach("Sender", (ws) => {
  for (const [title, data, options, expected] of [
    ["text", "hi", { opcode: 1, fin: true, mask: false, rsv1: false, readOnly: false }, frame(OPCODE.text, "hi")],
    ["bytes", Buffer.from("hi"), { opcode: 2, fin: true, mask: false, readOnly: true }, frame(OPCODE.binary, "hi")],
    ["an empty payload", Buffer.alloc(0), { opcode: 9, fin: true, mask: false, readOnly: true }, frame(OPCODE.ping)],
    [
      "a fragment with RSV1",
      Buffer.from("x"),
      { opcode: 1, fin: false, rsv1: true, mask: false },
      frame(1, "x", { fin: false, rsv: 4 }),
    ],
    ["126 bytes", Buffer.alloc(126), { opcode: 2, fin: true, mask: false }, frame(2, Buffer.alloc(126))],
    ["65,536 bytes", Buffer.alloc(65_536), { opcode: 2, fin: true, mask: false }, frame(2, Buffer.alloc(65_536))],
  ] as const) {
    test(`frame: ${title}`, () => {
      const list = ws.Sender.frame(data, options);
      assert.ok(Array.isArray(list));
      assert.ok(list.length === 1 || list.length === 2);
      assert.deepEqual(Buffer.concat(list.map((part) => Buffer.from(part))), expected);
    });
  }

  test("frame: mask with a random key; read-only data stays as it is, other data may be masked in place", () => {
    const data = Buffer.from("read-only");
    const list = ws.Sender.frame(data, { opcode: 2, fin: true, mask: true, readOnly: true });
    assert.equal(data.toString(), "read-only");
    const [read] = new FrameReader().push(Buffer.concat(list));
    assert.deepEqual([read?.masked, read?.payload.toString()], [true, "read-only"]);
    const large = Buffer.alloc(1000, 1);
    const [other] = new FrameReader().push(
      Buffer.concat(ws.Sender.frame(Buffer.from(large), { opcode: 2, fin: true, mask: true, readOnly: false })),
    );
    assert.ok(large.equals(other?.payload ?? Buffer.alloc(0)));
  });

  test("frame: generateMask and maskBuffer", () => {
    const list = ws.Sender.frame(Buffer.from("x"), {
      opcode: 2,
      fin: true,
      mask: true,
      readOnly: true,
      maskBuffer: Buffer.alloc(4),
      generateMask: (mask: Buffer) => mask.fill(7),
    });
    assert.deepEqual([...(new FrameReader().push(Buffer.concat(list))[0]?.mask ?? [])], [7, 7, 7, 7]);
  });

  test("send, ping, pong and close write frames to the given stream, and call back", async () => {
    const { socket, written } = sink();
    const sender = new ws.Sender(socket);
    await new Promise<void>((resolve) =>
      sender.send("text", { binary: false, fin: true, mask: false, compress: false }, () => resolve()),
    );
    await new Promise<void>((resolve) =>
      sender.send(Buffer.from("bytes"), { binary: true, fin: true, mask: true, compress: false }, () => resolve()),
    );
    await new Promise<void>((resolve) => sender.ping("ping", false, () => resolve()));
    await new Promise<void>((resolve) => sender.pong(Buffer.from("pong"), false, () => resolve()));
    await new Promise<void>((resolve) => sender.close(1000, "bye", false, () => resolve()));
    const frames = new FrameReader().push(Buffer.concat(written));
    assert.deepEqual(
      frames.map(({ opcode, masked: isMasked, payload }) => [opcode, isMasked, payload.toString("latin1")]),
      [
        [1, false, "text"],
        [2, true, "bytes"],
        [9, false, "ping"],
        [10, false, "pong"],
        [8, false, "\x03\xe8bye"],
      ],
    );
  });

  test("compresses with the given extension, in order", async () => {
    const { socket, written } = sink();
    const deflate = new ws.PerMessageDeflate();
    deflate.accept([{}]);
    const sender = new ws.Sender(socket, { "permessage-deflate": deflate });
    const options = { binary: false, fin: true, mask: false };
    sender.send("compressed", { ...options, compress: true });
    await new Promise<void>((resolve) => sender.send("plain", { ...options, compress: false }, () => resolve()));
    const frames = new FrameReader().push(Buffer.concat(written));
    assert.deepEqual(
      frames.map(({ rsv1 }) => rsv1),
      [true, false],
    );
    assert.equal(frames[1]?.payload.toString(), "plain");
  });
});

onEach("PerMessageDeflate", (ws) => {
  test("offer has the parameters of the options", () => {
    assert.deepEqual(new ws.PerMessageDeflate().offer(), { client_max_window_bits: true });
    assert.deepEqual(
      new ws.PerMessageDeflate({
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
        serverMaxWindowBits: 10,
        clientMaxWindowBits: 11,
      }).offer(),
      {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 10,
        client_max_window_bits: 11,
      },
    );
  });

  test("accept as a server returns the agreed parameters and keeps them as params", () => {
    const deflate = new ws.PerMessageDeflate({ isServer: true, serverNoContextTakeover: true });
    assert.equal(deflate.params, null);
    const agreed = deflate.accept([{ client_max_window_bits: [true], server_max_window_bits: ["10"] }]);
    assert.deepEqual(agreed, { server_max_window_bits: 10, server_no_context_takeover: true });
    assert.equal(deflate.params, agreed);
  });

  test("accept as a server throws if no offer is acceptable", () => {
    const deflate = new ws.PerMessageDeflate({ isServer: true, clientMaxWindowBits: 10 });
    assert.throws(() => deflate.accept([{}]), { message: "None of the extension offers can be accepted" });
  });

  for (const [title, isServer, parameters, text] of [
    ["an unknown parameter", true, { foo: [true] }, 'Unknown parameter "foo"'],
    [
      "a parameter twice",
      true,
      { server_no_context_takeover: [true, true] },
      'Parameter "server_no_context_takeover" must have only a single value',
    ],
    [
      "a value for a flag",
      true,
      { server_no_context_takeover: ["10"] },
      'Invalid value for parameter "server_no_context_takeover": 10',
    ],
    [
      "window bits of 7",
      true,
      { server_max_window_bits: ["7"] },
      'Invalid value for parameter "server_max_window_bits": 7',
    ],
    [
      "window bits without a value from a server",
      false,
      { client_max_window_bits: [true] },
      'Invalid value for parameter "client_max_window_bits": true',
    ],
  ] as const) {
    test(`accept throws for ${title}`, () => {
      const deflate = new ws.PerMessageDeflate({ isServer });
      assert.throws(() => deflate.accept([parameters]), { message: text });
    });
  }

  for (const [options, parameters, text] of [
    [
      { clientNoContextTakeover: false },
      { client_no_context_takeover: [true] },
      'Unexpected parameter "client_no_context_takeover"',
    ],
    [
      { clientMaxWindowBits: false },
      { client_max_window_bits: ["10"] },
      'Unexpected or invalid parameter "client_max_window_bits"',
    ],
    [
      { clientMaxWindowBits: 10 },
      { client_max_window_bits: ["11"] },
      'Unexpected or invalid parameter "client_max_window_bits"',
    ],
  ] as const) {
    test(`accept as a client with ${JSON.stringify(options)} throws for ${JSON.stringify(parameters)}`, () => {
      assert.throws(() => new ws.PerMessageDeflate(options).accept([parameters]), { message: text });
    });
  }

  const roundTrip = async (from: DeflateInstance, to: DeflateInstance, text: string): Promise<string> => {
    const data = await new Promise<Buffer>((resolve, reject) =>
      from.compress(Buffer.from(text), true, (error, out) => (error ? reject(error) : resolve(out))),
    );
    const back = await new Promise<Buffer>((resolve, reject) =>
      to.decompress(data, true, (error, out) => (error ? reject(error) : resolve(out))),
    );
    return back.toString();
  };

  for (const options of [
    {},
    { serverNoContextTakeover: true, clientNoContextTakeover: true },
    { serverMaxWindowBits: 9 },
  ]) {
    test(`compress and decompress with ${JSON.stringify(options)}`, async () => {
      const [client, server] = [
        new ws.PerMessageDeflate(options),
        new ws.PerMessageDeflate({ ...options, isServer: true }),
      ];
      const agreed = server.accept(ws.extension.parse(ws.extension.format({ x: client.offer() }))["x"] ?? []);
      client.accept(ws.extension.parse(ws.extension.format({ x: agreed }))["x"] ?? []);
      for (const text of ["first", "first", "", "x".repeat(100_000)]) {
        assert.equal(await roundTrip(client, server, text), text);
        assert.equal(await roundTrip(server, client, text), text);
      }
      client.cleanup();
      server.cleanup();
    });
  }

  test("decompress refuses more than maxPayload", async () => {
    const from = new ws.PerMessageDeflate();
    const to = new ws.PerMessageDeflate({ maxPayload: 50 });
    from.accept([{}]);
    to.accept([{}]);
    const data = await new Promise<Buffer>((resolve) =>
      from.compress(Buffer.alloc(100), true, (_error, out) => resolve(out)),
    );
    const error = await new Promise<(Error & { code?: string }) | null | undefined>((resolve) =>
      to.decompress(data, true, resolve),
    );
    assert.deepEqual(
      [error?.name, error?.code, error?.message],
      ["RangeError", "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "Max payload size exceeded"],
    );
  });

  test("cleanup during compress calls back with an error", async () => {
    const deflate = new ws.PerMessageDeflate();
    deflate.accept([{}]);
    const called = new Promise<Error | null | undefined>((resolve) =>
      deflate.compress(Buffer.alloc(1_000_000), true, resolve),
    );
    await new Promise((resolve) => process.nextTick(resolve));
    deflate.cleanup();
    assert.equal((await called)?.message, "The deflate stream was closed while data was being processed");
  });
});
