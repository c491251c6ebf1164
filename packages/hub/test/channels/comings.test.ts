import assert from "node:assert/strict";
import { test } from "node:test";
import { Comings } from "../../src/channels/comings.ts";
import type { ClientInfo } from "../../src/broker/broker.ts";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { withHub } from "../support/hubs.ts";
import { type Line, TestClient } from "../support/test-client.ts";
import { settle } from "../support/virtual-clock.ts";

const info = (client: string, chanInfo?: string): ClientInfo => ({ client, user: "u", chanInfo });

test("joins and leaves of one tick are announced by their net result", () => {
  const net = (...steps: readonly ["join" | "leave", ClientInfo][]): string => {
    const comings = new Comings();
    for (const [what, who] of steps) comings[what](who);
    const { leaves, joins } = comings.net();
    const reported = (all: readonly ClientInfo[]): string =>
      all.map(({ client, chanInfo = "" }) => client + chanInfo).join();
    return `-${reported(leaves)} +${reported(joins)}`;
  };
  const [a, b] = [info("a"), info("b")];
  assert.equal(net(["join", a], ["join", b], ["leave", a]), "- +b");
  assert.equal(net(["leave", a], ["join", info("a")]), "- +", "it is there as before");
  assert.equal(net(["leave", a], ["join", info("a", "2")]), "-a +a2", "it is another one now");
  assert.equal(net(["join", a], ["leave", a], ["join", info("a", "2")]), "- +a2");
  assert.equal(net(["leave", a], ["join", a], ["leave", a]), "-a +");
  assert.equal(net(), "- +");
});

const NAMESPACES = { "": { subscribe: "anyone", publish: "anyone", joinLeave: true, presence: true } } as const;
const comingsOf = (lines: readonly Line[]): string[] =>
  lines.flatMap(({ push }) => {
    if (push?.join !== undefined) return [`+${push.join.info.client}`];
    if (push?.leave !== undefined) return [`-${push.leave.info.client}`];
    return push?.pub === undefined ? [] : [String(push.pub.data)];
  });

test("a client that subscribes and unsubscribes in one frame is not announced, however often", async () => {
  const broker = new FaultyBroker();
  await withHub({ broker, namespaces: NAMESPACES }, async ({ hub }) => {
    let reported = 0;
    const { publishJoin, publishLeave } = broker;
    broker.publishJoin = (...args) => (reported++, publishJoin(...args));
    broker.publishLeave = (...args) => (reported++, publishLeave(...args));
    const watcher = await new TestClient(hub).connect();
    await watcher.subscribe("x");
    await settle();
    watcher.take();
    reported = 0;
    const client = await new TestClient(hub).connect();
    const pairs = Array.from({ length: 200 }, (_, i) => [
      { id: 2 * i + 10, subscribe: { channel: "x" } },
      { id: 2 * i + 11, unsubscribe: { channel: "x" } },
    ]);
    client.send(...pairs.flat());
    await settle();
    assert.equal(client.take().filter(({ error }) => error === undefined).length, 400);
    assert.deepEqual([comingsOf(watcher.take()), reported], [[], 0]);
    assert.equal((await hub.presenceStats("x")).clients, 1);
  });
});

test("joins and leaves of one tick are sent in one message, before the client's publications, and after", () =>
  withHub({ namespaces: NAMESPACES }, async ({ hub }) => {
    const watcher = await new TestClient(hub).connect();
    await watcher.subscribe("x");
    const clients = await Promise.all(Array.from({ length: 10 }, () => new TestClient(hub).connect()));
    await settle();
    watcher.take();
    const before = watcher.frames.length;
    for (const client of clients) {
      client.send({ id: 10, subscribe: { channel: "x" } }, { id: 11, publish: { channel: "x", data: "hello" } });
    }
    await settle();
    assert.equal(watcher.frames.length - before, 2, "joins, and publications");
    const ids = clients.map(({ session }) => session.client);
    assert.deepEqual(comingsOf(watcher.take()), [...ids.map((id) => `+${id}`), ...ids.map(() => "hello")]);
    for (const client of clients.slice(0, 2)) {
      client.send({ id: 12, publish: { channel: "x", data: "bye" } }, { id: 13, unsubscribe: { channel: "x" } });
    }
    await settle();
    const [first, second] = ids;
    assert.deepEqual(comingsOf(watcher.take()), ["bye", "bye", `-${first}`, `-${second}`]);
  }));

test("a closing hub announces leaves", async () => {
  const broker = new FaultyBroker();
  let left = 0;
  const { publishLeave } = broker;
  broker.publishLeave = (...args) => (left++, publishLeave(...args));
  await withHub({ broker, namespaces: NAMESPACES }, async ({ hub }) => {
    for (let number = 0; number < 3; number++) await (await new TestClient(hub).connect()).subscribe("x");
    await settle();
  });
  assert.equal(left, 3);
});
