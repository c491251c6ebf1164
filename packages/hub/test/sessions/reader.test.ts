import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBudget } from "tungstate";
import { withHub } from "../support/hubs.ts";
import { type Line, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const idsOf = (lines: readonly Line[]): number[] => lines.map(({ id = 0 }) => id);
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

for (const [what, line, most] of [
  ["a ping", '{"id":1,"ping":{}}', 1_400],
  ["an unsubscribe of nothing", '{"id":1,"unsubscribe":{"channel":"x"}}', 1_400],
  ["a request that makes no sense", '{"id":1,"publish":{}}', 1_400],
] as const) {
  test(`a frame full of lines, each ${what}: few are processed at once, the others wait`, () =>
    withHub({}, async ({ hub, clock }) => {
      const client = await new TestClient(hub).connect();
      const lines = Math.floor(65_536 / (line.length + 1));
      client.send(...times(lines, () => line));
      await settle();
      const answered = client.take().length;
      assert.ok(answered >= 25 && answered <= most, `${answered} of ${lines}`);
      assert.deepEqual([client.isPaused, client.closedWith], [true, undefined]);
      await clock.advance(1000);
      const later = client.take().length;
      assert.ok(later > 0 && later <= most, `${later} in the next second`);
    }));
}

for (const [what, line] of [
  ["answers to pings", "{}"],
  ["blank lines", ""],
  ["lines of white space", " \t\r"],
] as const) {
  test(`a frame full of ${what} costs its work`, () =>
    withHub({ limits: { cost: { perSecond: 100_000, burst: 1_000_000 } } }, async ({ hub, clock }) => {
      const client = await new TestClient(hub).connect();
      client.send(...times(Math.floor(65_000 / (line.length + 1)), () => line), { id: 7, ping: {} });
      await settle();
      assert.deepEqual([client.take(), client.isPaused], [[], true]);
      await clock.advance(3600_000);
      assert.deepEqual(idsOf(client.take()), [7]);
      assert.equal(client.isPaused, false);
    }));
}

test("an unknown command ends the connection, as in Centrifugo", () =>
  withHub({}, async ({ hub }) => {
    for (const line of ['{"id":1}', '{"id":1,"nothing":{}}', '{"id":1,"ping":null}']) {
      const client = await new TestClient(hub).connect();
      client.send({ id: 7, ping: {} }, ...times(2_000, () => line));
      await settle();
      assert.equal(client.closedWith?.code, 3501, line);
      assert.deepEqual(idsOf(client.take()), [7]);
    }
  }));

for (const line of ["{}", "", '{"id":1,"ping":{}}', '{"id":1,"publish":{"channel":"x","data":1}}']) {
  test(`a client cannot send more lines than bytes by compression: ${line === "" ? "blank lines" : line}`, () =>
    withHub({}, async ({ hub, clock }) => {
      const frame = times(300, () => line);
      const honest = await new TestClient(hub).connect();
      honest.bytesReceived = 300;
      honest.send(...frame, { id: 7, ping: {} });
      await clock.advance(60_000);
      assert.deepEqual([honest.closedWith, idsOf(honest.take()).includes(7)], [undefined, true]);
      const greedy = await new TestClient(hub).connect();
      greedy.bytesReceived = 200;
      greedy.send(...frame, { id: 7, ping: {} });
      await clock.advance(60_000);
      assert.deepEqual(greedy.closedWith, { code: 3501, reason: "bad request: more lines than bytes" });
      assert.ok(greedy.take().length <= 264);
    }));
}

test("a frame of only blank lines is invalid", () =>
  withHub({}, async ({ hub }) => {
    for (const frame of ["", "\n\n", " \t "]) {
      const client = await new TestClient(hub).connect();
      client.send(frame);
      assert.equal(client.closedWith?.code, 3501, JSON.stringify(frame));
    }
  }));

test("reading a frame pauses while too many commands are pending, and resumes when half are done", () => {
  const answers: (() => void)[] = [];
  return withHub({ limits: { pending: 4 } }, async ({ hub }) => {
    hub.rpc("wait", () => new Promise<void>((resolve) => answers.push(resolve)));
    const client = await new TestClient(hub).connect();
    client.send(...times(10, (i) => ({ id: 100 + i, rpc: { method: "wait" } })));
    assert.deepEqual([answers.length, client.isPaused], [4, true]);
    for (let waiting = answers.splice(0); waiting.length > 0; waiting = answers.splice(0)) {
      assert.ok(waiting.length <= 4);
      for (const answer of waiting) answer();
      await settle();
    }
    assert.deepEqual(
      idsOf(client.take()),
      times(10, (i) => 100 + i),
    );
    assert.equal(client.isPaused, false);
  });
});

test("commands that wait for others about the same channel are pending, too", () => {
  let allow: (() => void) | undefined;
  const namespaces = {
    "": {
      subscribe: () => new Promise<boolean>((resolve) => (allow = () => resolve(true))),
      publish: "anyone" as const,
    },
  };
  return withHub({ namespaces, limits: { pending: 20 } }, async ({ hub }) => {
    const client = await new TestClient(hub).connect();
    client.send(
      { id: 10, subscribe: { channel: "x" } },
      ...times(100, (i) => ({ id: 11 + i, publish: { channel: "x", data: i } })),
    );
    await settle();
    assert.deepEqual([client.take(), client.isPaused, hub.metrics.published], [[], true, 0]);
    allow?.();
    await settle();
    assert.deepEqual(
      idsOf(client.take().filter(({ id }) => id !== undefined)),
      times(101, (i) => 10 + i),
    );
  });
});

test("frames with waiting commands are bounded in bytes, and charged to the memory budget", () => {
  const answers: (() => void)[] = [];
  const memoryBudget = new MemoryBudget(10_000_000);
  return withHub({ memoryBudget, limits: { queueBytes: 100_000 } }, async ({ hub }) => {
    hub.rpc("wait", () => new Promise<void>((resolve) => answers.push(resolve)));
    const client = await new TestClient(hub).connect();
    let sent = 0;
    while (!client.isPaused && sent < 100) {
      client.send(JSON.stringify({ id: 10 + sent++, rpc: { method: "wait" } }).padEnd(30_000));
    }
    assert.equal(sent, 4, "120,000 bytes");
    assert.equal(memoryBudget.use.parts["hub frames"], 120_000);
    for (const answer of answers) answer();
    await settle();
    assert.deepEqual([client.isPaused, memoryBudget.use.parts["hub frames"]], [false, undefined]);
    const other = await new TestClient(hub).connect();
    for (let number = 0; number < 4; number++)
      other.send(JSON.stringify({ id: 10, rpc: { method: "wait" } }).padEnd(30_000));
    other.lose();
    assert.equal(memoryBudget.use.parts["hub frames"], undefined, "nothing is left of who has gone");
  });
});

test("long work runs in slices, in order of arrival; others run in between", () =>
  withHub({ limits: { rates: false } }, async ({ hub, clock }) => {
    const done: string[] = [];
    hub.rpc("work", ({ session, data }) => {
      clock.spend(1);
      done.push(`${session.client} ${String(data)}`);
    });
    const greedy = await new TestClient(hub).connect();
    const modest = await new TestClient(hub).connect();
    greedy.send(...times(200, (i) => ({ id: 10 + i, rpc: { method: "work", data: i } })));
    const first = done.length;
    assert.ok(first < 32, `${first} at once`);
    modest.send({ id: 10, rpc: { method: "work", data: "other" } });
    const ticks: number[] = [];
    for (let before = done.length; done.length < 201; before = done.length) {
      await new Promise((resolve) => setImmediate(resolve));
      ticks.push(done.length - before);
      assert.ok(ticks.length < 300);
    }
    assert.ok(Math.max(...ticks) <= 16, ticks.join(" "));
    await settle();
    const at = done.findIndex((each) => each.endsWith("other"));
    assert.ok(at < 60, `the other one is number ${at}`);
    assert.deepEqual(
      idsOf(greedy.take()),
      times(200, (i) => 10 + i),
    );
    assert.equal(modest.take().length, 1);
  }));

test("limits.messageSize counts bytes: one below it, at it, one above it", () =>
  withHub({ limits: { messageSize: 1000 } }, async ({ hub }) => {
    const frame = (bytes: number): string => {
      const text = '{"id":2,"ping":{},"x":"é€😀"}';
      return text + " ".repeat(bytes - Buffer.byteLength(text));
    };
    for (const [bytes, code] of [
      [999, undefined],
      [1000, undefined],
      [1001, 1009],
    ] as const) {
      const client = await new TestClient(hub).connect();
      assert.equal(Buffer.byteLength(frame(bytes)), bytes);
      client.send(frame(bytes));
      assert.equal(client.closedWith?.code, code, `${bytes} bytes`);
    }
    const client = await new TestClient(hub).connect();
    client.send("é".repeat(501));
    assert.equal(client.closedWith?.code, 1009, "501 characters of two bytes");
  }));
