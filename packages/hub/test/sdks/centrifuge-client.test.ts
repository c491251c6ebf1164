// The published npm package centrifuge against the hub over real connections.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Centrifuge,
  type Subscription,
  type SubscriptionOptions,
  UnauthorizedError,
  type UnsubscribedContext,
} from "centrifuge";
import { createToken as signToken, type NewToken } from "../../src/tokens/sign.ts";
import { createTokenVerifier } from "../../src/tokens/verifier.ts";
import { NAMESPACES } from "../support/hubs.ts";
import { Events, ServedHub } from "../support/served-hub.ts";
import { until } from "../support/until.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const options = { namespaces: NAMESPACES, anonymous: true };
const secret = "a secret of at least thirty-two bytes, which is the least";
// The hub's time stands still, the client's does not: no token expires on its way.
const clock = new VirtualClock();
const tokens = createTokenVerifier({ keys: [{ algorithm: "HS256", secret }], clock });
const createToken = (token: Omit<NewToken, "secret">): Promise<string> => signToken({ secret, clock, ...token });

async function subscribed(client: Centrifuge, channel: string, more?: SubscriptionOptions): Promise<Subscription> {
  const subscription = client.newSubscription(channel, { minResubscribeDelay: 5, maxResubscribeDelay: 20, ...more });
  subscription.subscribe();
  await subscription.ready(60_000);
  return subscription;
}

async function connected(client: Centrifuge): Promise<Centrifuge> {
  client.connect();
  await client.ready(60_000);
  return client;
}

function dataOf(subscription: Subscription): Events<unknown> {
  const events = new Events<unknown>();
  subscription.on("publication", ({ data }) => events.push(data as unknown));
  return events;
}

test("connect, subscribe, publish, history, presence, unsubscribe, disconnect", () =>
  ServedHub.run(
    { ...options, authenticate: ({ data }) => ({ user: String(data), info: { name: data }, data: { hello: true } }) },
    async (served) => {
      const alice = served.client({ data: "alice" });
      const hello = new Events<unknown>();
      alice.on("connected", ({ data, client }) => hello.push([data, typeof client]));
      await connected(alice);
      assert.deepEqual(hello.all, [[{ hello: true }, "string"]]);
      const bob = await connected(served.client({ data: "bob" }));
      const comings = new Events<unknown>();
      const inAlices = alice.newSubscription("public:lobby");
      inAlices.on("join", ({ info }) => comings.push(`+${info.user} ${JSON.stringify(info.connInfo)}`));
      inAlices.on("leave", ({ info }) => comings.push(`-${info.user}`));
      const got = new Events<unknown>();
      inAlices.on("publication", ({ data, offset, info, tags }) => got.push([data, offset, info?.user, tags]));
      inAlices.subscribe();
      await inAlices.ready();
      const inBobs = await subscribed(bob, "public:lobby");
      await comings.upTo(2);
      assert.deepEqual(comings.all, ['+alice {"name":"alice"}', '+bob {"name":"bob"}']);

      await inBobs.publish({ text: "hi äöü 😀" });
      await served.hub.publish("public:lobby", [1, 2], { tags: { from: "server" } });
      assert.deepEqual(await got.upTo(2), [
        [{ text: "hi äöü 😀" }, 1, "bob", undefined],
        [[1, 2], 2, undefined, { from: "server" }],
      ]);

      const { publications, offset, epoch } = await inAlices.history({ limit: 10 });
      assert.deepEqual(
        publications.map(({ data }) => data as unknown),
        [{ text: "hi äöü 😀" }, [1, 2]],
      );
      assert.equal(offset, 2);
      const behind = await inAlices.history({ limit: 10, since: { offset: 1, epoch } });
      assert.deepEqual(
        behind.publications.map((each) => each.offset),
        [2],
      );
      const newest = await alice.history("public:lobby", { limit: 1, reverse: true });
      assert.deepEqual(
        newest.publications.map((each) => each.offset),
        [2],
      );
      const { clients } = await inBobs.presence();
      assert.deepEqual(
        Object.values(clients)
          .map(({ user }) => user)
          .sort(),
        ["alice", "bob"],
      );
      assert.deepEqual(await inBobs.presenceStats(), { numClients: 2, numUsers: 2 });

      inBobs.unsubscribe();
      await comings.upTo(3);
      const gone = new Events<unknown>();
      alice.on("disconnected", ({ code, reason }) => gone.push([code, reason]));
      await served.hub.disconnect("alice");
      assert.deepEqual(await gone.upTo(1), [[3503, "force disconnect"]], "a code after which it does not come back");
      assert.deepEqual(comings.all.slice(2), ["-bob"]);
      assert.equal(served.hub.metrics.sessions, 1);
    },
  ));

test("rpc, send, messages of the server, and errors with their codes", async () => {
  const sent = new Events<unknown>();
  await ServedHub.run({ ...options, onMessage: (_session, data) => sent.push(data) }, async (served) => {
    const client = await connected(served.client());
    await assert.rejects(client.rpc("double", 21), { code: 108 });
    served.hub.rpc("double", ({ data }) => Number(data) * 2);
    assert.deepEqual(await client.rpc("double", 21), { data: 42 });
    await assert.rejects(client.rpc("nothing", {}), { code: 108 });
    await client.send({ note: 1 });
    assert.deepEqual(await sent.upTo(1), [{ note: 1 }]);
    const messages = new Events<unknown>();
    client.on("message", ({ data }) => messages.push(data as unknown));
    await served.hub.send("", { hello: "all anonymous" });
    assert.deepEqual(await messages.upTo(1), [{ hello: "all anonymous" }]);
    await assert.rejects(client.publish("private:x", 1), { code: 103 });
    await assert.rejects(client.publish("nope:x", 1), { code: 102 });
    await assert.rejects(client.presence("x"), { code: 108 });
    const refused = new Events<unknown>();
    const subscription = client.newSubscription("private:x");
    subscription.on("unsubscribed", ({ code }) => refused.push(code));
    subscription.subscribe();
    assert.deepEqual(await refused.upTo(1), [103]);
  });
});

test("a lost connection: the client reconnects and receives each publication once, in order", () =>
  ServedHub.run(options, async (served) => {
    const client = await connected(served.client());
    const subscription = client.newSubscription("quiet:x");
    const contexts = new Events<unknown>();
    subscription.on("subscribed", ({ recovered, wasRecovering, hasRecoveredPublications }) =>
      contexts.push([wasRecovering, recovered, hasRecoveredPublications]),
    );
    const got = dataOf(subscription);
    subscription.subscribe();
    await subscription.ready();
    let published = 0;
    for (let round = 0; round < 5; round++) {
      await served.hub.publish("quiet:x", published++);
      served.cutConnections();
      for (let i = 0; i < 5; i++) await served.hub.publish("quiet:x", published++);
      await contexts.upTo(round + 2);
    }
    await served.hub.publish("quiet:x", published++);
    await got.upTo(published);
    assert.deepEqual(
      got.all,
      Array.from({ length: published }, (_, i) => i),
    );
    assert.deepEqual(contexts.all[0], [false, false, false]);
    assert.ok(contexts.all.slice(1).every((context) => JSON.stringify(context) === "[true,true,true]"));
  }));

test("a reconnect requested by the server; lost history is reported", () =>
  ServedHub.run(options, async (served) => {
    const client = await connected(served.client());
    const codes = new Events<unknown>();
    client.on("connecting", ({ code }) => codes.push(code));
    const subscription = client.newSubscription("quiet:x");
    const contexts = new Events<unknown>();
    subscription.on("subscribed", ({ recovered, wasRecovering }) => contexts.push([wasRecovering, recovered]));
    subscription.subscribe();
    await subscription.ready();
    await served.hub.publish("quiet:x", 1);
    await served.hub.publish("quiet:x", 2);
    await served.hub.removeHistory("quiet:x");
    await served.hub.disconnect("", { code: 3011, reason: "force reconnect" });
    assert.deepEqual(await codes.upTo(1), [3011]);
    await contexts.upTo(2);
    assert.equal(client.state, "connected");
  }));

test("an application's own state is loaded again when the position is lost (getState)", () =>
  ServedHub.run(
    { ...options, namespaces: { few: { history: { size: 2, ttl: 60_000 }, subscribe: "anyone" } } },
    async (served) => {
      const { epoch } = await served.hub.publish("few:x", 1);
      const client = await connected(served.client());
      let loads = 0;
      const subscription = client.newSubscription("few:x", {
        minResubscribeDelay: 5,
        maxResubscribeDelay: 10,
        getState: async () => {
          loads++;
          const { offset } = await served.hub.history("few:x");
          return { offset, epoch };
        },
      });
      const got = dataOf(subscription);
      const times = new Events<unknown>();
      subscription.on("subscribed", times.push);
      subscription.subscribe();
      await times.upTo(1);
      assert.equal(loads, 1);
      served.cutConnections();
      for (let n = 2; n <= 6; n++) await served.hub.publish("few:x", n);
      await times.upTo(2);
      assert.equal(loads, 2);
      await served.hub.publish("few:x", 7);
      await got.upTo(1);
      assert.equal(got.all.at(-1), 7);
    },
  ));

test("subscriptions by the server: at connect, later, recovered, and ended", () =>
  ServedHub.run(
    { ...options, authenticate: () => ({ user: "u", subs: new Map([["quiet:feed", { data: { title: "feed" } }]]) }) },
    async (served) => {
      const client = served.client();
      const events = new Events<unknown>();
      client.on("subscribed", ({ channel, recovered, data }) => events.push(["subscribed", channel, recovered, data]));
      client.on("publication", ({ channel, data }) => events.push(["publication", channel, data]));
      client.on("unsubscribed", ({ channel }) => events.push(["unsubscribed", channel]));
      await connected(client);
      await served.hub.publish("quiet:feed", 1);
      await events.upTo(2);
      served.cutConnections();
      await served.hub.publish("quiet:feed", 2);
      await events.upTo(4);
      await served.hub.subscribe("u", "x");
      await served.hub.publish("x", 3);
      await served.hub.unsubscribe("u", "x");
      assert.deepEqual(await events.upTo(7), [
        ["subscribed", "quiet:feed", false, { title: "feed" }],
        ["publication", "quiet:feed", 1],
        ["subscribed", "quiet:feed", true, { title: "feed" }],
        ["publication", "quiet:feed", 2],
        ["subscribed", "x", false, undefined],
        ["publication", "x", 3],
        ["unsubscribed", "x"],
      ]);
    },
  ));

test("tokens: connection and subscription, refreshed before expiry, rejected if invalid", () =>
  ServedHub.run({ namespaces: NAMESPACES, tokens, clock }, async (served) => {
    let connectionTokens = 0;
    let subscriptionTokens = 0;
    const client = served.client({
      getToken: () => {
        connectionTokens++;
        return createToken({ user: "alice", ttl: connectionTokens === 1 ? 1 : 60 });
      },
    });
    await connected(client);
    const subscription = await subscribed(client, "private:x", {
      getToken: ({ channel }) => {
        subscriptionTokens++;
        return createToken({ user: "alice", channel, ttl: subscriptionTokens === 1 ? 1 : 60 });
      },
    });
    const got = dataOf(subscription);
    await until("both tokens are refreshed", () => connectionTokens > 1 && subscriptionTokens > 1);
    assert.deepEqual([connectionTokens, subscriptionTokens], [2, 2]);
    await served.hub.publish("private:x", 1);
    await got.upTo(1);
    assert.equal(client.state, "connected");

    const ends = new Events<unknown>();
    const end = ({ code, reason }: { code: number; reason: string }): void => ends.push([code, reason]);
    const without = served.client();
    without.on("disconnected", end);
    without.connect();
    assert.deepEqual(await ends.upTo(1), [[101, "unauthorized"]]);
    const forged = served.client({
      token: await signToken({ secret: secret.replace("a", "b"), user: "alice", clock }),
    });
    forged.on("disconnected", end);
    forged.connect();
    assert.deepEqual((await ends.upTo(2))[1], [3500, "invalid token"]);
    const expired = served.client({
      token: await createToken({ user: "alice", ttl: -5 }),
      getToken: () => Promise.reject(new UnauthorizedError("")),
    });
    expired.on("disconnected", end);
    expired.connect();
    assert.deepEqual((await ends.upTo(3))[2], [1, "unauthorized"], "it asks for another one");
  }));

test("deltas: the same data in fewer bytes", () =>
  ServedHub.run(options, async (served) => {
    const client = await connected(served.client());
    const subscription = await subscribed(client, "delta:x", { delta: "fossil" });
    const plain = await connected(served.client());
    const got = dataOf(subscription);
    const gotPlain = dataOf(await subscribed(plain, "delta:x"));
    const document = (n: number): object => ({
      rows: Array.from({ length: 30 }, (_, i) => ({ i, text: "größer €" })),
      n,
    });
    for (let n = 0; n < 10; n++) await served.hub.publish("delta:x", document(n));
    const all = Array.from({ length: 10 }, (_, n) => document(n));
    assert.deepEqual(await got.upTo(10), all);
    assert.deepEqual(await gotPlain.upTo(10), all);
    const back = new Events<unknown>();
    subscription.on("subscribed", back.push);
    served.cutConnections();
    await back.upTo(1);
    for (let n = 10; n < 13; n++) await served.hub.publish("delta:x", document(n));
    assert.deepEqual((await got.upTo(13)).slice(10), [10, 11, 12].map(document));
    const { numDeltaPayloads, compressionRatio } = subscription.deltaStats();
    assert.ok(numDeltaPayloads >= 10 && compressionRatio > 0.7, `${numDeltaPayloads} deltas, ${compressionRatio}`);
  }));

test("unsupported features are reported, and the rest works", () =>
  ServedHub.run(options, async (served) => {
    const client = await connected(served.client());
    const codes = new Events<unknown>();
    const end = ({ code, reason }: UnsubscribedContext): void => codes.push([code, reason.startsWith("not available")]);
    client.newMapSubscription("quiet:map").on("unsubscribed", end).subscribe();
    client.newSharedPollSubscription("quiet:poll").on("unsubscribed", end).subscribe();
    const tagsFilter = { key: "a", cmp: "eq", val: "b" } as const;
    client.newSubscription("quiet:tags", { tagsFilter }).on("unsubscribed", end).subscribe();
    assert.deepEqual(await codes.upTo(3), Array(3).fill([108, true]));
    await assert.rejects(client.mapPublish("quiet:map", "key", 1), { code: 108 });
    const subscription = await subscribed(client, "quiet:x");
    const got = dataOf(subscription);
    await served.hub.publish("quiet:x", 1);
    await got.upTo(1);
  }));

test("a hundred channels in one frame; a closing hub makes its clients reconnect", () =>
  ServedHub.run(options, async (served) => {
    const client = served.client();
    const subscriptions = Array.from({ length: 100 }, (_, i) => client.newSubscription(`quiet:${i}`));
    for (const subscription of subscriptions) subscription.subscribe();
    await connected(client);
    await Promise.all(subscriptions.map((subscription) => subscription.ready()));
    const got = new Events<unknown>();
    for (const subscription of subscriptions) subscription.on("publication", ({ data }) => got.push(data as unknown));
    await served.hub.broadcast(
      subscriptions.map(({ channel }) => channel),
      "to all",
    );
    await got.upTo(100);
    const codes = new Events<unknown>();
    client.on("connecting", ({ code }) => codes.push(code));
    await served.hub.close();
    assert.deepEqual((await codes.upTo(1))[0], 3001);
  }));

test("a client whose new token has already expired reconnects by itself, and gets another one", () =>
  ServedHub.run({ namespaces: NAMESPACES, tokens, clock }, async (served) => {
    const ttls = [1, -5, 60]; // seconds: of the first token, of its refresh, and of the next one
    const connects = new Events<unknown>();
    const reasons = new Events<unknown>();
    const client = served.client({
      getToken: () => createToken({ user: "alice", ttl: ttls.shift() ?? 60 }),
    });
    client.on("connected", () => connects.push("connected"));
    client.on("connecting", ({ code }) => reasons.push(code));
    client.on("disconnected", ({ code }) => reasons.push(`ended with ${code}`));
    client.connect();
    await connects.upTo(2);
    assert.deepEqual(reasons.all, [0, 3005]);

    const subscriptionTtls = [1, -5, 60];
    const subscription = client.newSubscription("private:x", {
      getToken: ({ channel }) => createToken({ user: "alice", channel, ttl: subscriptionTtls.shift() ?? 60 }),
    });
    const subscribes = new Events<unknown>();
    subscription.on("subscribed", () => subscribes.push("subscribed"));
    subscription.on("unsubscribed", ({ code }) => reasons.push(`unsubscribed with ${code}`));
    subscription.subscribe();
    await subscribes.upTo(2);
    assert.deepEqual(reasons.all, [0, 3005, 3006]);
  }));
