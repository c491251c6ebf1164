import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ErrorEntry, PROTOCOL_ERRORS, protocolError, WebSocketError } from "../../src/errors.ts";
import { PreparedMessage } from "../../src/messages/prepared.ts";
import { hex, pattern, show, toHex, utf8 } from "../support/bytes.ts";
import { chunkings } from "../support/chunks.ts";
import { ProtocolConfig } from "../../src/endpoint/options.ts";
import { Protocol } from "../../src/endpoint/protocol.ts";
import { identityCodec } from "../support/codec.ts";
import { Endpoint, handlerFailed, optionsOf, Pair } from "../support/endpoint.ts";
import { type FrameSpec, ROLES } from "../support/frames.ts";
import { framesTo } from "../support/receiving.ts";
import { keysOf } from "../support/sent.ts";
import { newMessage, runtime } from "../support/runtime.ts";

describe("messages", () => {
  for (const role of ROLES) {
    test(`are not sent compressed by a ${role} without compression`, () => {
      const { protocol } = new Endpoint(role);
      const prepared = new PreparedMessage(hex("00"), { compressed: true });
      assert.throws(() => protocol.send(prepared), { code: "INVALID_ARGUMENT" });
      assert.throws(() => protocol.beginMessage("text", true), { code: "INVALID_ARGUMENT" });
      assert.equal(protocol.output.size, 0);
      assert.equal(protocol.inMessage, false);
    });

    test(`are received and sent by a ${role}`, () => {
      const end = new Endpoint(role);
      end.receive({ opcode: 1, payload: utf8("in") }, { opcode: 2, payload: hex("00ff") }, { opcode: 10 });
      assert.deepEqual(end.events, ["text 696e", "binary 00ff", "pong"]);
      const { protocol } = end;
      protocol.send("out");
      protocol.send(hex("ff00"));
      protocol.send(new PreparedMessage("prepared"));
      protocol.send(newMessage("text", utf8("again"), 0, 5));
      protocol.sendPayload("text", utf8("payload"));
      protocol.ping();
      protocol.ping(hex("01"));
      protocol.pong();
      protocol.pong(hex("02"));
      protocol.beginMessage("binary");
      assert.equal(protocol.inMessage, true);
      protocol.sendFragment(hex("03"), false);
      protocol.sendFragment(hex("04"), true);
      assert.equal(protocol.inMessage, false);
      assert.deepEqual(end.sent(), [
        "text 6f7574 fin",
        "binary ff00 fin",
        `text ${toHex(utf8("prepared"))} fin`,
        `text ${toHex(utf8("again"))} fin`,
        `text ${toHex(utf8("payload"))} fin`,
        "ping fin",
        "ping 01 fin",
        "pong fin",
        "pong 02 fin",
        "binary 03",
        "continuation 04 fin",
      ]);
      assert.equal(protocol.state, "open");
      assert.equal(protocol.shouldEndStream, false);
    });

    test(`are compressed by a ${role} with a codec, in each form, and decompressed`, () => {
      const end = new Endpoint(role, { compression: true });
      const { protocol } = end;
      protocol.send("out");
      protocol.send(hex("ff00"));
      protocol.send(new PreparedMessage(hex("01"), { type: "text" }));
      protocol.sendPayload("text", utf8("payload"));
      protocol.transfer(newMessage("text", utf8("again"), 0, 5));
      protocol.send("plain", false);
      protocol.beginMessage("text", true);
      protocol.sendFragment(hex("05"), true);
      protocol.close(1000, "", 0);
      assert.deepEqual(end.sent(), [
        "text 6f7574 rsv 4 fin",
        "binary ff00 rsv 4 fin",
        "text 01 rsv 4 fin",
        `text ${toHex(utf8("payload"))} rsv 4 fin`,
        `text ${toHex(utf8("again"))} rsv 4 fin`,
        `text ${toHex(utf8("plain"))} fin`,
        "text 05 rsv 4 fin",
        "close 03e8 fin",
      ]);
      end.receive({ opcode: 1, rsv: 4, payload: utf8("in") }, { opcode: 2, payload: hex("00") });
      assert.deepEqual(end.events, ["state closing", "text 696e", "binary 00"]);
      assert.equal(protocol.messagesReceived, 2);
      end.receive({ opcode: 1, rsv: 4, payload: hex("ff") });
      assert.equal(end.code, "INVALID_UTF8");
    });

    test(`of a ${role} have a codec if the configuration has compression, and none otherwise`, () => {
      for (const compression of [true, false]) {
        const config = new ProtocolConfig(runtime(), { ...optionsOf(role), compression });
        const codec = compression ? undefined : identityCodec(role);
        assert.throws(() => new Protocol(config, { onMessage: () => undefined }, codec), {
          code: "INVALID_ARGUMENT",
          message: /^the codec must be/,
        });
      }
    });
  }

  test("go from a client to a server and back", () => {
    const pair = new Pair();
    const { client, server } = pair;
    client.then = (what) => {
      if (what.startsWith("text")) client.protocol.close(1000, "", 0);
    };
    server.then = (what) => {
      if (what.startsWith("text")) server.protocol.send("answer");
    };
    client.protocol.send("question");
    pair.settle();
    assert.deepEqual(server.events, ["text 7175657374696f6e", "state closing", "state closed"]);
    assert.deepEqual(client.events, ["text 616e73776572", "state closing", "state closing", "state closed"]);
  });

  test("are counted while they are held", () => {
    const end = new Endpoint("server");
    end.receive({ opcode: 2, fin: false, payload: pattern(100) });
    end.protocol.send(pattern(50));
    end.protocol.inTransit = 7;
    assert.equal(end.protocol.heldSize, 100 + 52 + 7);
  });
});

describe("pings", () => {
  const pings = (count: number): FrameSpec[] =>
    Array.from({ length: count }, (_, i) => ({ opcode: 9, payload: Uint8Array.of(i >> 8, i) }));

  for (const role of ROLES) {
    test(`are answered by a ${role} in order, with their payload`, () => {
      for (const length of [0, 1, 124, 125]) {
        const end = new Endpoint(role);
        end.then = (what) => {
          if (what.startsWith("text")) end.protocol.send("!");
        };
        const ping = { opcode: 9, payload: pattern(length) };
        end.receive({ opcode: 1, payload: utf8("a") }, ping, { opcode: 1, payload: utf8("b") });
        assert.equal(end.protocol.hasPendingControlFrames, false);
        const payload = show(pattern(length));
        assert.deepEqual(end.sent(), ["text 21 fin", `pong ${payload} fin`.replace("  ", " "), "text 21 fin"]);
        assert.deepEqual(end.events, ["text 61", `ping ${payload}`.trimEnd(), "text 62"]);
        assert.deepEqual(end.sent(), []);
      }
    });

    test(`are answered by a ${role} with the newest pong while its last write is pending`, () => {
      const end = new Endpoint(role);
      end.protocol.inTransit = 1;
      assert.equal(end.protocol.hasPendingControlFrames, false);
      end.receive(...pings(1000));
      assert.equal(end.events.length, 1000);
      assert.equal(end.protocol.output.size, 0);
      assert.equal(end.protocol.hasPendingControlFrames, true);
      end.protocol.inTransit = 0;
      assert.deepEqual(end.sent(), ["pong 03e7 fin"]);
      assert.equal(end.protocol.hasPendingControlFrames, false);
      // a waiting one is replaced by a newer one
      end.protocol.inTransit = 1;
      end.receive({ opcode: 9, payload: hex("01") });
      end.protocol.inTransit = 0;
      end.receive({ opcode: 9, payload: hex("02") });
      assert.deepEqual(end.sent(), ["pong 02 fin"]);
    });

    test(`cost a ${role} at most 16 KiB of pongs and the newest, however many arrive at once`, () => {
      const end = new Endpoint(role);
      end.receive(...pings(20_000));
      const { size } = end.protocol.output;
      assert.ok(size >= 16 * 1024 && size < 16 * 1024 + 10, `${size} bytes`);
      assert.equal(end.protocol.hasPendingControlFrames, true);
      const sent = end.sent();
      assert.equal(sent[1], "pong 0001 fin");
      assert.equal(sent.at(-1), "pong 4e1f fin");
      const large = new Endpoint(role);
      large.protocol.send(pattern(16 * 1024));
      large.receive(...pings(3));
      assert.deepEqual(large.sent().slice(1), ["pong 0002 fin"]);
    });

    test(`between fragments are answered by a ${role} between its own fragments`, () => {
      const end = new Endpoint(role);
      end.protocol.beginMessage("text");
      end.protocol.sendFragment(utf8("a"), false);
      end.receive({ opcode: 1, fin: false }, { opcode: 9, payload: hex("07") }, { opcode: 0 });
      end.protocol.sendFragment(utf8("b"), true);
      assert.deepEqual(end.sent(), ["text 61", "pong 07 fin", "continuation 62 fin"]);
      assert.deepEqual(end.events, ["ping 07", "text"]);
    });

    test(`that wait when a ${role} closes are answered before its Close, later ones not at all`, () => {
      const end = new Endpoint(role);
      end.protocol.inTransit = 1;
      end.receive({ opcode: 9, payload: hex("01") });
      end.protocol.close(1000, "", 0);
      end.receive({ opcode: 9, payload: hex("02") });
      assert.deepEqual(end.sent(), ["pong 01 fin", "close 03e8 fin"]);
    });
  }
});

describe("a server", () => {
  test("does not mask, even with keys", () => {
    // RFC 6455 §5.1: "A server MUST NOT mask any frames that it sends to the client."
    const end = new Endpoint("server", { keys: keysOf("client") });
    end.protocol.send("a");
    assert.equal(toHex(end.sentBytes()), "810161");
  });

  test("answers a ping immediately while less than 16 KiB wait", () => {
    for (const [waiting, atOnce] of [
      [16 * 1024 - 1, true],
      [16 * 1024, false],
    ] as const) {
      const end = new Endpoint("server");
      end.protocol.send(pattern(waiting - 4));
      assert.equal(end.protocol.output.size, waiting);
      end.receive({ opcode: 9 });
      assert.equal(end.protocol.hasPendingControlFrames, !atOnce);
      assert.equal(end.protocol.output.size, atOnce ? waiting + 2 : waiting);
    }
  });
});

describe("after the end", () => {
  for (const role of ROLES) {
    test(`or nearly: a Close alone is an answer that a ${role} owes`, () => {
      const end = new Endpoint(role);
      assert.equal(end.protocol.hasPendingControlFrames, false);
      end.receive({ opcode: 8, payload: hex("03e8") });
      assert.equal(end.protocol.hasPendingControlFrames, true);
      assert.deepEqual(end.sent(), ["close 03e8 fin"]);
      assert.equal(end.protocol.hasPendingControlFrames, false);
    });

    test(`or nearly: a Close of a ${role} that nobody has answered is no clean end yet`, () => {
      const end = new Endpoint(role);
      end.protocol.close(1000, "", 0);
      assert.deepEqual(end.protocol.closing, { code: 1006, reason: "", clean: false, error: undefined });
    });

    test(`a ping that comes behind the Close of a ${role} leaves nothing to answer`, () => {
      const end = new Endpoint(role);
      end.protocol.close(1000, "", 0);
      end.protocol.inTransit = 1;
      end.receive({ opcode: 9, payload: hex("01") });
      assert.deepEqual(end.events, ["state closing", "ping 01"]);
      assert.equal(end.protocol.hasPendingControlFrames, false);
    });

    test(`an error found later does not change the clean end of a ${role}`, () => {
      const end = new Endpoint(role);
      end.receive({ opcode: 8, payload: hex("03e8") });
      end.sent();
      end.protocol.receiveEnd(0);
      const { closing } = end.protocol;
      assert.deepEqual(closing, { code: 1000, reason: "", clean: true, error: undefined });
      end.fail(handlerFailed());
      assert.equal(end.protocol.state, "closed");
      assert.deepEqual(end.protocol.closing, closing);
      assert.deepEqual(end.events, ["state closing", "state closed"]);
      assert.deepEqual(end.sent(), []);
    });
  }
});

/** Violations by a peer, and the resulting errors. */
const VIOLATIONS: readonly (readonly [code: keyof typeof PROTOCOL_ERRORS, frames: readonly FrameSpec[]])[] = [
  ["RESERVED_BITS", [{ opcode: 1, rsv: 4 }]],
  ["INVALID_OPCODE", [{ opcode: 3 }]],
  ["NON_MINIMAL_LENGTH", [{ opcode: 2, payload: hex("01"), form: 16 }]],
  ["INVALID_LENGTH", [{ opcode: 2, declared: 2n ** 63n }]],
  ["FRAGMENTED_CONTROL", [{ opcode: 9, fin: false }]],
  ["CONTROL_TOO_LONG", [{ opcode: 10, declared: 126n }]],
  ["UNEXPECTED_CONTINUATION", [{ opcode: 0 }]],
  ["EXPECTED_CONTINUATION", [{ opcode: 1, fin: false }, { opcode: 1 }]],
  ["INVALID_CLOSE_PAYLOAD", [{ opcode: 8, payload: hex("03") }]],
  ["INVALID_CLOSE_CODE", [{ opcode: 8, payload: hex("03ed") }]],
  ["INVALID_UTF8", [{ opcode: 1, payload: hex("ff") }]],
  ["INVALID_UTF8", [{ opcode: 8, payload: hex("03e8ff") }]],
  ["FRAME_TOO_BIG", [{ opcode: 2, declared: 1001n }]],
  [
    "MESSAGE_TOO_BIG",
    [
      { opcode: 2, fin: false, payload: pattern(900) },
      { opcode: 0, payload: pattern(601) },
    ],
  ],
];
const LIMITS = { maxFrameSize: 1000, maxMessageSize: 1500 };

describe("violations", () => {
  /** Properties after `end` has detected the violation. */
  function checkFailed(end: Endpoint, code: keyof typeof PROTOCOL_ERRORS): void {
    const { protocol } = end;
    assert.equal(protocol.error?.code, code);
    assert.ok(protocol.error instanceof WebSocketError);
    assert.equal(protocol.state, "closing");
    assert.equal(protocol.shouldEndStream, false, "not before the Close is out");
    const entry: ErrorEntry = PROTOCOL_ERRORS[code];
    const close = entry.closeCode?.toString(16).padStart(4, "0");
    assert.deepEqual(end.sent(), ["pong 01 fin", `close ${close} fin`]);
    assert.equal(protocol.shouldEndStream, true);
    assert.deepEqual(protocol.closing, { code: 1006, reason: "", clean: false, error: protocol.error });
    assert.deepEqual(end.events, ["text 62", "ping 01", "state closing"]);
    // nothing is accepted or sent any more
    end.receive({ opcode: 1, payload: utf8("more") }, { opcode: 9 }, { opcode: 3 });
    assert.deepEqual(end.events.slice(3), []);
    assert.throws(() => protocol.send("more"), { code: "NOT_OPEN" });
    protocol.close(1000, "", 0);
    assert.deepEqual(end.sent(), []);
    assert.equal(protocol.heldSize, 0);
    protocol.receiveEnd(0);
    assert.deepEqual(end.events.slice(3), ["state closed"]);
    assert.equal(protocol.error?.code, code);
  }

  const before: FrameSpec[] = [
    { opcode: 1, payload: utf8("b") },
    { opcode: 9, payload: hex("01") },
  ];
  for (const [code, frames] of VIOLATIONS) {
    test(`${code} (opcode ${frames.at(-1)?.opcode}): the right Close is sent, once and last, and nothing is delivered`, () => {
      for (const role of ROLES) {
        const bytes = framesTo(role, [...before, ...frames, { opcode: 1, payload: utf8("after") }]);
        for (const chunks of bytes.length < 400 ? chunkings(bytes) : [[bytes]]) {
          const end = new Endpoint(role, LIMITS);
          end.receiveChunks(chunks);
          checkFailed(end, code);
        }
      }
    });
  }

  for (const [role, code] of [
    ["server", "UNMASKED_FRAME"],
    ["client", "MASKED_FRAME"],
  ] as const) {
    test(`${code}: the same, for a ${role}`, () => {
      const end = new Endpoint(role);
      end.receive(...before, { opcode: 1, key: role === "server" ? undefined : [1, 2, 3, 4] });
      checkFailed(end, code);
    });
  }

  for (const role of ROLES) {
    test(`leave a ${role} the time to answer earlier messages`, () => {
      const end = new Endpoint(role);
      end.receive({ opcode: 1, payload: utf8("?") }, { opcode: 3 });
      assert.equal(end.protocol.writable, true);
      end.protocol.send("!");
      assert.deepEqual(end.sent(), ["text 21 fin", "close 03ea fin"]);
      assert.equal(end.protocol.writable, false);
    });
  }

  test("are complete here", () => {
    const met = new Set<string>([...VIOLATIONS.map(([code]) => code), "UNMASKED_FRAME", "MASKED_FRAME"]);
    const elsewhere = ["INVALID_DEFLATE", "TOO_MANY_FRAGMENTS", "TOO_MANY_CHUNKS"]; // the caller detects these and reports them with `fail`; connections have no maxFragments and maxChunks
    const table: Record<string, ErrorEntry> = PROTOCOL_ERRORS;
    for (const [code, { fault, closeCode }] of Object.entries(table)) {
      if (fault !== "peer" || closeCode === undefined || elsewhere.includes(code)) continue;
      assert.ok(met.has(code), code);
    }
  });
});

describe("fail", () => {
  for (const role of ROLES) {
    test(`sends the error's close code to the peer of a ${role}`, () => {
      const end = new Endpoint(role);
      const error = handlerFailed();
      end.fail(error);
      assert.equal(end.protocol.error, error);
      assert.deepEqual(end.sent(), ["close 03f3 fin"]);
      assert.deepEqual(end.events, ["state closing"]);
      assert.equal(end.protocol.shouldEndStream, true);
    });

    test(`without a close code only ends the stream of a ${role}`, () => {
      const end = new Endpoint(role);
      end.fail(new WebSocketError("BROKEN", { fault: "transport", text: "it broke" }));
      assert.deepEqual(end.sent(), []);
      assert.equal(end.protocol.state, "closing");
      assert.equal(end.protocol.shouldEndStream, true);
    });

    test(`keeps the first error of a ${role}, and sends one Close`, () => {
      const end = new Endpoint(role);
      end.fail(protocolError("INVALID_DEFLATE"));
      end.fail(handlerFailed());
      assert.deepEqual(end.sent(), ["close 03ef fin"]);
      end.protocol.receiveEnd(0, new Error("reset"));
      end.fail(handlerFailed());
      assert.equal(end.code, "INVALID_DEFLATE");
      assert.deepEqual(end.sent(), []);
      assert.deepEqual(end.events, ["state closing", "state closed"]);
    });

    test(`after the stream has ended does nothing to a ${role}`, () => {
      const end = new Endpoint(role);
      end.protocol.receiveEnd(0);
      end.fail(handlerFailed());
      assert.equal(end.code, "CONNECTION_LOST");
      assert.deepEqual(end.sent(), []);
    });
  }
});

describe("the sink", () => {
  const three: FrameSpec[] = [
    { opcode: 1, payload: utf8("1") },
    { opcode: 1, payload: utf8("2") },
    { opcode: 1, payload: utf8("3") },
  ];
  for (const role of ROLES) {
    test(`may send, close, fail and end within a call by a ${role}`, () => {
      const doing: [(end: Endpoint) => void, string[], string[]][] = [
        [
          (end) => end.protocol.send("x"),
          ["text 31", "text 32", "text 33"],
          ["text 78 fin", "text 78 fin", "text 78 fin"],
        ],
        [
          (end) => end.protocol.close(1000, "", 0),
          ["text 31", "state closing", "text 32", "text 33"],
          ["close 03e8 fin"],
        ],
        [(end) => end.fail(handlerFailed()), ["text 31", "state closing"], ["close 03f3 fin"]],
        [(end) => end.protocol.receiveEnd(0), ["text 31", "state closed"], []],
        [(end) => end.protocol.abort(0), ["text 31"], []],
      ];
      for (const [act, events, sent] of doing) {
        const end = new Endpoint(role);
        end.then = (what) => {
          if (what.startsWith("text")) act(end);
        };
        end.receive(...three);
        assert.deepEqual(end.events, events);
        assert.deepEqual(end.sent(), sent);
      }
    });

    test(`that aborts a ${role} receives nothing of later chunks either, and sends nothing`, () => {
      for (const closed of [false, true]) {
        const end = new Endpoint(role, { closeTimeout: 100 });
        end.receiveChunks([framesTo(role, three).subarray(0, 1)]); // a part of a header
        if (closed) end.protocol.close(1000, "", 0);
        const sent = end.sent();
        end.protocol.abort(5);
        end.receive(...three, { opcode: 9 }, { opcode: 8 });
        assert.deepEqual(end.events, closed ? ["state closing"] : []);
        assert.throws(() => end.protocol.send("x"), { code: "NOT_OPEN" });
        end.protocol.close(1000, "", 6);
        assert.deepEqual([end.sent(), sent], [[], closed ? ["close 03e8 fin"] : []]);
        assert.deepEqual([end.protocol.isEnding, end.protocol.pollTimeout()], [true, closed ? 100 : 105]);
        end.protocol.streamClosed(7);
        end.protocol.abort(8);
        assert.deepEqual([end.code, end.protocol.pollTimeout()], ["CONNECTION_LOST", Infinity]);
      }
    });
  }
});

describe("the end of the stream", () => {
  for (const role of ROLES) {
    test(`while a ${role} is open is an error, reported once, with its cause`, () => {
      const end = new Endpoint(role);
      end.receive({ opcode: 2, fin: false, payload: pattern(10) });
      const cause = new Error("read ECONNRESET");
      end.protocol.receiveEnd(0, cause);
      end.protocol.receiveEnd(0);
      end.protocol.streamClosed(0);
      const { error, state, shouldEndStream, heldSize, closing } = end.protocol;
      const deadline = end.protocol.pollTimeout();
      assert.equal(error?.code, "CONNECTION_LOST");
      assert.equal(error?.fault, "transport");
      assert.equal(error?.cause, cause);
      assert.match(error?.message ?? "", /read ECONNRESET$/);
      assert.deepEqual([state, shouldEndStream, deadline, heldSize], ["closed", true, Infinity, 0]);
      assert.deepEqual(closing, { code: 1006, reason: "", clean: false, error });
      assert.deepEqual(end.events, ["state closed"]);
      end.receive({ opcode: 1 }, { opcode: 9 });
      assert.deepEqual(end.events, ["state closed"]);
      assert.deepEqual(end.sent(), []);
      for (const call of [() => end.protocol.send("a"), () => end.protocol.ping()]) {
        assert.throws(call, { code: "NOT_OPEN", message: /"closed"/ });
      }
    });

    test(`without a cause is an error without one, to a ${role}`, () => {
      const end = new Endpoint(role);
      end.protocol.receiveEnd(0);
      assert.equal(end.protocol.error !== undefined && "cause" in end.protocol.error, false);
      assert.equal(end.protocol.error?.message, PROTOCOL_ERRORS.CONNECTION_LOST.text);
    });
  }
});
