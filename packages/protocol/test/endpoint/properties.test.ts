import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ErrorEntry, PROTOCOL_ERRORS } from "../../src/errors.ts";
import type { ProtocolOptions } from "../../src/endpoint/options.ts";
import { PreparedMessage } from "../../src/messages/prepared.ts";
import { concat, pattern, show, utf8 } from "../support/bytes.ts";
import { cut, lend } from "../support/chunks.ts";
import { Endpoint } from "../support/endpoint.ts";
import { frame, type FrameSpec, type Key, readFrames, type Role, ROLES } from "../support/frames.ts";
import { newMessage } from "../support/runtime.ts";
import fc from "fast-check";

const role = fc.constantFrom<Role>(...ROLES);
const places = fc.array(fc.nat(4000), { maxLength: 12 });
const key: fc.Arbitrary<Key> = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
const control: fc.Arbitrary<FrameSpec> = fc.record({
  opcode: fc.constantFrom(9, 10),
  payload: fc.uint8Array({ maxLength: 125 }),
});

const someText = fc.oneof(
  fc
    .array(fc.constantFrom("a", "é", "€", "😀", "\u{10ffff}", "\0", "\ufeff"), { maxLength: 200 })
    .map((units) => units.join("")),
  fc.string({ unit: "grapheme", maxLength: 20 }),
);
const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom(125, 126, 2047, 2048, 2049, 3000).map((length) => pattern(length, length)),
);
const message = fc.oneof(
  someText.map((text) => ({ type: "text" as const, payload: utf8(text) })),
  someBytes.map((payload) => ({ type: "binary" as const, payload })),
);

const HEARD: Readonly<Record<number, string>> = { 9: "ping", 10: "pong" };
const line = (what: string, bytes: Uint8Array): string => `${what} ${show(bytes)}`.trimEnd();

function fragments(opcode: number, parts: readonly Uint8Array[]): FrameSpec[] {
  return parts.map((payload, i) => ({ opcode: i === 0 ? opcode : 0, fin: i === parts.length - 1, payload }));
}

/** Passes `bytes` to an end in chunks. */
function inChunks(bytes: Uint8Array, at: readonly number[], end: Endpoint): void {
  end.receiveChunks(
    cut(
      bytes,
      at.map((place) => place % (bytes.length + 1)),
    ),
  );
}

describe("any messages", () => {
  test("in any fragments, with control frames between, in any chunks, are delivered unchanged", () => {
    const sent = fc.record({
      message,
      cuts: fc.array(fc.nat(), { maxLength: 6 }),
      controls: fc.array(control, { maxLength: 3 }),
    });
    fc.assert(
      fc.property(role, fc.array(sent, { maxLength: 8 }), fc.infiniteStream(key), places, (to, all, keys, chunks) => {
        const frames: FrameSpec[] = [];
        const expected: string[] = [];
        for (const { message: each, cuts, controls } of all) {
          const parts = cut(
            each.payload,
            cuts.map((place) => place % (each.payload.length + 1)),
          );
          fragments(each.type === "text" ? 1 : 2, parts).forEach((spec, i) => {
            frames.push(spec);
            if (i === parts.length - 1) expected.push(line(each.type, each.payload));
            const between = controls[i];
            if (between === undefined) return;
            frames.push(between);
            expected.push(line(HEARD[between.opcode], between.payload ?? new Uint8Array(0)));
          });
        }
        const bytes = concat(
          ...frames.map((spec) => frame({ ...spec, key: to === "server" ? keys.next().value : undefined })),
        );
        const end = new Endpoint(to);
        inChunks(bytes, chunks, end);
        assert.deepEqual(end.events, expected);
        assert.equal(end.protocol.error, undefined);
      }),
      { numRuns: 200 },
    );
  });

  test("sent in any form by one end are delivered by the other, in any chunks", () => {
    const form = fc.constantFrom("plain", "prepared", "received", "pieces", "payload", "fragments");
    const step = fc.record({
      message,
      form,
      cuts: fc.array(fc.nat(), { maxLength: 4 }),
      ping: fc.boolean(),
      flush: fc.boolean(),
    });
    const options = fc.record({ maxFrameSize: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constant(1 << 24)) });
    fc.assert(
      fc.property(role, options, fc.array(step, { maxLength: 8 }), places, (from, limits, steps, chunks) => {
        const to = new Endpoint(from === "server" ? "client" : "server");
        const sender = new Endpoint(from, limits);
        const { protocol } = sender;
        const written: Uint8Array[] = [];
        const expected: string[] = [];
        for (const { message: each, form: how, cuts, ping, flush } of steps) {
          const { type, payload } = each;
          const text = Buffer.from(payload).toString("utf8");
          const parts = cut(
            payload,
            cuts.map((place) => place % (payload.length + 1)),
          );
          if (how === "plain") protocol.send(type === "text" ? text : payload);
          else if (how === "prepared") protocol.send(new PreparedMessage(payload, { type }));
          else if (how === "received") protocol.send(newMessage(type, payload, 0, payload.length));
          else if (how === "pieces") protocol.send(newMessage(type, new Uint8Array(0), 0, payload.length, parts));
          else if (how === "payload") protocol.sendPayload(type, payload);
          else {
            protocol.beginMessage(type);
            parts.forEach((part, i) => {
              if (ping) {
                protocol.ping(Uint8Array.of(i));
                expected.push(line("ping", Uint8Array.of(i)));
              }
              protocol.sendFragment(part, i === parts.length - 1);
            });
          }
          expected.push(line(type, payload));
          if (flush) written.push(sender.sentBytes());
        }
        written.push(sender.sentBytes());
        const bytes = concat(...written);
        for (const each of readFrames(bytes)) assert.ok(each.payload.length <= limits.maxFrameSize || each.opcode > 7);
        inChunks(bytes, chunks, to);
        assert.deepEqual(to.events, expected);
        assert.equal(to.protocol.error, undefined);
      }),
      { numRuns: 200 },
    );
  });
});

describe("any bytes at all", () => {
  const options: Partial<ProtocolOptions> = { maxFrameSize: 300, maxMessageSize: 500 };
  const table: Readonly<Record<string, ErrorEntry>> = PROTOCOL_ERRORS;

  /** Properties that hold for any input. */
  function check(to: Role, bytes: Uint8Array, chunks: readonly number[], more: Partial<ProtocolOptions>): void {
    const whole = new Endpoint(to, { ...options, ...more });
    whole.receiveChunks([bytes]);
    const sent = whole.sent();
    const { error, state, shouldEndStream, closing } = whole.protocol;
    const close = sent.findIndex((each) => each.startsWith("close"));
    if (error !== undefined) {
      const entry = table[error.code];
      assert.equal(entry?.fault, "peer", error.code);
      assert.deepEqual([state, shouldEndStream, closing.clean], ["closing", true, false]);
      assert.equal(sent.at(-1), `close ${entry?.closeCode?.toString(16).padStart(4, "0")} fin`);
    }
    assert.ok(close === -1 || close === sent.length - 1, "a Close is the last and only one");
    assert.equal(close >= 0, state === "closing");

    const split = new Endpoint(to, { ...options, ...more });
    inChunks(bytes, chunks, split);
    assert.deepEqual(split.events, whole.events);
    assert.deepEqual(split.sent(), sent);
    assert.equal(split.protocol.error?.message, error?.message);
    assert.deepEqual({ ...split.protocol.closing, error }, closing);
    for (const end of [whole, split]) {
      end.protocol.receiveEnd(0);
      assert.equal(end.protocol.state, "closed");
      assert.deepEqual(end.sent(), []);
    }
  }

  const more = fc.record({ compression: fc.boolean(), acceptUnmaskedFrames: fc.boolean() });

  test("never throw, and only cause errors of the table", () => {
    fc.assert(fc.property(role, fc.uint8Array({ maxLength: 300 }), places, more, check), { numRuns: 500 });
  });

  test("that are frames of any kind, some bytes of them changed, neither", () => {
    const spec: fc.Arbitrary<FrameSpec> = fc.record(
      {
        opcode: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) }, fc.nat(15)),
        fin: fc.boolean(),
        rsv: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(0, 0, 0, 4) }, fc.nat(7)),
        payload: fc.oneof(
          someText.map(utf8),
          fc.uint8Array({ maxLength: 140 }),
          fc.constantFrom(pattern(300), pattern(301)),
        ),
        form: fc.constantFrom(16, 64),
        declared: fc.oneof(fc.bigInt(0n, 400n), fc.constantFrom(2n ** 31n, 2n ** 32n + 5n, 2n ** 53n, 2n ** 63n)),
        key,
      },
      { requiredKeys: ["opcode"] },
    );
    // mostly valid, so that it continues for a while
    const payload = fc.uint8Array({ maxLength: 140 });
    const right: fc.Arbitrary<FrameSpec[]> = fc.oneof(
      fc.array(someText.map(utf8), { minLength: 1, maxLength: 4 }).map((parts) => fragments(1, parts)),
      fc.array(payload, { minLength: 1, maxLength: 4 }).map((parts) => fragments(2, parts)),
      fc.tuple(control).map((only) => only),
    );
    const wrong: fc.Arbitrary<FrameSpec[]> = fc.oneof(
      { weight: 3, arbitrary: fc.tuple(spec) },
      fc.integer({ min: 990, max: 1020 }).map((code) => [{ opcode: 8, payload: Uint8Array.of(code >> 8, code) }]),
    );
    const frames = fc
      .array(fc.oneof({ weight: 8, arbitrary: right }, wrong), { maxLength: 12 })
      .map((groups) => groups.flat());
    const flips = fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }),
    );
    fc.assert(
      fc.property(role, frames, flips, places, more, (to, specs, changes, chunks, others) => {
        const own = to === "server" ? ([1, 2, 3, 4] as const) : undefined;
        const bytes = concat(...specs.map((each) => frame({ key: own, ...fitting(each) })));
        for (const [at, xor] of changes) if (bytes.length > 0) bytes[at % bytes.length] ^= xor;
        check(to, bytes, chunks, others);
      }),
      { numRuns: 500 },
    );
  });

  /** Omits a form that cannot express the length. */
  function fitting({ form, ...spec }: FrameSpec): FrameSpec {
    const length = spec.declared ?? BigInt(spec.payload?.length ?? 0);
    return form === undefined || (form === 16 && length > 65535n) ? spec : { ...spec, form };
  }

  test("are left unchanged", () => {
    fc.assert(
      fc.property(role, fc.uint8Array({ maxLength: 100 }), places, (to, bytes, chunks) => {
        const before = Uint8Array.from(bytes);
        const end = new Endpoint(to);
        lend(cut(bytes, chunks), (chunk, start, stop) => end.protocol.receive(chunk, 0, start, stop));
        end.protocol.receive(bytes, 0);
        assert.deepEqual(bytes, before);
      }),
    );
  });
});
