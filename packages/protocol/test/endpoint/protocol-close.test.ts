import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat, hex, toHex, utf8 } from "../support/bytes.ts";
import { chunkings } from "../support/chunks.ts";
import { isAllowedCode } from "../support/close-codes.ts";
import { Endpoint, handlerFailed, Pair } from "../support/endpoint.ts";
import { type FrameSpec, ROLES } from "../support/frames.ts";
import { framesTo } from "../support/receiving.ts";
import { boundsOf, headsOf, MALFORMED, WELL_FORMED } from "../support/utf8-table.ts";

const codeBytes = (code: number): Uint8Array => Uint8Array.of(code >> 8, code & 255);
const CODES = [...Array.from({ length: 5001 }, (_, code) => code), 65535];
const closeFrame = (payload: Uint8Array): FrameSpec => ({ opcode: 8, payload });

describe("a received Close", () => {
  for (const role of ROLES) {
    test(`with any code from 0 to 5000, or 65535, is echoed by a ${role}, or rejected`, () => {
      for (const code of CODES) {
        const end = new Endpoint(role);
        end.receive(closeFrame(codeBytes(code)), { opcode: 1, payload: utf8("late") });
        const sent = end.sent();
        const { state, error, closing, shouldEndStream } = end.protocol;
        assert.equal(state, "closing");
        if (isAllowedCode(code)) {
          assert.deepEqual(sent, [`close ${toHex(codeBytes(code))} fin`]);
          assert.deepEqual(closing, { code, reason: "", clean: true, error: undefined });
          // §7.1.1: the server ends the stream first
          assert.equal(shouldEndStream, role === "server");
        } else {
          assert.deepEqual(sent, ["close 03ea fin"]);
          assert.equal(error?.code, "INVALID_CLOSE_CODE");
          assert.ok(error?.message.endsWith(`: ${code}`));
          assert.deepEqual(closing, { code: 1006, reason: "", clean: false, error });
          assert.equal(shouldEndStream, true);
        }
        assert.deepEqual(end.events, ["state closing"]);
      }
    });

    const reason = (bytes: Uint8Array): Uint8Array => concat(codeBytes(1000), bytes);
    const GOOD: [string, Uint8Array, number, string][] = [
      ["no payload", hex(""), 1005, ""],
      ["a code", hex("0fa0"), 4000, ""],
      ["a reason", reason(utf8("bye")), 1000, "bye"],
      ["a reason of 123 bytes", reason(utf8("é".repeat(61) + "!")), 1000, "é".repeat(61) + "!"],
      ["a reason with a byte order mark and NUL", reason(utf8("\ufeff\0")), 1000, "\ufeff\0"],
      ...WELL_FORMED.flatMap(boundsOf).map((bytes): [string, Uint8Array, number, string] => [
        `the reason ${toHex(bytes)}`,
        reason(bytes),
        1000,
        Buffer.from(bytes).toString("utf8"),
      ]),
    ];
    test(`with ${GOOD.length} valid payloads: the code is echoed by a ${role}, in any chunks`, () => {
      for (const [what, payload, code, text] of GOOD) {
        for (const chunks of chunkings(framesTo(role, [closeFrame(payload), { opcode: 1 }]))) {
          const end = new Endpoint(role);
          end.receiveChunks(chunks);
          assert.deepEqual(end.sent(), [`close ${toHex(payload.slice(0, 2))} fin`.replace("  ", " ")]);
          assert.deepEqual(end.protocol.closing, { code, reason: text, clean: true, error: undefined }, what);
          assert.deepEqual(end.events, ["state closing"]);
        }
      }
    });

    const BAD: [string, Uint8Array, string, string][] = [
      ["one byte", hex("03"), "INVALID_CLOSE_PAYLOAD", "03ea"],
      ["one byte that might be a code", hex("ff"), "INVALID_CLOSE_PAYLOAD", "03ea"],
      ["a code that may not be, and a reason", concat(codeBytes(1005), utf8("a")), "INVALID_CLOSE_CODE", "03ea"],
      ["a code that may not be, and no UTF-8", concat(codeBytes(999), hex("ff")), "INVALID_CLOSE_CODE", "03ea"],
      ...MALFORMED.map(([what, digits]): [string, Uint8Array, string, string] => [
        what,
        reason(hex(digits)),
        "INVALID_UTF8",
        "03ef",
      ]),
      ...WELL_FORMED.flatMap(headsOf).map((head): [string, Uint8Array, string, string] => [
        `a reason cut off: ${toHex(head)}`,
        reason(concat(utf8("a"), head)),
        "INVALID_UTF8",
        "03ef",
      ]),
    ];
    test(`with ${BAD.length} invalid payloads: rejected by a ${role}, in any chunks`, () => {
      for (const [what, payload, code, close] of BAD) {
        for (const chunks of chunkings(framesTo(role, [closeFrame(payload), { opcode: 1 }]))) {
          const end = new Endpoint(role);
          end.receiveChunks(chunks);
          assert.equal(end.code, code, what);
          assert.deepEqual(end.sent(), [`close ${close} fin`], what);
          assert.deepEqual(end.events, ["state closing"]);
        }
      }
    });

    test(`between the fragments of a message ends it for a ${role}`, () => {
      const end = new Endpoint(role);
      end.receive({ opcode: 1, fin: false, payload: utf8("a") }, closeFrame(codeBytes(1001)), { opcode: 0 });
      assert.deepEqual(end.events, ["state closing"]);
      assert.equal(end.protocol.heldSize, 0);
      assert.deepEqual(end.sent(), ["close 03e9 fin"]);
      assert.equal(end.protocol.closing.clean, true);
    });

    test(`while a ${role} sends a fragmented message is answered, and the message never finished`, () => {
      const end = new Endpoint(role);
      end.protocol.beginMessage("text");
      end.protocol.sendFragment(utf8("a"), false);
      end.receive(closeFrame(hex("")));
      assert.deepEqual(end.sent(), ["text 61", "close fin"]);
      assert.throws(() => end.protocol.sendFragment(utf8("b"), true), { code: "NOT_OPEN" });
    });

    test(`is answered after what a ${role} writes before answer(), and after its pongs`, () => {
      const end = new Endpoint(role);
      const { protocol } = end;
      protocol.inTransit = 1; // so that the pong waits, too
      end.receive({ opcode: 1, payload: utf8("?") }, { opcode: 9, payload: hex("02") }, closeFrame(hex("0fa0")));
      protocol.inTransit = 0;
      assert.equal(protocol.output.size, 0);
      assert.deepEqual([protocol.state, protocol.hasPendingControlFrames, protocol.writable], ["closing", true, true]);
      assert.equal(protocol.shouldEndStream, false, "not before the Close is out");
      assert.equal(protocol.closing.clean, false);
      protocol.send("!");
      protocol.close(1000, "", 0);
      protocol.ping(hex("03"));
      assert.deepEqual(end.sent(), ["text 21 fin", "ping 03 fin", "pong 02 fin", "close 0fa0 fin"]);
      assert.deepEqual(
        [protocol.hasPendingControlFrames, protocol.writable, protocol.closing.clean],
        [false, false, true],
      );
      assert.throws(() => protocol.send("!"), { code: "NOT_OPEN" });
      assert.deepEqual(end.sent(), []);
    });

    test(`is answered by a ${role} whose stream then ends, because its own half may be open`, () => {
      const end = new Endpoint(role);
      end.receive(closeFrame(hex("03e8")));
      end.protocol.receiveEnd(0);
      assert.equal(end.protocol.writable, false);
      assert.deepEqual(end.sent(), ["close 03e8 fin"]);
      assert.equal(end.protocol.closing.clean, true);
      assert.equal(end.protocol.shouldEndStream, true);
    });

    test(`is not answered by a ${role} whose stream breaks, which is not clean`, () => {
      const end = new Endpoint(role);
      end.receive(closeFrame(hex("03e8")));
      end.protocol.receiveEnd(0, new Error("reset"));
      assert.deepEqual(end.sent(), []);
      assert.equal(end.code, "CONNECTION_LOST");
      assert.deepEqual(end.protocol.closing, { code: 1000, reason: "", clean: false, error: end.protocol.error });
    });

    test(`is answered with the code of an error that a ${role} finds before answer()`, () => {
      const end = new Endpoint(role);
      end.receive({ opcode: 1, payload: utf8("?") }, closeFrame(hex("03e8")));
      end.fail(handlerFailed());
      assert.deepEqual(end.sent(), ["close 03f3 fin"]);
      assert.deepEqual(end.protocol.closing, { code: 1000, reason: "", clean: false, error: end.protocol.error });
    });
  }
});

describe("close()", () => {
  for (const role of ROLES) {
    test(`accepts from a ${role} the codes that may be sent, of 0 to 5000 and others`, () => {
      for (const code of [...CODES, -1, 1000.5, NaN, Infinity, 2 ** 32 + 1000]) {
        const end = new Endpoint(role);
        if (isAllowedCode(code) && Number.isInteger(code)) {
          end.protocol.close(code, "", 0);
          assert.deepEqual(end.sent(), [`close ${toHex(codeBytes(code))} fin`]);
          assert.equal(end.protocol.state, "closing");
        } else {
          assert.throws(() => end.protocol.close(code, "", 0), { code: "INVALID_ARGUMENT", message: /close code/ });
          assert.equal(end.protocol.state, "open");
          assert.deepEqual(end.sent(), []);
        }
      }
    });

    test(`accepts from a ${role} a reason of up to 123 bytes, and no other argument`, () => {
      for (const reason of ["", "bye", "a".repeat(123), "é".repeat(61), "€".repeat(41), "😀".repeat(30), "\ud800"]) {
        const end = new Endpoint(role);
        end.protocol.close(3000, reason, 0);
        assert.deepEqual(end.sent(), [closeWith(3000, reason)]);
      }
      const WRONG: [unknown, unknown, RegExp][] = [
        [3000, "a".repeat(124), /at most 123 bytes of UTF-8, got 124/],
        [3000, "é".repeat(62), /got 124/],
        [3000, "a".repeat(1_000_000), /got 1000000/],
        [undefined, "a", /absent or empty without a close code, got "a"/],
        [3000, undefined, /a string, got undefined/],
        [3000, 5, /a string, got 5/],
        [undefined, null, /a string, got null/],
        [3000, hex("61"), /a string, got an object/],
        ["1000", "", /close code must be .*got "1000"/],
        [null, "", /close code must be .*got null/],
      ];
      for (const [code, reason, message] of WRONG) {
        const end = new Endpoint(role);
        const call = (): void => end.protocol.close(code as number, reason as string, 0);
        assert.throws(call, { code: "INVALID_ARGUMENT", fault: "local", message });
        end.protocol.close(1000, "", 0);
        assert.throws(call, { code: "INVALID_ARGUMENT" }, "also when it would do nothing");
        assert.deepEqual(end.sent(), ["close 03e8 fin"]);
      }
    });

    test(`sends one Close, and a ${role} nothing after it`, () => {
      const end = new Endpoint(role);
      end.protocol.send("before");
      end.protocol.close(undefined, "", 0);
      end.protocol.close(1001, "again", 0);
      end.receive({ opcode: 9, payload: hex("01") });
      assert.equal(end.protocol.hasPendingControlFrames, false);
      const { protocol } = end;
      for (const call of [
        () => protocol.send("a"),
        () => protocol.sendPayload("text", utf8("a")),
        () => protocol.beginMessage("text"),
        () => protocol.sendFragment(utf8("a"), true),
        () => protocol.ping(),
        () => protocol.pong(),
      ]) {
        assert.throws(call, { code: "NOT_OPEN", fault: "local", message: /its state is "closing"/ });
      }
      assert.deepEqual(end.sent(), ["text 6265666f7265 fin", "close fin"]);
      assert.equal(protocol.shouldEndStream, false);
    });

    test(`lets a ${role} receive what the peer sends before its own Close`, () => {
      const end = new Endpoint(role);
      end.protocol.close(1000, "", 0);
      end.receive({ opcode: 1, payload: utf8("a") }, { opcode: 9 }, { opcode: 1, fin: false, payload: utf8("b") });
      end.receive({ opcode: 0, payload: utf8("c") }, closeFrame(concat(codeBytes(1000), utf8("ok"))), { opcode: 1 });
      assert.deepEqual(end.events, ["state closing", "text 61", "ping", "text 6263", "state closing"]);
      assert.deepEqual(end.sent(), ["close 03e8 fin"]);
      assert.equal(end.protocol.shouldEndStream, role === "server");
      end.protocol.receiveEnd(0);
      assert.deepEqual(end.protocol.closing, { code: 1000, reason: "ok", clean: true, error: undefined });
      assert.equal(end.protocol.error, undefined);
    });

    test(`and then a violation: a ${role} sends no second Close`, () => {
      for (const bad of [{ opcode: 3 }, closeFrame(hex("03")), closeFrame(codeBytes(1006))]) {
        const end = new Endpoint(role);
        end.protocol.close(1000, "", 0);
        end.receive(bad, { opcode: 1 });
        assert.deepEqual(end.sent(), ["close 03e8 fin"]);
        assert.equal(end.protocol.hasPendingControlFrames, false);
        assert.equal(end.protocol.error?.closeCode, 1002);
        assert.equal(end.protocol.shouldEndStream, true);
        assert.equal(end.protocol.closing.clean, false);
        assert.deepEqual(end.events, ["state closing", "state closing"]);
      }
    });

    test(`and then the end of the stream without the peer's Close is not clean, to a ${role}`, () => {
      const end = new Endpoint(role);
      end.protocol.close(1000, "", 0);
      end.protocol.receiveEnd(0);
      assert.equal(end.code, "CONNECTION_LOST");
      assert.deepEqual(end.protocol.closing, { code: 1006, reason: "", clean: false, error: end.protocol.error });
    });

    test(`after an error or the end does nothing to a ${role}`, () => {
      const end = new Endpoint(role);
      end.fail(handlerFailed());
      end.protocol.close(1000, "", 0);
      assert.deepEqual(end.sent(), ["close 03f3 fin"]);
      const ended = new Endpoint(role);
      ended.protocol.streamClosed(0);
      ended.protocol.close(1000, "", 0);
      assert.deepEqual(ended.sent(), []);
      assert.equal(ended.protocol.pollTimeout(), Infinity);
    });
  }
});

function closeWith(code: number, reason: string): string {
  const end = new Endpoint("server");
  end.receive({ opcode: 9, payload: concat(codeBytes(code), utf8(reason)) });
  return end.sent()[0].replace("pong", "close");
}

describe("a closing handshake between two", () => {
  const clean = (code: number, reason: string): object => ({ code, reason, clean: true, error: undefined });

  for (const starter of ROLES) {
    test(`begun by the ${starter} is clean at both ends, after any messages`, () => {
      for (const [code, reason, atPeer, atStarter] of [
        [1000, "done", clean(1000, "done"), clean(1000, "")],
        [4999, "", clean(4999, ""), clean(4999, "")],
        [undefined, "", clean(1005, ""), clean(1005, "")],
      ] as const) {
        const pair = new Pair();
        const [one, other] = starter === "client" ? [pair.client, pair.server] : [pair.server, pair.client];
        one.protocol.send("last words");
        one.protocol.close(code, reason, 0);
        pair.settle();
        assert.deepEqual(one.protocol.closing, atStarter);
        assert.deepEqual(other.protocol.closing, atPeer);
        for (const end of [one, other]) assert.equal(end.protocol.state, "closed");
        assert.equal(other.events[0], `text ${toHex(utf8("last words"))}`);
        assert.deepEqual(one.events, ["state closing", "state closing", "state closed"]);
      }
    });
  }

  test("begun by both at once is clean at both ends, each with the other's code", () => {
    const pair = new Pair();
    pair.client.protocol.close(1000, "client", 0);
    pair.server.protocol.close(1001, "server", 0);
    pair.settle();
    assert.deepEqual(pair.client.protocol.closing, clean(1001, "server"));
    assert.deepEqual(pair.server.protocol.closing, clean(1000, "client"));
    assert.deepEqual(pair.client.sent(), []);
    assert.deepEqual(pair.server.sent(), []);
  });

  test("after a violation reports the code to each end", () => {
    for (const role of ROLES) {
      const pair = new Pair();
      const [victim, culprit] = role === "client" ? [pair.client, pair.server] : [pair.server, pair.client];
      victim.receive({ opcode: 1, payload: hex("c0") });
      pair.settle();
      assert.equal(victim.code, "INVALID_UTF8");
      assert.equal(victim.protocol.closing.code, 1006);
      assert.deepEqual(culprit.protocol.closing, clean(1007, ""));
    }
  });
});
