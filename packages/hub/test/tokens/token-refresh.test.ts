import assert from "node:assert/strict";
import { test } from "node:test";
import { createTokenVerifier } from "../../src/tokens/verifier.ts";
import { type HubUnderTest, withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { SECRET, sign } from "../support/tokens.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const clock = new VirtualClock();
const tokens = createTokenVerifier({ keys: [{ algorithm: "HS256", secret: SECRET }], clock });
const now = (): number => clock.unix() / 1000;

const withTokens = (run: (under: HubUnderTest) => Promise<void>): Promise<void> =>
  withHub({ tokens, anonymous: false, clock, refreshGrace: 5_000 }, run);

/** Claims of an expired token, or of one whose subject has expired. */
const EXPIRED = [
  () => ({ exp: now() - 5 }),
  () => ({ exp: now() }),
  () => ({ exp: now() - 0.25 }),
  () => ({ exp: now() + 60, expire_at: now() - 5 }),
  () => ({ expire_at: now() - 5 }),
];

async function connected(under: HubUnderTest, claims: object = {}): Promise<TestClient> {
  return new TestClient(under.hub).connect({ token: await sign({ sub: "42", exp: now() + 60, ...claims }) });
}

test("an expired token on connect and subscribe makes the client get another one", () =>
  withTokens(async (under) => {
    for (const claims of EXPIRED) {
      assert.equal(
        await new TestClient(under.hub).refused({ connect: { token: await sign({ sub: "42", ...claims() }) } }),
        109,
      );
      const client = await connected(under);
      const token = await sign({ sub: "42", channel: "private:x", ...claims() });
      assert.equal(await client.refused({ subscribe: { channel: "private:x", token } }), 109);
    }
  }));

test("an expired token on refresh makes the client reconnect (3005)", () =>
  withTokens(async (under) => {
    for (const claims of EXPIRED) {
      const client = await connected(under);
      client.send({ id: 99, refresh: { token: await sign({ sub: "42", ...claims() }) } });
      await client.ended();
      assert.equal(client.closedWith?.code, 3005);
    }
  }));

test("an expired token on sub_refresh makes the client reconnect (3006)", () =>
  withTokens(async (under) => {
    for (const claims of EXPIRED) {
      const client = await connected(under);
      const channel = "private:x";
      await client.subscribe(channel, { token: await sign({ sub: "42", channel, exp: now() + 60 }) });
      client.send({ id: 99, sub_refresh: { channel, token: await sign({ sub: "42", channel, ...claims() }) } });
      await client.ended();
      assert.equal(client.closedWith?.code, 3006);
    }
  }));

test("an expired subscription grant on sub_refresh makes the client reconnect, too", async () => {
  let expireAt = now() + 60;
  const namespaces = { own: { subscribe: () => ({ expireAt }) } };
  await withHub({ clock, namespaces }, async ({ hub }) => {
    const client = await new TestClient(hub).connect();
    await client.subscribe("own:x");
    expireAt = now() - 1;
    client.send({ id: 99, sub_refresh: { channel: "own:x", token: "t" } });
    await client.ended();
    assert.equal(client.closedWith?.code, 3006);
  });
});

test("server-side subscriptions follow the channels of a refresh token", () =>
  withTokens(async (under) => {
    const client = await connected(under, { channels: ["public:a", "public:b"], subs: { "public:c": { data: 1 } } });
    await under.hub.subscribe("42", "public:api");
    await client.subscribe("public:own");
    client.take();
    await under.hub.publish("public:a", "before");
    const refresh = async (claims: object): Promise<void> => {
      await client.succeed({ refresh: { token: await sign({ sub: "42", exp: now() + 60, ...claims }) } });
    };
    const kept: unknown[] = [];
    client.send({
      id: 98,
      refresh: { token: await sign({ sub: "42", exp: now() + 60, channels: ["public:b", "public:d"] }) },
    });
    while (!kept.some((line) => JSON.stringify(line).includes('"id":98'))) {
      await new Promise((resolve) => setImmediate(resolve));
      kept.push(...client.take());
    }
    assert.deepEqual(
      kept.flatMap((line) => {
        const { push } = line as { push?: { channel: string; unsubscribe?: { code: number }; subscribe?: object } };
        if (push?.unsubscribe !== undefined) return [`${push.channel} ends ${push.unsubscribe.code}`];
        return push?.subscribe === undefined ? [] : [`${push.channel} begins`];
      }),
      ["public:a ends 2000", "public:c ends 2000", "public:d begins"],
    );
    const channels = ["public:api", "public:b", "public:d", "public:own"];
    assert.deepEqual([...client.session.channels].sort(), channels);
    await refresh({ channels: ["public:b", "public:own"] });
    assert.deepEqual([...client.session.channels].sort(), ["public:api", "public:b", "public:own"]);
    await refresh({});
    assert.deepEqual([...client.session.channels].sort(), ["public:api", "public:own"], "of the API and its own");
  }));

test("server-side subscriptions follow authenticate on a refresh", async () => {
  let channels = ["public:a", "public:b"];
  const authenticate = () => ({ user: "42", subs: new Map(channels.map((channel) => [channel, {}])) });
  await withHub({ clock, authenticate }, async ({ hub }) => {
    const client = await new TestClient(hub).connect({ token: "t" });
    channels = ["public:b"];
    await client.succeed({ refresh: { token: "t" } });
    assert.deepEqual(client.session.channels, ["public:b"]);
  });
});

test("a refresh changes info and meta of presence and publications", () =>
  withTokens(async (under) => {
    const { hub } = under;
    const client = await connected(under, { info: { name: "A" }, meta: 1, channels: ["public:a"] });
    const token = await sign({
      sub: "42",
      exp: now() + 60,
      info: { name: "B" },
      meta: 2,
      subs: { "public:a": { info: 5 } },
    });
    await client.succeed({ refresh: { token } });
    assert.deepEqual([client.session.info, client.session.meta], [{ name: "B" }, 2]);
    const [present] = await hub.presence("public:a");
    assert.deepEqual([present?.connInfo, present?.chanInfo], [{ name: "B" }, 5]);
    await client.succeed({ publish: { channel: "public:a", data: 1 } });
    const { publications } = await hub.history("public:a", { limit: -1 });
    assert.deepEqual(publications[0]?.info?.connInfo, { name: "B" });
    await client.succeed({ refresh: { token: await sign({ sub: "42", exp: now() + 60, channels: ["public:a"] }) } });
    assert.deepEqual(client.session.info, { name: "B" }, "a token without info takes nothing away");
  }));

test("a sub_refresh changes info", () =>
  withTokens(async (under) => {
    const client = await connected(under);
    const channel = "public:a";
    const token = (info: number): Promise<string> => sign({ sub: "42", channel, exp: now() + 60, info });
    await client.subscribe(channel, { token: await token(1) });
    await client.succeed({ sub_refresh: { channel, token: await token(2) } });
    const [present] = await under.hub.presence(channel);
    assert.equal(present?.chanInfo, 2);
  }));

test("a refresh token of another user ends the connection, and the operator is notified", () =>
  withTokens(async (under) => {
    const client = await connected(under);
    client.send({ id: 9, refresh: { token: await sign({ sub: "43" }) } });
    await client.ended();
    assert.equal(client.closedWith?.code, 3500);
    assert.match(String(under.errors[0]), /token\.sub /);
  }));
