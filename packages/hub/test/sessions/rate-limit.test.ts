import assert from "node:assert/strict";
import { test } from "node:test";
import { COST, type Limits, RATES } from "../../src/settings/limits.ts";
import { type Allowance, Allowances, type AllowanceUse } from "../../src/limits/rate-limit.ts";
import { withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

const LIMITS: Limits = {
  ...{
    channels: 1,
    channelLength: 1,
    messageSize: 1,
    depth: 1,
    queueBytes: 1,
    pending: 1,
    historyPage: 1,
    pageBytes: 1,
    infoBytes: 1,
  },
  connectionsPerUser: 0,
  rates: { ...RATES, publish: { perSecond: 10, burst: 5 } },
  cost: { perSecond: 1000, burst: 3000 },
};

/** Returns how many publications are permitted at once. */
function publications(allowance: Allowance, now: number): number {
  let count = 0;
  while (count < 1000 && allowance.take("publish", now)) count++;
  return count;
}

test("a bucket grants its contents, and what was refilled since", async () => {
  const clock = new VirtualClock();
  const { allowance } = new Allowances(LIMITS, clock).ofAddress({});
  assert.equal(publications(allowance, clock.now()), 5);
  await clock.advance(99);
  assert.equal(publications(allowance, clock.now()), 0);
  await clock.advance(1);
  assert.equal(publications(allowance, clock.now()), 1);
  await clock.advance(60_000);
  assert.equal(publications(allowance, clock.now()), 5);
});

test("an operation that costs more than available is done, and later ones wait; the debt is at most the capacity", async () => {
  const clock = new VirtualClock();
  const { allowance } = new Allowances(LIMITS, clock).ofAddress({});
  assert.equal(allowance.delay(clock.now()), 0, "nothing was taken");
  allowance.charge(2999, clock.now());
  assert.equal(allowance.delay(clock.now()), 0);
  allowance.charge(1001, clock.now());
  assert.equal(allowance.delay(clock.now()), 1001);
  await clock.advance(1000);
  assert.ok(allowance.delay(clock.now()) > 0);
  await clock.advance(1);
  assert.equal(allowance.delay(clock.now()), 0);
  allowance.charge(1e9, clock.now());
  assert.equal(allowance.delay(clock.now()), 3001);
});

test("without limits everything is allowed", () => {
  const { allowance } = new Allowances({ ...LIMITS, rates: false, cost: false }, new VirtualClock()).ofUser("u");
  allowance.charge(1e12, 0);
  assert.equal(publications(allowance, 0), 1000);
  assert.equal(allowance.delay(0), 0);
});

test("all connections of a user share one allowance, also after reconnecting", async () => {
  const clock = new VirtualClock();
  const allowances = new Allowances(LIMITS, clock);
  const [first, second] = [allowances.ofUser("alice"), allowances.ofUser("alice")];
  assert.equal(first.allowance, second.allowance);
  assert.equal(publications(first.allowance, clock.now()), 5);
  assert.equal(publications(allowances.ofUser("bob").allowance, clock.now()), 5, "others have theirs");
  for (const each of [first, second]) each.close();
  first.close(); // repeating has no effect
  const again = allowances.ofUser("alice");
  assert.equal(publications(again.allowance, clock.now()), 0);
  again.close();
  await clock.advance(60_000);
  assert.equal(publications(allowances.ofUser("alice").allowance, clock.now()), 5);
});

test("a connection of an address uses the remainder of another one, and no new one before 32 are used", () => {
  const clock = new VirtualClock();
  const allowances = new Allowances(LIMITS, clock);
  const open = (): AllowanceUse => allowances.ofAddress({ address: "192.0.2.1" });
  for (let times = 0; times < 5; times++) {
    const use = open();
    assert.equal(publications(use.allowance, clock.now()), times === 0 ? 5 : 0, "coming back gives nothing");
    use.close();
  }
  const uses = Array.from({ length: 100 }, open);
  assert.equal(new Set(uses.map(({ allowance }) => allowance)).size, 32);
  assert.equal(
    uses.reduce((sum, { allowance }) => sum + publications(allowance, clock.now()), 0),
    31 * 5,
  );
  const other = allowances.ofAddress({ address: "192.0.2.2" });
  assert.equal(publications(other.allowance, clock.now()), 5);
  const nowhere = [allowances.ofAddress({}), allowances.ofAddress({})];
  assert.notEqual(nowhere[0]?.allowance, nowhere[1]?.allowance);
});

test("allowances are removed when full again, and the oldest first beyond the limit", async () => {
  const clock = new VirtualClock();
  const allowances = new Allowances(LIMITS, clock);
  for (let number = 0; number < 100; number++) allowances.ofUser(`unused ${number}`).close();
  assert.equal(allowances.size, 0);
  const leave = (number: number): void => {
    const use = allowances.ofUser(`used ${number}`);
    use.allowance.take("publish", clock.now());
    use.close();
  };
  for (let number = 0; number < 30_000; number++) leave(number);
  assert.equal(allowances.size, 20_000);
  await clock.advance(1000);
  leave(-1);
  assert.equal(allowances.size, 1);
});

test("a client that reconnects as the same user keeps its rates; another user has its own", async () => {
  const limits = { rates: { publish: { perSecond: 1, burst: 3 } } };
  await withHub({ limits, authenticate: ({ data }) => ({ user: String(data) }) }, async ({ hub, clock }) => {
    const come = (user: string): Promise<TestClient> => new TestClient(hub).connect({ data: user });
    const publish = (client: TestClient): Promise<number | undefined> =>
      client.refused({ publish: { channel: "x", data: 1 } });
    const first = await come("alice");
    for (let number = 0; number < 3; number++) assert.equal(await publish(first), undefined);
    assert.equal(await publish(first), 111);
    assert.equal(await publish(await come("alice")), 111, "while the first is there");
    first.lose();
    assert.equal(await publish(await come("alice")), 111, "and when it has gone");
    assert.equal(await publish(await come("bob")), undefined);
    await clock.advance(1000);
    assert.equal(await publish(await come("alice")), undefined);
  });
});

test("an anonymous client of the same address keeps its rates", async () => {
  const limits = { rates: { publish: { perSecond: 1, burst: 3 } } };
  await withHub({ limits }, async ({ hub }) => {
    const publish = (client: TestClient): Promise<number | undefined> =>
      client.refused({ publish: { channel: "x", data: 1 } });
    let accepted = 0;
    for (let connection = 0; connection < 5; connection++) {
      const client = await new TestClient(hub, undefined, "192.0.2.7").connect();
      for (let number = 0; number < 3; number++) if ((await publish(client)) === undefined) accepted++;
      client.lose();
    }
    assert.equal(accepted, 3);
  });
});

test("fan-out is charged to its publisher, in bytes for each subscriber: more waits, and nothing is lost", () =>
  withHub({ limits: { rates: false, cost: { perSecond: 100_000, burst: 200_000 } } }, async ({ hub, clock }) => {
    const subscribers: TestClient[] = [];
    for (let number = 0; number < 20; number++) {
      const client = await new TestClient(hub).connect();
      await client.subscribe("x");
      subscribers.push(client);
    }
    const publisher = await new TestClient(hub).connect();
    const data = "x".repeat(1000);
    publisher.send(...Array.from({ length: 50 }, (_, id) => ({ id: id + 10, publish: { channel: "x", data } })));
    await settle();
    const answers = (): number => publisher.take().filter(({ id }) => id !== undefined).length;
    const first = answers();
    assert.ok(first >= 6 && first <= 10, `${first} are done at once: each costs 20 times a thousand bytes`);
    assert.equal(publisher.isPaused, true);
    publisher.send({ id: 99, ping: {} });
    await clock.advance(1000);
    const second = answers();
    assert.ok(second >= 3 && second <= 7, `${second} in a second`);
    await clock.advance(60_000);
    assert.equal(first + second + answers(), 51);
    assert.equal(publisher.isPaused, false);
    assert.equal(
      subscribers[0]?.frames.flatMap((frame) => frame.split("\n")).filter((line) => line.includes('"pub"')).length,
      50,
    );
  }));

test("defaults: what a client may do at once, and its maximum wait", () => {
  assert.deepEqual(COST, { perSecond: 8_388_608, burst: 8_388_608 });
  assert.ok(COST.burst / COST.perSecond < 8, "less than a ping may take");
});
