import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { protocolError } from "../../src/errors.ts";
import { hex, toHex, utf8 } from "../support/bytes.ts";
import { Endpoint, handlerFailed } from "../support/endpoint.ts";
import { ROLES } from "../support/frames.ts";

const START = 1_000_000;
const HEARTBEAT = { heartbeat: { interval: 30, timeout: 10 } };

/** Advances the time to the deadline; returns whether the stream stays open. */
function pass(end: Endpoint, isReading = true): boolean {
  return end.protocol.handleTimeout(end.protocol.pollTimeout(), isReading);
}

for (const role of ROLES) {
  describe(`the heartbeat of a ${role}`, () => {
    test("is off without options, and does not begin before start", () => {
      const off = new Endpoint(role);
      off.protocol.start(START);
      assert.equal(off.protocol.pollTimeout(), Infinity);
      assert.equal(off.protocol.handleTimeout(START + 1e9), true);
      assert.equal(off.protocol.handleTimeout(Infinity), true);
      const on = new Endpoint(role, HEARTBEAT);
      assert.equal(on.protocol.pollTimeout(), Infinity);
      on.protocol.start(START);
      assert.equal(on.protocol.pollTimeout(), START + 30);
    });

    test("pings a silent peer, then ends the connection", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      assert.equal(end.protocol.handleTimeout(START + 29), true);
      assert.deepEqual(end.sent(), []);
      assert.equal(end.protocol.pollTimeout(), START + 30);
      assert.equal(end.protocol.handleTimeout(START + 30), true);
      assert.deepEqual(end.sent(), ["ping fin"]);
      assert.equal(end.protocol.pollTimeout(), START + 40);
      assert.equal(end.protocol.handleTimeout(START + 39), true);
      assert.equal(end.protocol.handleTimeout(START + 40), false);
      assert.equal(end.code, "HEARTBEAT_TIMEOUT");
      assert.equal(end.protocol.error?.fault, "transport");
      assert.match(end.protocol.error?.message ?? "", /40 ms$/);
      end.protocol.receiveEnd(START, new Error("destroyed"));
      assert.equal(end.code, "HEARTBEAT_TIMEOUT");
      assert.equal(end.protocol.closing.code, 1006);
    });

    test("accepts any byte as activity, before the ping and after", () => {
      const end = new Endpoint(role, HEARTBEAT);
      const { protocol } = end;
      protocol.start(START);
      protocol.receive(hex("8a"), START + 5, 0, 1); // the first byte of a frame
      assert.equal(pass(end), true);
      assert.deepEqual(end.sent(), []);
      assert.equal(protocol.pollTimeout(), START + 35);
      protocol.receive(new Uint8Array(0), START + 31, 0, 0); // is not a byte
      assert.equal(pass(end), true);
      assert.deepEqual(end.sent(), ["ping fin"]);
      protocol.receive(role === "server" ? hex("80") : hex("00"), START + 44, 0, 1);
      assert.equal(pass(end), true);
      for (let round = 1; round < 4; round++) {
        assert.equal(protocol.pollTimeout(), START + 8 + 36 * round + 30);
        assert.deepEqual(end.sent(), []);
        assert.equal(pass(end), true);
        assert.deepEqual(end.sent(), ["ping fin"]);
        const rest = role === "server" ? hex("00000000 8a80") : hex("8a00");
        protocol.receive(rest, START + 8 + 36 * (round + 1), 0, rest.length);
        assert.equal(pass(end), true);
      }
      assert.equal(protocol.error, undefined);
    });

    for (const timeout of [10, 30, 31, 1000]) {
      test(`pings one interval after the last byte, with a timeout of ${timeout} ms`, () => {
        const end = new Endpoint(role, { heartbeat: { interval: 30, timeout } });
        const { protocol } = end;
        protocol.start(START);
        for (let last = START; last < START + 500; last += 37) {
          while (protocol.pollTimeout() < last + 30) assert.equal(pass(end), true);
          assert.deepEqual(end.sent(), []);
          assert.equal(protocol.pollTimeout(), last + 30);
          assert.equal(pass(end), true);
          assert.deepEqual(end.sent(), ["ping fin"]);
          end.receiveAt(last + 37, { opcode: 10 });
        }
        // a peer that no longer answers
        while (pass(end)) assert.ok(protocol.pollTimeout() < START + 3000);
        const silence = Number(/(\d+) ms$/.exec(protocol.error?.message ?? "")?.[1]);
        assert.equal(silence, 30 + timeout);
      });
    }

    test("pings while nothing is read, and ends the connection only when reading resumes", () => {
      const end = new Endpoint(role, HEARTBEAT);
      const { protocol } = end;
      protocol.start(START);
      const times: number[] = [];
      for (let i = 0; i < 6; i++) {
        times.push(protocol.pollTimeout() - START);
        assert.equal(pass(end, false), true);
        assert.deepEqual(end.sent(), ["ping fin"]);
      }
      // the second of two detects by a reset whether the first was answered
      assert.deepEqual(times, [30, 40, 70, 80, 110, 120]);
      assert.equal(pass(end, false), true);
      // pinged; the answer may be unread
      protocol.resumeReading(START + 155);
      assert.equal(protocol.pollTimeout(), START + 165);
      end.receiveAt(START + 164, { opcode: 10 });
      assert.equal(pass(end), true);
      assert.equal(protocol.pollTimeout(), START + 194);
      // silence again
      assert.equal(pass(end), true);
      assert.equal(pass(end), false);
      assert.equal(end.code, "HEARTBEAT_TIMEOUT");
    });

    test("sends no more pings to a peer that does not accept them, while nothing is read", () => {
      const end = new Endpoint(role, HEARTBEAT);
      const { protocol } = end;
      protocol.start(START);
      protocol.inTransit = 100;
      for (let i = 0; i < 4; i++) assert.equal(pass(end, false), true);
      assert.deepEqual(end.sent(), []);
      protocol.inTransit = 0;
      for (let i = 0; i < 4; i++) assert.equal(pass(end, false), true);
      assert.deepEqual(end.sent(), ["ping fin"]); // the first is waiting
    });

    test("restarts the interval if reading was paused between two pings", () => {
      const end = new Endpoint(role, { heartbeat: { interval: 30, timeout: 100 } });
      const { protocol } = end;
      protocol.start(START);
      protocol.resumeReading(START + 20);
      assert.equal(protocol.pollTimeout(), START + 30);
      assert.equal(pass(end), true);
      protocol.resumeReading(START + 50);
      // an answer may have arrived by then, and the next ping be due
      assert.equal(protocol.pollTimeout(), START + 80);
      assert.equal(protocol.handleTimeout(START + 80), true);
      assert.equal(protocol.handleTimeout(START + 110), true);
      assert.equal(protocol.handleTimeout(START + 140), true);
      assert.equal(protocol.handleTimeout(START + 150), false);
      assert.deepEqual(end.sent(), ["ping fin"]);
    });

    test("changes no deadline of a closing handshake when reading resumes", () => {
      const end = new Endpoint(role, { ...HEARTBEAT, closeTimeout: 100 });
      end.protocol.start(START);
      pass(end);
      end.protocol.close(1000, "", START + 35);
      end.protocol.resumeReading(START + 36);
      assert.equal(end.protocol.pollTimeout(), START + 135);
      const off = new Endpoint(role);
      off.protocol.resumeReading(START);
      assert.equal(off.protocol.pollTimeout(), Infinity);
    });

    test("pings between the fragments of a message, without notifying the sink", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      end.protocol.beginMessage("binary");
      end.protocol.sendFragment(hex("01"), false);
      pass(end);
      end.protocol.sendFragment(hex("02"), true);
      assert.deepEqual(end.sent(), ["binary 01", "ping fin", "continuation 02 fin"]);
      assert.deepEqual(end.events, []);
    });

    test("ends with the connection", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      end.protocol.streamClosed(START);
      assert.equal(end.protocol.pollTimeout(), Infinity);
      assert.equal(end.protocol.handleTimeout(Infinity), true);
      assert.deepEqual(end.sent(), []);
    });
  });

  describe(`the closing handshake of a ${role} has closeTimeout`, () => {
    test("from close() on, whatever arrives", () => {
      const end = new Endpoint(role, { ...HEARTBEAT, closeTimeout: 100 });
      end.protocol.start(START);
      end.protocol.close(1000, "", START + 5);
      assert.equal(end.protocol.pollTimeout(), START + 105);
      end.now = START + 50;
      end.receive({ opcode: 1 }, { opcode: 9 });
      assert.equal(end.protocol.pollTimeout(), START + 105);
      assert.equal(end.protocol.handleTimeout(START + 104), true);
      assert.equal(end.protocol.handleTimeout(START + 105), false);
      assert.equal(end.code, "CLOSE_TIMEOUT");
      assert.equal(end.protocol.closing.clean, false);
      assert.deepEqual(end.sent(), ["close 03e8 fin"]);
    });

    test("for the end of the stream, which is not an error if both have closed", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.protocol.close(1000, "", START);
      end.now = START + 90;
      end.receive({ opcode: 8, payload: hex("03e8") });
      assert.equal(end.protocol.pollTimeout(), START + 100);
      assert.equal(end.protocol.handleTimeout(START + 100), false);
      end.protocol.receiveEnd(START);
      assert.deepEqual(end.protocol.closing, { code: 1000, reason: "", clean: true, error: undefined });
    });

    test("from the peer's Close on", () => {
      const end = new Endpoint(role, { ...HEARTBEAT, closeTimeout: 100 });
      end.protocol.start(START);
      end.now = START + 7;
      end.receive({ opcode: 8 });
      assert.equal(end.protocol.pollTimeout(), START + 107);
      assert.deepEqual(end.sent(), ["close fin"]);
      assert.equal(end.protocol.handleTimeout(START + 107), false);
      assert.equal(end.code, undefined);
    });

    test("for its own Close, which may never pass the output before it", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.now = START;
      end.receive({ opcode: 8 });
      assert.equal(end.protocol.handleTimeout(START + 100), false);
      assert.equal(end.code, "CLOSE_TIMEOUT");
      end.protocol.receiveEnd(START);
      assert.deepEqual(end.sent(), []);
      assert.equal(end.protocol.closing.clean, false);
    });

    test("from an error on, which stays the error", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.now = START;
      end.fail(handlerFailed());
      assert.equal(end.protocol.pollTimeout(), START + 100);
      assert.equal(end.protocol.handleTimeout(START + 100), false);
      assert.equal(end.code, "HANDLER_FAILED");
    });

    test("from every event on that ends the connection, until the stream is closed", () => {
      const events: Readonly<Record<string, (end: Endpoint) => void>> = {
        "close()": ({ protocol }) => protocol.close(1000, "", START),
        "holdClose()": ({ protocol }) => protocol.holdClose(1000, "", START),
        "the peer's Close": (end) => end.receive({ opcode: 8 }),
        "an error": ({ protocol }) => protocol.fail(handlerFailed(), START),
        "an error behind output": ({ protocol }) => protocol.fail(handlerFailed(), START, true),
        "abort()": ({ protocol }) => protocol.abort(START),
        "the end of the peer's half": ({ protocol }) => protocol.receiveEnd(START),
      };
      for (const [name, happen] of Object.entries(events)) {
        const end = new Endpoint(role, { closeTimeout: 100 });
        const { protocol } = end;
        end.now = START;
        assert.deepEqual([protocol.isEnding, protocol.pollTimeout()], [false, Infinity], name);
        happen(end);
        assert.deepEqual([protocol.isEnding, protocol.pollTimeout()], [true, START + 100], name);
        protocol.streamClosed(START);
        assert.equal(protocol.pollTimeout(), Infinity, name);
      }
    });

    test("restarted whenever output is sent, up to maxCloseTime in total", () => {
      const end = new Endpoint(role, { closeTimeout: 100, maxCloseTime: 250 });
      const { protocol } = end;
      protocol.outputSent(START); // it need not end yet
      assert.deepEqual([protocol.pollTimeout(), protocol.isEnding], [Infinity, false]);
      protocol.close(1000, "", START);
      assert.equal(protocol.isEnding, true);
      for (const [at, deadline] of [
        [90, 190],
        [150, 250],
        [240, 250],
      ] as const) {
        assert.equal(protocol.handleTimeout(START + at), true);
        protocol.outputSent(START + at);
        assert.equal(protocol.pollTimeout(), START + deadline);
      }
      assert.equal(protocol.handleTimeout(START + 250), false);
      assert.equal(end.code, "CLOSE_TIMEOUT");
      assert.match(protocol.error?.message ?? "", /maxCloseTime is 250 ms$/);
      protocol.outputSent(START + 251); // it has ended
      assert.equal(protocol.pollTimeout(), Infinity);
    });

    test("counted from an error of the peer's, whatever is sent then; from output that is sent after one of our own", () => {
      for (const [code, deadline] of [
        ["INVALID_OPCODE", 100],
        ["INVALID_DEFLATE", 100],
      ] as const) {
        const end = new Endpoint(role, { closeTimeout: 100 });
        end.now = START;
        end.fail(protocolError(code));
        end.protocol.outputSent(START + 50);
        assert.equal(end.protocol.pollTimeout(), START + deadline, code);
      }
    });

    test("which runs while a Close is held, instead of the heartbeat", () => {
      const end = new Endpoint(role, { ...HEARTBEAT, closeTimeout: 100 });
      const { protocol } = end;
      protocol.start(START);
      pass(end);
      protocol.holdClose(1000, "", START + 35);
      protocol.resumeReading(START + 36);
      assert.deepEqual([protocol.state, protocol.accepts, protocol.pollTimeout()], ["open", false, START + 135]);
      protocol.send("before it");
      protocol.holdClose(1001, "", START + 40);
      protocol.close(1001, "", START + 40);
      protocol.releaseClose();
      protocol.releaseClose();
      assert.deepEqual([protocol.state, protocol.pollTimeout()], ["closing", START + 135]);
      assert.deepEqual(end.sent().slice(-2), [`text ${toHex(utf8("before it"))} fin`, "close 03e8 fin"]);
      const other = new Endpoint(role, { closeTimeout: 100 });
      other.protocol.holdClose(undefined, "", START);
      assert.equal(other.protocol.handleTimeout(START + 100), false);
      assert.deepEqual([other.code, other.protocol.state], ["CLOSE_TIMEOUT", "closing"]);
      other.protocol.releaseClose();
      assert.deepEqual(other.sent(), []);
    });

    test("from the end of the peer's half on, while output waits", () => {
      const end = new Endpoint(role, { closeTimeout: 100, maxCloseTime: 150 });
      const { protocol } = end;
      protocol.close(1000, "", START);
      protocol.receiveEnd(START + 20);
      assert.equal(protocol.pollTimeout(), START + 120);
      protocol.outputSent(START + 60);
      assert.equal(protocol.pollTimeout(), START + 150);
      assert.equal(protocol.handleTimeout(START + 150), false);
      assert.equal(end.code, "CONNECTION_LOST");
    });

    test("is an error though both have closed, if output of ours was not sent", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      const { protocol } = end;
      protocol.close(1000, "", START);
      protocol.inTransit = protocol.output.size;
      end.receive({ opcode: 8, payload: hex("03e8") });
      assert.equal(protocol.handleTimeout(START + 100), false);
      assert.equal(end.code, "CLOSE_TIMEOUT");
      assert.equal(protocol.closing.clean, false);
    });

    test("which does not run while it is open, or when it has ended", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      assert.equal(end.protocol.pollTimeout(), Infinity);
      end.protocol.streamClosed(START);
      assert.equal(end.protocol.pollTimeout(), Infinity);
    });

    test("from the end of the peer's half on, until the stream is closed", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.protocol.receiveEnd(START);
      assert.deepEqual([end.protocol.state, end.protocol.pollTimeout()], ["closed", START + 100]);
      end.protocol.streamClosed(START + 1);
      assert.equal(end.protocol.pollTimeout(), Infinity);
      const other = new Endpoint(role, { closeTimeout: 100 });
      other.protocol.receiveEnd(START);
      assert.equal(other.protocol.handleTimeout(START + 100), false);
    });

    test("which starts by itself at a Close and at a violation that is received", () => {
      for (const frame of [{ opcode: 8, payload: hex("03e8") }, { opcode: 3 }]) {
        const end = new Endpoint(role, { ...HEARTBEAT, closeTimeout: 100 });
        end.protocol.start(START);
        end.receiveAt(START + 7, frame);
        assert.deepEqual([end.protocol.isEnding, end.protocol.pollTimeout()], [true, START + 107]);
      }
    });

    test("counted from output that is sent after an error, if what was written before is to be sent", () => {
      for (const [drain, deadline] of [
        [true, 150],
        [false, 100],
      ] as const) {
        const end = new Endpoint(role, { closeTimeout: 100 });
        end.now = START;
        end.fail(handlerFailed(), drain);
        end.protocol.outputSent(START + 50);
        assert.equal(end.protocol.pollTimeout(), START + deadline);
      }
    });
  });
}
