import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, deflateRawSync } from "node:zlib";
import { BINARY, CLOSE, CONTINUATION, type Event, type Frame, PING, TEXT } from "../cases/case.ts";
import { corpus, slice } from "../cases/corpus.ts";
import { Deflater, Inflater } from "../wire/deflate.ts";
import { accept, offer, readAnswer } from "../wire/deflate-negotiation.ts";
import { type FrameHeader, FrameParser } from "../wire/frame-parser.ts";
import { encodeFrame, fragments, headerLength } from "../wire/frame-writer.ts";
import { acceptValue, parseHead, requestFault, responseFault } from "../wire/http.ts";
import { Inbound } from "../wire/inbound.ts";

function parse(chunks: readonly Buffer[]): { headers: FrameHeader[]; payloads: Buffer[] } {
  const headers: FrameHeader[] = [];
  const payloads: Buffer[] = [];
  let pieces: Buffer[] = [];
  const parser = new FrameParser({
    header: (header) => headers.push(header),
    payload: (piece) => pieces.push(piece),
    end: () => {
      payloads.push(Buffer.concat(pieces));
      pieces = [];
    },
  });
  for (const chunk of chunks) parser.push(chunk);
  return { headers, payloads };
}

test("the parser reads the frames of RFC 6455 §5.7", () => {
  const hello = Buffer.from("Hello");
  assert.equal(encodeFrame({ opcode: TEXT, payload: hello }, false).toString("hex"), "810548656c6c6f");
  const masked = Buffer.from("818537fa213d7f9f4d5158", "hex");
  assert.deepEqual(parse([masked]).payloads, [hello]);
  assert.equal(encodeFrame({ opcode: BINARY, payload: Buffer.alloc(256) }, false).toString("hex", 0, 4), "827e0100");
  const long = encodeFrame({ opcode: BINARY, payload: Buffer.alloc(65536) }, false);
  assert.equal(long.toString("hex", 0, 10), "827f0000000000010000");
});

test("the parser reads what the writer writes, whole and split at every byte", () => {
  for (const length of [0, 1, 3, 125, 126, 127, 65535, 65536]) {
    for (const masked of [false, true]) {
      const payload = Buffer.from(slice(corpus("json"), length, length));
      const frame: Frame = { opcode: TEXT, fin: false, rsv: 5, payload };
      const bytes = Buffer.concat([encodeFrame(frame, masked), encodeFrame({ opcode: PING }, masked)]);
      assert.equal(bytes.length - 2 - (masked ? 4 : 0), headerLength(payload, masked) + length);
      const cuts = length > 127 ? [1, 2, 3, 4, 9, 10, 11, 14, 15, 100, length] : Array.from(bytes.keys());
      for (const cut of cuts) {
        const { headers, payloads } = parse([bytes.subarray(0, cut), bytes.subarray(cut)]);
        assert.deepEqual(headers, [
          { fin: false, rsv: 5, opcode: TEXT, masked, length, minimal: true },
          { fin: true, rsv: 0, opcode: PING, masked, length: 0, minimal: true },
        ]);
        assert.deepEqual(payloads, [payload, Buffer.alloc(0)]);
      }
    }
  }
});

test("a message that divides evenly ends with an empty fragment", () => {
  const shape = (length: number, size: number): string =>
    [...fragments(TEXT, Buffer.alloc(length), size, 4)]
      .map(({ opcode, fin = true, rsv = 0, payload }) => `${opcode}${fin ? "!" : ""}${rsv} ${payload?.length}`)
      .join(", ");
  assert.equal(shape(6, 3), "14 3, 00 3, 0!0 0");
  assert.equal(shape(5, 3), "14 3, 0!0 2");
  assert.equal(shape(3, 3), "1!4 3");
  assert.equal(shape(3, 0), "1!4 3");
  assert.equal([...fragments(TEXT, Buffer.alloc(4 * 2 ** 20), 64)].length, 65_537);
});

interface Seen {
  readonly events: readonly Event[];
  readonly violation: string | undefined;
}

function read(bytes: Buffer, masked: boolean, inflater?: Inflater): Seen {
  const events: Event[] = [];
  let violation: string | undefined;
  const inbound = new Inbound(
    {
      event: (event) => events.push(event),
      close: () => {},
      violation: (what) => {
        violation ??= what;
      },
    },
    { masked, inflater },
  );
  for (const byte of bytes) inbound.push(Buffer.from([byte]));
  return { events, violation };
}

test("every violation of the protocol is detected", () => {
  const violations: readonly (readonly [RegExp, readonly Frame[]])[] = [
    [/RSV = 4$/, [{ opcode: TEXT, rsv: 4 }]],
    [/RSV = 2 on a control/, [{ opcode: PING, rsv: 2 }]],
    [/reserved opcode 3/, [{ opcode: 3 }]],
    [/reserved opcode 11/, [{ opcode: 11 }]],
    [/fragmented control/, [{ opcode: PING, fin: false }]],
    [/control frame of 126/, [{ opcode: PING, payload: Buffer.alloc(126) }]],
    [/continuation of nothing/, [{ opcode: CONTINUATION }]],
    [/new message before/, [{ opcode: TEXT, fin: false }, { opcode: TEXT }]],
    [/text message that is not UTF-8/, [{ opcode: TEXT, payload: Buffer.from([0xff]) }]],
    [/payload of one byte/, [{ opcode: CLOSE, payload: Buffer.alloc(1) }]],
    [/Close with the code 999/, [{ opcode: CLOSE, payload: Buffer.from([0x03, 0xe7]) }]],
    [/reason that is not UTF-8/, [{ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8, 0xff]) }]],
    [/second Close/, [{ opcode: CLOSE }, { opcode: CLOSE }]],
    [/data frame behind a Close/, [{ opcode: CLOSE }, { opcode: TEXT }]],
  ];
  for (const [what, frames] of violations) {
    const bytes = Buffer.concat(frames.map((frame) => encodeFrame(frame, true)));
    assert.match(read(bytes, true).violation ?? "", what);
    assert.match(read(bytes, false).violation ?? "", /masked/);
  }
  assert.match(read(Buffer.from("817e0001", "hex"), false).violation ?? "", /shortest form/);
  assert.match(read(Buffer.from("817f000000000000ffff", "hex"), false).violation ?? "", /shortest form/);
  const fine = [
    { opcode: TEXT, fin: false, payload: Buffer.from("ä").subarray(0, 1) },
    { opcode: PING, payload: Buffer.alloc(125) },
    { opcode: CONTINUATION, payload: Buffer.from("ä").subarray(1) },
    { opcode: CLOSE, payload: Buffer.from([0x03, 0xe8]) },
  ];
  assert.deepEqual(read(Buffer.concat(fine.map((frame) => encodeFrame(frame, false))), false), {
    events: [
      { is: "ping", payload: Buffer.alloc(125) },
      { is: "message", text: true, payload: Buffer.from("ä") },
    ],
    violation: undefined,
  });
});

test("messages inflate with the parameters they were deflated with, and with no others", () => {
  for (const windowBits of [8, 9, 12, 15]) {
    for (const noContextTakeover of [false, true]) {
      const deflater = new Deflater({ windowBits, noContextTakeover });
      const inflater = new Inflater({ windowBits, noContextTakeover });
      for (const length of [0, 1, 100, 1000, 40_000, 1000]) {
        const message = Buffer.from(slice(corpus("json"), length * 7, length));
        assert.deepEqual(inflater.inflate(deflater.compress(message)), message);
      }
    }
  }
  const message = slice(corpus("json"), 0, 4096);
  const wide = new Deflater({ windowBits: 15, noContextTakeover: true }).compress(message);
  assert.throws(() => new Inflater({ windowBits: 8, noContextTakeover: true }).inflate(wide), /too far back/);
  const kept = new Deflater({ windowBits: 15, noContextTakeover: false });
  const forgetful = new Inflater({ windowBits: 15, noContextTakeover: true });
  forgetful.inflate(kept.compress(message));
  assert.throws(() => forgetful.inflate(kept.compress(message)), /too far back/);
  assert.throws(() => new Inflater({ windowBits: 15, noContextTakeover: true }).inflate(Buffer.from("ffff", "hex")));
});

test("the examples of RFC 7692 §7.2.3.1 to §7.2.3.5 inflate: Hello compressed, again with context, stored, in two blocks", () => {
  const inflater = new Inflater({ windowBits: 15, noContextTakeover: false });
  const hello = Buffer.from("Hello");
  for (const hex of [
    "f248cdc9c90700",
    "f200110000",
    "000500faff48656c6c6f00",
    "f348cdc9c9070000",
    "f24805000000ffffcac9c90700",
  ]) {
    assert.deepEqual(inflater.inflate(Buffer.from(hex, "hex")), hello, hex);
  }
  const shared = deflateRawSync(hello, { finishFlush: constants.Z_SYNC_FLUSH });
  const deflater = new Deflater({ windowBits: 15, noContextTakeover: true });
  assert.deepEqual(deflater.compress(hello), shared.subarray(0, -4));
});

test("permessage-deflate is negotiated as in RFC 7692 §7.1", () => {
  const nothing = { noContextTakeover: false, windowBits: 0 };
  const strict = { noContextTakeover: true, windowBits: 8 };
  assert.equal(
    offer([strict, nothing]),
    "permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=8, " +
      "permessage-deflate; client_max_window_bits",
  );
  assert.equal(readAnswer("", [nothing]), undefined);
  assert.deepEqual(
    readAnswer('permessage-deflate; client_max_window_bits="9"; server_no_context_takeover', [nothing]),
    {
      receiving: { noContextTakeover: true, windowBits: 15 },
      sending: { noContextTakeover: false, windowBits: 9 },
    },
  );
  for (const wrong of [
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits=16",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover=1; server_max_window_bits=8",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; server_max_window_bits=8",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; other",
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=8, other",
    "x-webkit-deflate-frame",
  ]) {
    assert.equal(typeof readAnswer(wrong, [strict]), "string", wrong);
  }
  assert.equal(accept("permessage-deflate", [strict]), undefined);
  assert.deepEqual(accept("permessage-deflate; server_max_window_bits=10; client_max_window_bits", [strict]), {
    answer: "permessage-deflate; server_max_window_bits=10; client_no_context_takeover; client_max_window_bits=8",
    agreement: {
      sending: { noContextTakeover: false, windowBits: 10 },
      receiving: { noContextTakeover: true, windowBits: 8 },
    },
  });
  assert.equal(accept("permessage-deflate", [strict, nothing])?.answer, "permessage-deflate");
});

test("the handshake of RFC 6455 §1.3 is accepted", () => {
  assert.equal(acceptValue("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  const parsed = parseHead(
    Buffer.from("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: a\r\nConnection: Upgrade\r\n\r\nrest"),
  );
  assert.ok(parsed);
  assert.equal(parsed.rest.toString(), "rest");
  assert.equal(parsed.head.fields.get("connection"), "a, Upgrade");
  assert.match(responseFault(parsed.head, "key") ?? "", /Accept/);
  assert.match(requestFault(parsed.head) ?? "", /^the request is "HTTP/);
  assert.equal(parseHead(Buffer.from("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n")), undefined);
});
