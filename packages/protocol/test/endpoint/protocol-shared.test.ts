import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProtocolConfig, type ProtocolOptions } from "../../src/endpoint/options.ts";
import { Protocol } from "../../src/endpoint/protocol.ts";
import { hex, pattern, show, utf8 } from "../support/bytes.ts";
import { Endpoint, optionsOf } from "../support/endpoint.ts";
import { type FrameSpec, type Role, ROLES } from "../support/frames.ts";
import { collectGarbage } from "../support/garbage.ts";
import { framesTo, Listener, RECEIVER_DEFAULTS, TO_LISTENER } from "../support/receiving.ts";
import { drainFrames, showFrame } from "../support/sent.ts";
import { memory, newProtocol, runtime } from "../support/runtime.ts";
import fc from "fast-check";
import { acquireReceiver, releaseReceiver } from "../../src/endpoint/receiver.ts";

// Connections share receivers and senders: none may affect another.

/** Input of a peer: whole messages and parts, valid and invalid. */
const SCRIPTS: readonly (readonly FrameSpec[])[] = [
  [{ opcode: 1, payload: utf8("Grüße") }],
  [{ opcode: 2, payload: pattern(300) }, { opcode: 9, payload: hex("01") }],
  [
    { opcode: 1, fin: false, payload: utf8("é").subarray(0, 1) },
    { opcode: 10, payload: hex("02") },
    { opcode: 0, payload: utf8("é").subarray(1) },
  ],
  [{ opcode: 2, fin: false, payload: pattern(3000) }, { opcode: 0, fin: false, payload: pattern(10) }],
  [{ opcode: 1, fin: false, payload: hex("e2") }],
  [{ opcode: 9, payload: pattern(125), declared: 125n }],
  [{ opcode: 2, rsv: 4, payload: hex("05") }],
  [{ opcode: 1, payload: hex("c3") }],
  [{ opcode: 0, payload: hex("03") }],
  [{ opcode: 3 }],
  [{ opcode: 2, payload: pattern(5000) }],
  [{ opcode: 8, payload: hex("03e8") }],
]; // prettier-ignore

interface Plan {
  readonly role: Role;
  readonly options: Partial<ProtocolOptions>;
  readonly bytes: Uint8Array;
}

const plan: fc.Arbitrary<Plan> = fc
  .record({
    role: fc.constantFrom(...ROLES),
    options: fc.constantFrom<Partial<ProtocolOptions>>({}, { maxFrameSize: 1000 }, { compression: true }),
    scripts: fc.array(fc.constantFrom(...SCRIPTS), { minLength: 1, maxLength: 4 }),
    missing: fc.nat(20), // bytes that never arrive
  })
  .map(({ role, options, scripts, missing }) => {
    const bytes = framesTo(role, scripts.flat());
    return { role, options, bytes: bytes.subarray(0, Math.max(1, bytes.length - missing)) };
  });

/** Its observable state. */
function seen(end: Endpoint): unknown {
  const { state, error, pendingSize, midMessage } = end.protocol;
  return { events: end.events, sent: end.sent(), state, code: error?.code, pendingSize, midMessage };
}

describe("connections that receive alternately", () => {
  test("behave as each would alone", () => {
    fc.assert(
      fc.property(
        fc.array(plan, { minLength: 2, maxLength: 4 }),
        fc.array(fc.nat(200), { minLength: 1 }),
        (plans, cuts) => {
          const ends = plans.map(({ role, options }) => new Endpoint(role, options));
          const at = plans.map(() => 0);
          for (let turn = 0; at.some((from, i) => from < plans[i].bytes.length); turn++) {
            const i = turn % plans.length;
            const to = Math.min(plans[i].bytes.length, at[i] + cuts[turn % cuts.length] + (turn > 1000 ? 100 : 0));
            ends[i].protocol.receive(plans[i].bytes, 0, at[i], to);
            at[i] = to;
          }
          for (const [i, { role, options, bytes }] of plans.entries()) {
            const alone = new Endpoint(role, options);
            alone.protocol.receive(bytes, 0);
            assert.deepEqual(seen(ends[i]), seen(alone));
            // and the next one is not affected
            const next = new Endpoint(role, options);
            next.receive({ opcode: 2, payload: pattern(200) });
            assert.deepEqual(next.events, [`binary ${show(pattern(200))}`]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  for (const role of ROLES) {
    test(`may end within any data for a ${role}, and leave nothing for the next`, () => {
      const bytes = framesTo(role, [
        { opcode: 9, payload: hex("0102") },
        { opcode: 1, fin: false, payload: utf8("é").subarray(0, 1) },
        { opcode: 10, payload: hex("03") },
        { opcode: 0, payload: utf8("é").subarray(1) },
      ]);
      for (let size = 1; size < bytes.length; size++) {
        const gone = new Endpoint(role);
        gone.protocol.receive(bytes, 0, 0, size);
        gone.protocol.receiveEnd(0);
        assert.deepEqual([gone.protocol.pendingSize, gone.protocol.midMessage], [0, false]);
        const next = new Endpoint(role);
        next.protocol.receive(bytes, 0);
        assert.deepEqual(next.events, ["ping 0102", "pong 03", "text c3a9"], `behind one of ${size} bytes`);
      }
    });

    test(`may receive within each other's calls: a ${role}`, () => {
      const peer: Role = role === "server" ? "client" : "server";
      const inner = new Endpoint(peer);
      const outer = new Endpoint(role);
      const more = framesTo(role, [{ opcode: 2, payload: hex("09") }]);
      let depth = 0;
      outer.then = (what) => {
        inner.receive({ opcode: 1, payload: utf8(what) }, { opcode: 1, fin: false, payload: utf8("(") }, { opcode: 0 });
        if (depth++ < 1) outer.protocol.receive(more, 0, 0, more.length);
      };
      outer.receive({ opcode: 1, payload: utf8("a") }, { opcode: 2, payload: pattern(10) });
      assert.deepEqual(outer.events, ["text 61", "binary 09", `binary ${show(pattern(10))}`]);
      assert.deepEqual(
        inner.events,
        outer.events.flatMap((what) => [`text ${show(utf8(what))}`, "text 28"]),
      );
      assert.equal(outer.protocol.error, undefined);
    });
  }

  test("are released: shared state keeps none of them in memory", async () => {
    const use = (): WeakRef<Endpoint> => {
      const end = new Endpoint("server");
      end.receive({ opcode: 1, payload: utf8("a") }, { opcode: 9 });
      end.sent();
      return new WeakRef(end);
    };
    const end = use();
    await collectGarbage();
    assert.equal(end.deref(), undefined);
  });
});

test("a released receiver notifies its last user of nothing more", () => {
  const listener = new Listener();
  const options = { ...RECEIVER_DEFAULTS, role: "server", compression: true } as const;
  const receiver = acquireReceiver(memory(), options, TO_LISTENER, listener);
  const bytes = framesTo("server", [
    { opcode: 1, payload: utf8("a") },
    { opcode: 2, rsv: 4, payload: hex("01") },
    { opcode: 9 },
    { opcode: 10 },
    { opcode: 8 },
  ]);
  receiver.receive(bytes, 0, bytes.length);
  const events = ["text 61", "compressed binary 01", "ping", "pong", "close"];
  assert.deepEqual(listener.log, events);
  assert.equal(receiver.atRest, true);
  releaseReceiver(receiver);
  assert.equal(acquireReceiver(memory(), options, TO_LISTENER, new Listener()), receiver, "the next one gets it");
  releaseReceiver(receiver);
  receiver.receive(bytes, 0, bytes.length);
  assert.deepEqual(listener.log, events);
});

describe("connections that have the same options", () => {
  const sink = {
    onMessage: () => undefined,
    onPing: () => undefined,
    onPong: () => undefined,
    onStateChange: () => undefined,
  };

  for (const role of ROLES) {
    test(`send separate fragmented messages: a ${role}`, () => {
      const options = optionsOf(role);
      const [a, b] = [newProtocol(options, sink), newProtocol(options, sink)];
      a.beginMessage("text");
      a.sendFragment(utf8("a"), false);
      assert.deepEqual([a.inMessage, b.inMessage], [true, false]);
      b.send("b");
      b.beginMessage("binary");
      b.sendFragment(hex("01"), true);
      assert.throws(() => b.sendFragment(hex("02"), true), { code: "NO_MESSAGE_IN_PROGRESS" });
      assert.throws(() => a.send("c"), { code: "MESSAGE_IN_PROGRESS" });
      a.sendFragment(utf8("c"), true);
      assert.deepEqual(drainFrames(a.output, role).map(showFrame), ["text 61", "continuation 63 fin"]);
      assert.deepEqual(drainFrames(b.output, role).map(showFrame), ["text 62 fin", "binary 01 fin"]);
    });
  }

  test("keep the options that were validated", () => {
    const options: { -readonly [K in keyof ProtocolOptions]: ProtocolOptions[K] } = optionsOf("client");
    const config = new ProtocolConfig(runtime(), options);
    options.maxFrameSize = 1;
    const protocol = new Protocol(config, sink);
    protocol.send("ab");
    assert.deepEqual(drainFrames(protocol.output, "client").map(showFrame), ["text 6162 fin"]);
    assert.ok(Object.isFrozen(config));
    options.maxFrameSize = 0;
    assert.throws(() => new ProtocolConfig(runtime(), options), { code: "INVALID_ARGUMENT" });
  });
});
