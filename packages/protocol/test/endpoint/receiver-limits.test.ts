import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEFAULT_LIMITS } from "../../src/endpoint/options.ts";
import { concat, pattern, show } from "../support/bytes.ts";
import { chunkings, cut } from "../support/chunks.ts";
import { frame, type FrameSpec, keyTo, ROLES } from "../support/frames.ts";
import { expectFrames, framesTo, listen, newReceiver } from "../support/receiving.ts";
import { allocatedBy } from "../support/runtime.ts";

const OFF = { maxFrameSize: Infinity, maxMessageSize: Infinity };

describe("declared lengths", () => {
  const HUGE: readonly bigint[] = [
    2n ** 24n + 1n,
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 32n + 5n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
  ];
  for (const declared of HUGE) {
    test(`${declared}: rejected at the header, before the payload`, () => {
      expectFrames([{ opcode: 2, declared }], ["error FRAME_TOO_BIG"]);
      expectFrames([{ opcode: 2, declared }], ["error MESSAGE_TOO_BIG"], {
        maxFrameSize: Infinity,
        maxMessageSize: 1 << 24,
      });
      expectFrames(
        [
          { opcode: 1, fin: false },
          { opcode: 0, declared },
        ],
        ["error FRAME_TOO_BIG"],
      );
    });

    test(`${declared}: without limits, only received bytes are kept, and nothing more is allocated`, () => {
      for (const role of ROLES) {
        const bytes = framesTo(role, [{ opcode: 2, declared, payload: pattern(300) }]);
        for (const chunks of chunkings(bytes)) {
          const { receiver, listener } = newReceiver(role, OFF);
          const allocated = allocatedBy(() => {
            for (const chunk of chunks) assert.equal(receiver.receive(chunk, 0, chunk.length), undefined);
          });
          assert.ok(allocated <= 2 * 300 + 256, `${allocated} bytes`);
          assert.equal(receiver.pendingSize, 300);
          assert.deepEqual(listener.log, []);
        }
      }
    });
  }

  for (const declared of [2n ** 63n, 2n ** 63n + 5n, 2n ** 64n - 1n]) {
    test(`${declared}: not a valid length`, () => {
      expectFrames([{ opcode: 2, declared }], ["error INVALID_LENGTH"], OFF);
      expectFrames(
        [
          { opcode: 1, fin: false },
          { opcode: 0, declared },
        ],
        ["error INVALID_LENGTH"],
      );
    });
  }

  test("the error names the length and the limit", () => {
    const error = (options: object, ...frames: FrameSpec[]): string | undefined =>
      listen("client", [framesTo("client", frames)], options).error?.message;
    assert.match(error({ maxFrameSize: 10 }, { opcode: 2, declared: 11n }) ?? "", /: 11 bytes, limit 10$/);
    assert.match(
      error({ maxMessageSize: 10 }, { opcode: 2, fin: false, payload: pattern(8) }, { opcode: 0, declared: 3n }) ?? "",
      /: at least 11 bytes, limit 10$/,
    );
  });
});

describe("maxFrameSize", () => {
  for (const limit of [0, 1, 125, 126, 300, 65535, 65536]) {
    test(`${limit}: one less, exactly, one more`, () => {
      for (const length of [limit - 1, limit, limit + 1].filter((length) => length >= 0)) {
        const payload = pattern(length);
        const tooBig = length > limit;
        expectFrames([{ opcode: 2, payload }], [tooBig ? "error FRAME_TOO_BIG" : `binary ${show(payload)}`.trimEnd()], {
          maxFrameSize: limit,
        });
        expectFrames(
          [{ opcode: 2, fin: false }, { opcode: 9 }, { opcode: 0, payload }],
          ["ping", tooBig ? "error FRAME_TOO_BIG" : `binary ${show(payload)}`.trimEnd()],
          { maxFrameSize: limit },
        );
      }
    });
  }

  test("counts each frame, not the message", () => {
    const part = pattern(100);
    expectFrames(
      [
        { opcode: 2, fin: false, payload: part },
        { opcode: 0, fin: false, payload: part },
        { opcode: 0, payload: part },
      ],
      [`binary ${show(concat(part, part, part))}`],
      { maxFrameSize: 100 },
    );
  });

  test("does not apply to control frames", () => {
    expectFrames([{ opcode: 9, payload: pattern(125) }], [`ping ${show(pattern(125))}`], { maxFrameSize: 10 });
  });

  test("is 16 MiB by default", () => {
    for (const role of ROLES) {
      const exactly = framesTo(role, [{ opcode: 2, declared: 16n * 1024n * 1024n }]);
      const more = framesTo(role, [{ opcode: 2, declared: 16n * 1024n * 1024n + 1n }]);
      assert.deepEqual(listen(role, [exactly], DEFAULT_LIMITS).log, []);
      assert.deepEqual(listen(role, [more], DEFAULT_LIMITS).log, ["error FRAME_TOO_BIG"]);
    }
  });
});

describe("maxMessageSize", () => {
  for (const limit of [0, 1, 125, 300, 3000]) {
    test(`${limit}: one less, exactly, one more, in one frame and in several`, () => {
      for (const length of [limit - 1, limit, limit + 1].filter((length) => length >= 0)) {
        const payload = pattern(length);
        const expected = [length > limit ? "error MESSAGE_TOO_BIG" : `binary ${show(payload)}`.trimEnd()];
        expectFrames([{ opcode: 2, payload }], expected, { maxMessageSize: limit });
        for (const places of [[0], [length - 1], [length], [0, 1, length >> 1, length - 1]]) {
          const parts = cut(payload, places);
          const frames = parts.map((part, i) => ({
            opcode: i === 0 ? 2 : 0,
            fin: i === parts.length - 1,
            payload: part,
          }));
          expectFrames(frames, expected, { maxMessageSize: limit });
        }
      }
    });
  }

  test("restarts with each message", () => {
    const payload = pattern(100);
    const twice: FrameSpec[] = [
      { opcode: 2, fin: false, payload: payload.subarray(0, 50) },
      { opcode: 0, payload: payload.subarray(50) },
    ];
    expectFrames([...twice, ...twice, { opcode: 2, payload }], Array<string>(3).fill(`binary ${show(payload)}`), {
      maxMessageSize: 100,
    });
  });

  test("is enforced at the header of the frame that would exceed it", () => {
    expectFrames(
      [
        { opcode: 2, fin: false, payload: pattern(90) },
        { opcode: 0, fin: false, declared: 11n },
      ],
      ["error MESSAGE_TOO_BIG"],
      { maxMessageSize: 100 },
    );
  });

  test("is 64 MiB by default", () => {
    const mib = pattern(1 << 20);
    const { receiver, listener } = newReceiver("client", DEFAULT_LIMITS);
    const first = frame({ opcode: 2, fin: false, payload: mib });
    const next = frame({ opcode: 0, fin: false, payload: mib });
    assert.equal(receiver.receive(first, 0, first.length), undefined);
    for (let i = 1; i < 64; i++) assert.equal(receiver.receive(next, 0, next.length), undefined);
    const byte = frame({ opcode: 0, payload: pattern(1) });
    assert.equal(receiver.receive(byte, 0, byte.length)?.code, "MESSAGE_TOO_BIG");
    assert.deepEqual(listener.log, []);
  });
});

describe("many fragments", () => {
  const manyFrames = (role: (typeof ROLES)[number], count: number, size: number): Uint8Array => {
    const key = keyTo(role);
    const payload = new Uint8Array(size).fill(0x61);
    const next = frame({ opcode: 0, fin: false, payload, key });
    const bytes = new Uint8Array(frame({ opcode: 1, fin: false, payload, key }).length + (count - 1) * next.length);
    bytes.set(frame({ opcode: 1, fin: false, payload, key }));
    for (let at = bytes.length - (count - 1) * next.length; at < bytes.length; at += next.length) bytes.set(next, at);
    return bytes;
  };
  /** As returned by reads from a socket. */
  const reads = (bytes: Uint8Array): Uint8Array[] =>
    Array.from({ length: Math.ceil(bytes.length / 65536) }, (_, i) => bytes.subarray(65536 * i, 65536 * (i + 1)));

  for (const role of ROLES) {
    test(`65,537 of them are one message, by default, to a ${role}`, () => {
      const last = frame({ opcode: 0, payload: new Uint8Array(64).fill(0x61), key: keyTo(role) });
      const bytes = concat(manyFrames(role, 65536, 64), last);
      const expected = [`text ${show(new Uint8Array(65537 * 64).fill(0x61))}`];
      assert.deepEqual(listen(role, reads(bytes), DEFAULT_LIMITS).log, expected);
    });

    test(`131,072 unfinished ones of one byte cost a ${role} their bytes`, () => {
      const { receiver, listener } = newReceiver(role, DEFAULT_LIMITS);
      const bytes = manyFrames(role, 131072, 1);
      const allocated = allocatedBy(() => {
        for (const chunk of reads(bytes)) assert.equal(receiver.receive(chunk, 0, chunk.length), undefined);
      });
      assert.equal(receiver.pendingSize, 131072);
      assert.ok(allocated <= 2 * 131072 + 256, `${allocated} bytes`);
      assert.deepEqual(listener.log, []);
    });

    test(`131,072 unfinished empty ones cost a ${role} nothing`, () => {
      const { receiver, listener } = newReceiver(role, DEFAULT_LIMITS);
      const bytes = manyFrames(role, 131072, 0);
      const allocated = allocatedBy(() => {
        for (const chunk of reads(bytes)) assert.equal(receiver.receive(chunk, 0, chunk.length), undefined);
      });
      assert.equal(receiver.pendingSize, 0);
      assert.equal(allocated, 0);
      assert.deepEqual(listener.log, []);
    });
  }
});
