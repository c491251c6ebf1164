import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat, hex, show, toHex, utf8 } from "../support/bytes.ts";
import { cut } from "../support/chunks.ts";
import { type FrameSpec, ROLES } from "../support/frames.ts";
import { expectFrames, framesTo, listen, newReceiver } from "../support/receiving.ts";
import { boundsOf, headsOf, judge, MALFORMED, WELL_FORMED } from "../support/utf8-table.ts";

/**
 * A text message in fragments split at the given places, with a ping before each except the first.
 */
function textFrames(text: Uint8Array, places: readonly number[], finished = true): FrameSpec[] {
  const parts = cut(text, places);
  return parts.flatMap((payload, i) => [
    ...(i === 0 ? [] : [{ opcode: 9 }]),
    { opcode: i === 0 ? 1 : 0, fin: finished && i === parts.length - 1, payload },
  ]);
}

/** Returns how many bytes a receiver accepts, one by one, until it fails. */
function bytesUntilError(role: (typeof ROLES)[number], bytes: Uint8Array): number {
  const { receiver } = newReceiver(role);
  for (let at = 0; at < bytes.length; at++) {
    const error = receiver.receive(bytes, at, at + 1);
    if (error === undefined) continue;
    assert.equal(error.code, "INVALID_UTF8");
    assert.equal(error.closeCode, 1007);
    return at + 1;
  }
  throw new Error("all was taken");
}

const AROUND: readonly (readonly [string, Uint8Array])[] = [
  ["", hex("")],
  ["behind other characters", utf8("aé€😀")],
  ["behind much", utf8("é".repeat(70))],
];

describe("text that is UTF-8", () => {
  for (const row of WELL_FORMED) {
    const name = row.map(([low, high]) => toHex(Uint8Array.of(low, high)).replace(/^(..)/, "$1-")).join(" ");
    test(`is accepted at the limits of ${name}`, () => {
      for (const character of boundsOf(row)) {
        for (const [, before] of AROUND) {
          const text = concat(before, character);
          expectFrames([{ opcode: 1, payload: text }], [`text ${show(text)}`]);
          for (let at = before.length; at <= text.length; at++) {
            const frames = textFrames(text, [at]);
            for (const role of ROLES) {
              const { log } = listen(role, [framesTo(role, frames)]);
              assert.deepEqual(log, ["ping", `text ${show(text)}`], `${toHex(text)} cut at ${at}`);
            }
          }
        }
      }
    });

    test(`fails if it ends within ${name}, and waits while it may continue`, () => {
      for (const head of headsOf(row)) {
        for (const [, before] of AROUND) {
          const text = concat(before, head);
          expectFrames([{ opcode: 1, payload: text }], ["error INVALID_UTF8"]);
          expectFrames([{ opcode: 1, fin: false, payload: text }], []);
          expectFrames([{ opcode: 1, payload: text, declared: BigInt(text.length + 1) }], []);
          expectFrames([{ opcode: 1, fin: false, payload: text }, { opcode: 0 }], ["error INVALID_UTF8"]);
        }
      }
    });
  }

  test("is separate from the previous message", () => {
    expectFrames(
      [
        { opcode: 2, payload: hex("c3") },
        { opcode: 1, payload: hex("a9") },
      ],
      ["binary c3", "error INVALID_UTF8"],
    );
    expectFrames(
      [
        { opcode: 2, fin: false, payload: hex("c3") },
        { opcode: 0, payload: hex("e2") },
        { opcode: 1, fin: false, payload: hex("c3") },
        { opcode: 0, payload: hex("a9") },
      ],
      ["binary c3e2", "text c3a9"],
    );
  });

  test("may be long, in any fragments", () => {
    const text = utf8("ab\u{7ff}é€\u{ffff}😀\u{10ffff}".repeat(40));
    for (let at = 0; at <= text.length; at++) {
      for (const role of ROLES) {
        const { log } = listen(role, [framesTo(role, textFrames(text, [at, at + 200]))]);
        assert.equal(log.at(-1), `text ${show(text)}`, `cut at ${at}`);
      }
    }
  });
});

describe("text that is not UTF-8", () => {
  for (const [what, digits] of MALFORMED) {
    test(`${what}: fails in whole messages and in fragments`, () => {
      const bad = hex(digits);
      for (const [, before] of AROUND) {
        const text = concat(before, bad, utf8("!"));
        expectFrames([{ opcode: 1, payload: text }, { opcode: 9 }], ["error INVALID_UTF8"]);
        for (const role of ROLES) {
          for (let at = before.length; at <= text.length; at++) {
            const { log } = listen(role, [framesTo(role, textFrames(text, [at]))]);
            assert.equal(log.at(-1), "error INVALID_UTF8", `cut at ${at}`);
          }
        }
      }
    });

    test(`${what}: fails at its first bad byte, in an unfinished frame of an unfinished message`, () => {
      for (const [, before] of AROUND) {
        const text = concat(before, hex(digits));
        const bad = judge(text);
        assert.ok(typeof bad === "number");
        for (const role of ROLES) {
          const declared = 5000n;
          const header = framesTo(role, [{ opcode: 1, declared }]).length;
          const unfinished = framesTo(role, [{ opcode: 1, fin: false, payload: text, declared }]);
          assert.equal(bytesUntilError(role, unfinished), header + bad + 1);
          // and in one chunk: immediately, not at the end of the frame
          assert.deepEqual(listen(role, [unfinished]).log, ["error INVALID_UTF8"]);
        }
      }
    });
  }

  test("Autobahn 6.4: fails at the invalid byte, however the message is split", () => {
    const good = hex("cebae1bdb9cf83cebcceb5");
    const bad = hex("f4908080");
    const rest = utf8("edited");
    for (const role of ROLES) {
      // 6.4.1 and 6.4.2: in fragments
      for (const places of [
        [good.length, good.length + bad.length],
        [good.length + 1, good.length + 2],
      ]) {
        const frames = textFrames(concat(good, bad, rest), places, false);
        assert.deepEqual(listen(role, [framesTo(role, frames)]).log.at(-1), "error INVALID_UTF8");
        const upToBad = framesTo(role, textFrames(concat(good, bad.subarray(0, 2)), [good.length + 1], false));
        assert.equal(bytesUntilError(role, upToBad), upToBad.length);
      }
      // 6.4.3 and 6.4.4: in chunks of one frame
      const whole = framesTo(role, [{ opcode: 1, payload: concat(good, bad, rest) }]);
      const header = whole.length - good.length - bad.length - rest.length;
      assert.equal(bytesUntilError(role, whole), header + good.length + 2);
    }
  });
});
