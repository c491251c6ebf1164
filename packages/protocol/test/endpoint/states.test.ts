import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { after, type Phase, PHASES, type StateEvent } from "../../src/endpoint/states.ts";

const EVENTS: readonly StateEvent[] = [
  "closeHeld",
  "closeSent",
  "closeReceived",
  "inputEnded",
  "failed",
  "failedBehindOutput",
  "aborted",
  "timedOut",
  "streamEnded",
];
const ALL = Object.entries<Phase>(PHASES);
const nameOf = (phase: Phase): string => ALL.find(([, each]) => each === phase)?.[0] ?? "";

/** The phases that a connection reaches by these events. */
function path(...events: StateEvent[]): string[] {
  let phase: Phase = PHASES.open;
  return events.map((event) => nameOf((phase = after(phase, event))));
}

describe("the state machine", () => {
  test("goes through a closing handshake that either end starts", () => {
    assert.deepEqual(path("closeSent", "closeReceived", "streamEnded"), [
      "closeSent",
      "closesExchanged",
      "closedCleanly",
    ]);
    assert.deepEqual(path("closeReceived", "closeSent", "streamEnded"), [
      "closeReceived",
      "closesExchanged",
      "closedCleanly",
    ]);
  });

  test("sends one Close after an error, unless one was sent", () => {
    assert.deepEqual(path("failed", "closeSent", "streamEnded"), ["failing", "failed", "lostAfterError"]);
    assert.deepEqual(path("closeSent", "failed", "streamEnded"), ["closeSent", "failed", "lostAfterError"]);
    assert.deepEqual(path("aborted", "streamEnded"), ["aborted", "lostAfterError"]);
    assert.deepEqual(path("closeReceived", "aborted", "closeSent"), ["closeReceived", "failing", "failed"]);
  });

  test("drops a Close that waits when the time is over", () => {
    for (const before of [["closeHeld"], ["closeReceived"], ["failed"], ["failedBehindOutput"]] as StateEvent[][]) {
      assert.equal(path(...before, "timedOut").at(-1), "aborted");
    }
  });

  test("never leaves the end, and comes to it from every phase", () => {
    for (const [name, phase] of ALL) {
      assert.equal(after(phase, "streamEnded").state, "closed", name);
      if (phase.state === "closed") for (const event of EVENTS) assert.equal(after(phase, event), phase, name);
    }
  });

  test("holds a Close until messages before it are sent, and accepts no more meanwhile", () => {
    assert.deepEqual(path("closeHeld", "closeReceived", "closeSent"), [
      "closeHeld",
      "closeReceivedHeld",
      "closesExchanged",
    ]);
    assert.deepEqual(path("failedBehindOutput", "closeHeld", "closeSent", "streamEnded"), [
      "draining",
      "drainingHeld",
      "drained",
      "lost",
    ]);
    for (const [name, { sends, accepts, drains }] of ALL) {
      assert.ok(sends || !accepts, name);
      if (sends && !accepts) assert.ok(drains, name);
    }
  });

  test("never goes back: open, closing, closed", () => {
    const order = ["open", "closing", "closed"];
    for (const [name, phase] of ALL) {
      for (const event of EVENTS) {
        const next = after(phase, event);
        assert.ok(order.indexOf(next.state) >= order.indexOf(phase.state), `${name}, ${event}`);
        assert.ok(
          !phase.closeSent || next.closeSent || next.state === "closed",
          `${name}, ${event}: the Close was sent`,
        );
      }
    }
  });

  test("takes messages of the application until its Close is sent, and nothing of the peer behind a Close", () => {
    for (const [name, { sends, receives, closeSent, closePending, state }] of ALL) {
      assert.ok(!(sends && closeSent), name);
      assert.ok(!(closePending && closeSent), name);
      assert.equal(sends, state === "open" || closePending, name);
      if (receives) assert.ok(state === "open" || name === "closeSent", name);
    }
  });

  test("reaches every phase from open", () => {
    const seen = new Set<Phase>([PHASES.open]);
    for (const phase of seen) for (const event of EVENTS) seen.add(after(phase, event));
    assert.deepEqual([...seen].map(nameOf).sort((a, b) => a.localeCompare(b)), ALL.map(([name]) => name).sort((a, b) => a.localeCompare(b))); // prettier-ignore
  });
});
