import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { protocolError } from "../src/errors.ts";
import { hex } from "./support/bytes.ts";
import { Endpoint } from "./support/endpoint.ts";
import { ROLES } from "./support/frames.ts";

const START = 1_000_000;
const HEARTBEAT = { heartbeat: { interval: 30, timeout: 10 } };

/** Lets the time pass up to the deadline; whether the stream may live on. */
function pass(end: Endpoint): boolean {
  return end.protocol.handleTimeout(end.protocol.deadline);
}

for (const role of ROLES) {
  describe(`the heartbeat of a ${role}`, () => {
    test("is off without options, and does not begin before start", () => {
      const off = new Endpoint(role);
      off.protocol.start(START);
      assert.equal(off.protocol.deadline, Infinity);
      assert.equal(off.protocol.handleTimeout(START + 1e9), true);
      assert.equal(off.protocol.handleTimeout(Infinity), true);
      const on = new Endpoint(role, HEARTBEAT);
      assert.equal(on.protocol.deadline, Infinity);
      on.protocol.start(START);
      assert.equal(on.protocol.deadline, START + 30);
    });

    test("pings a silent peer, then gives it up", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      assert.equal(end.protocol.handleTimeout(START + 29), true);
      assert.deepEqual(end.sent(), []);
      assert.equal(end.protocol.deadline, START + 30);
      assert.equal(end.protocol.handleTimeout(START + 30), true);
      assert.deepEqual(end.sent(), ["ping fin"]);
      assert.equal(end.protocol.deadline, START + 40);
      assert.equal(end.protocol.handleTimeout(START + 39), true);
      assert.equal(end.protocol.handleTimeout(START + 40), false);
      assert.equal(end.code, "HEARTBEAT_TIMEOUT");
      assert.equal(end.protocol.error?.fault, "transport");
      assert.match(end.protocol.error?.message ?? "", /40 ms$/);
      end.protocol.receiveEnd(new Error("destroyed"));
      assert.equal(end.code, "HEARTBEAT_TIMEOUT");
      assert.equal(end.protocol.closing.code, 1006);
    });

    test("is content with any byte, before the ping and after", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      end.protocol.receive(hex("8a")); // the first byte of a frame
      assert.equal(pass(end), true);
      assert.deepEqual(end.sent(), []);
      end.protocol.receive(new Uint8Array(0)); // is no byte
      assert.equal(pass(end), true);
      assert.deepEqual(end.sent(), ["ping fin"]);
      end.protocol.receive(role === "server" ? hex("80") : hex("00"));
      for (let round = 0; round < 3; round++) {
        assert.equal(pass(end), true);
        assert.deepEqual(end.sent(), []);
        assert.equal(pass(end), true);
        assert.deepEqual(end.sent(), ["ping fin"]);
        end.protocol.receive(role === "server" ? hex("00000000 8a80") : hex("8a00"));
      }
      assert.equal(end.protocol.error, undefined);
    });

    test("pings at the latest two intervals after the last byte", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      end.receive({ opcode: 10 });
      pass(end);
      assert.equal(end.protocol.deadline, START + 60);
      pass(end);
      assert.deepEqual(end.sent(), ["ping fin"]);
    });

    test("waits while nobody reads, and then for the first read", () => {
      const end = new Endpoint(role, HEARTBEAT);
      const { protocol } = end;
      protocol.start(START);
      protocol.readingPaused = true;
      assert.equal(protocol.readingPaused, true);
      for (let i = 0; i < 10; i++) assert.equal(pass(end), true);
      assert.deepEqual(end.sent(), []);
      // pinged, then paused up to the moment before the deadline: the answer lies unread
      protocol.readingPaused = false;
      assert.equal(pass(end), true);
      assert.equal(pass(end), true);
      assert.deepEqual(end.sent(), ["ping fin"]);
      protocol.readingPaused = true;
      protocol.readingPaused = true;
      protocol.readingPaused = false;
      assert.equal(pass(end), true);
      assert.equal(protocol.error, undefined);
      // silence again
      assert.equal(pass(end), true);
      assert.deepEqual(end.sent(), ["ping fin"]);
      protocol.readingPaused = false; // which is no news
      assert.equal(pass(end), false);
    });

    test("pings between the fragments of a message, without a word to the sink", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      end.protocol.beginMessage("binary");
      end.protocol.sendFragment(hex("01"), false);
      pass(end);
      end.protocol.sendFragment(hex("02"), true);
      assert.deepEqual(end.sent(), ["binary 01", "ping fin", "continuation 02 fin"]);
      assert.deepEqual(end.heard, []);
    });

    test("ends with the connection", () => {
      const end = new Endpoint(role, HEARTBEAT);
      end.protocol.start(START);
      end.protocol.receiveEnd();
      assert.equal(end.protocol.deadline, Infinity);
      assert.equal(end.protocol.handleTimeout(Infinity), true);
      assert.deepEqual(end.sent(), []);
    });
  });

  describe(`the closing handshake of a ${role} has closeTimeout`, () => {
    test("from close() on, whatever comes", () => {
      const end = new Endpoint(role, { ...HEARTBEAT, closeTimeout: 100 });
      end.protocol.start(START);
      end.protocol.close(1000, "", START + 5);
      assert.equal(end.protocol.deadline, START + 105);
      end.receive({ opcode: 1 }, { opcode: 9 });
      end.protocol.startClosing(START + 50); // as callers do at each change of state
      assert.equal(end.protocol.deadline, START + 105);
      assert.equal(end.protocol.handleTimeout(START + 104), true);
      assert.equal(end.protocol.handleTimeout(START + 105), false);
      assert.equal(end.code, "CLOSE_TIMEOUT");
      assert.equal(end.protocol.closing.clean, false);
      assert.deepEqual(end.sent(), ["close 03e8 fin"]);
    });

    test("for the end of the stream, too, which is no error when both have closed", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.protocol.close(1000, "", START);
      end.receive({ opcode: 8, payload: hex("03e8") });
      end.protocol.startClosing(START + 90);
      assert.equal(end.protocol.deadline, START + 100);
      assert.equal(end.protocol.handleTimeout(START + 100), false);
      end.protocol.receiveEnd();
      assert.deepEqual(end.protocol.closing, { code: 1000, reason: "", clean: true, error: undefined });
    });

    test("from the peer's Close on", () => {
      const end = new Endpoint(role, { ...HEARTBEAT, closeTimeout: 100 });
      end.protocol.start(START);
      end.receive({ opcode: 8 });
      end.protocol.startClosing(START + 7);
      assert.equal(end.protocol.deadline, START + 107);
      assert.deepEqual(end.sent(), ["close fin"]);
      assert.equal(end.protocol.handleTimeout(START + 107), false);
      assert.equal(end.code, undefined);
    });

    test("for its own Close, too, which may never get past what waits before it", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.receive({ opcode: 8 });
      end.protocol.startClosing(START);
      assert.equal(end.protocol.handleTimeout(START + 100), false);
      assert.equal(end.code, "CLOSE_TIMEOUT");
      end.protocol.receiveEnd();
      assert.deepEqual(end.sent(), []);
      assert.equal(end.protocol.closing.clean, false);
    });

    test("from an error on, which stays the error", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.protocol.fail(protocolError("HANDLER_FAILED"));
      end.protocol.startClosing(START);
      assert.equal(end.protocol.deadline, START + 100);
      assert.equal(end.protocol.handleTimeout(START + 100), false);
      assert.equal(end.code, "HANDLER_FAILED");
    });

    test("which does not run while it is open, or when it has ended", () => {
      const end = new Endpoint(role, { closeTimeout: 100 });
      end.protocol.startClosing(START);
      assert.equal(end.protocol.deadline, Infinity);
      end.protocol.receiveEnd();
      end.protocol.startClosing(START);
      assert.equal(end.protocol.deadline, Infinity);
    });
  });
}
