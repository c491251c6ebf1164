import assert from "node:assert/strict";
import { test } from "node:test";
import { TokenError } from "../../src/settings/credentials.ts";
import { createTokenVerifier, type TokenOptions } from "../../src/tokens/verifier.ts";
import { withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { SECRET, sign } from "../support/tokens.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

const clock = new VirtualClock();
const now = clock.unix() / 1000;
const base64 = (text: string): string => Buffer.from(text).toString("base64");

function verifier(options: Partial<TokenOptions> = {}): ReturnType<typeof createTokenVerifier> {
  return createTokenVerifier({ keys: [{ algorithm: "HS256", secret: SECRET }], clock, ...options });
}

/** Claims that each type of token must reject by name: [claim in the message, claims]. */
type Wrong = readonly (readonly [claim: string, claims: Readonly<Record<string, unknown>>])[];

const WRONG_IN_BOTH: Wrong = [
  ["sub", { sub: 42 }],
  ["sub", { sub: ["42"] }],
  ["exp", { exp: "tomorrow" }],
  ["nbf", { nbf: "yesterday" }],
  ["iat", { iat: "now" }],
  ["jti", { jti: 7 }],
  ["expire_at", { expire_at: -1 }],
  ["expire_at", { expire_at: "soon" }],
  ["b64info", { b64info: 5 }],
  ["b64info", { b64info: base64("not JSON") }],
  ["b64info", { b64info: "//79" }],
  ["b64info", { b64info: "e30!" }],
  ["b64info", { b64info: "e30==" }],
  ["b64info", { info: 1, b64info: base64("1") }],
  ["override", { override: { presence: { value: true } } }],
  ["caps", { caps: [{ channels: ["*"], allow: ["pub"] }] }],
  ["allow", { allow: ["pub"] }],
];

const WRONG_IN_CONNECTIONS: Wrong = [
  ["channel", { channel: "a" }],
  ["client", { client: "id0" }],
  ["channels", { channels: "a" }],
  ["channels", { channels: [1] }],
  ["subs", { subs: ["a"] }],
  ["subs", { subs: { a: 1 } }],
  ["subs", { subs: { a: { override: { presence: { value: true } } } } }],
  ["subs", { subs: { a: { expire_at: 5 } } }],
  ["subs", { subs: { a: { b64data: base64("{") } } }],
  ["subs", { subs: { a: { info: 1, b64info: base64("1") } } }],
];

const WRONG_IN_SUBSCRIPTIONS: Wrong = [
  ["channel", { channel: "" }],
  ["channel", { channel: null }],
  ["channel", { channel: 1 }],
  ["client", { client: 5 }],
  ["channels", { channels: ["a"] }],
  ["subs", { subs: {} }],
  ["meta", { meta: 1 }],
  ["b64data", { b64data: base64("{") }],
  ["b64data", { data: 1, b64data: base64("1") }],
];

for (const [kind, wrong] of [
  ["connection", [...WRONG_IN_BOTH, ...WRONG_IN_CONNECTIONS]],
  ["subscription", [...WRONG_IN_BOTH, ...WRONG_IN_SUBSCRIPTIONS]],
] as const) {
  test(`a ${kind} token with a wrong claim is rejected, and the error names the claim`, async () => {
    const own = kind === "connection" ? {} : { channel: "a" };
    for (const [claim, claims] of wrong) {
      const check = verifier()[kind](await sign({ sub: "42", ...own, ...claims }));
      await assert.rejects(
        check,
        (error) =>
          error instanceof TokenError && error.claim === claim && error.message.includes(claim) && !error.expired,
        JSON.stringify(claims),
      );
    }
  });
}

test("an expiry of 1e999 is invalid", async () => {
  const token = await sign({ sub: "42", exp: 12345 });
  const [header = "", payload = ""] = token.split(".");
  const text = Buffer.from(payload, "base64url").toString().replace("12345", "1e999");
  const { createHmac } = await import("node:crypto");
  const signed = `${header}.${Buffer.from(text).toString("base64url")}`;
  const signature = createHmac("sha256", SECRET).update(signed).digest("base64url");
  await assert.rejects(verifier().connection(`${signed}.${signature}`), { claim: "exp" });
});

test("claims without a standard are ignored, null counts as absent", async () => {
  const token = await sign({
    sub: "42",
    email: "a@b.c",
    scope: "x",
    azp: "y",
    channel: null,
    expire_at: null,
    info: null,
  });
  const { user, info, expireAt } = await verifier().connection(token);
  assert.deepEqual([user, info, expireAt], ["42", undefined, undefined]);
});

test("info and data may be base64", async () => {
  const { info, subs } = await verifier().connection(
    await sign({ b64info: base64('{"n":"ü"}'), subs: { a: { b64info: base64("1"), b64data: base64("[2]") } } }),
  );
  assert.deepEqual([info, subs], [{ n: "ü" }, new Map([["a", { info: 1, data: [2] }]])]);
  const subscription = await verifier().subscription(
    await sign({ channel: "a", b64info: base64("1"), b64data: base64("2") }),
  );
  assert.deepEqual([subscription.info, subscription.data], [1, 2]);
});

test("times may have fractions", async () => {
  for (const exp of [now + 60.5, now + 0.001, now + 1e12]) {
    assert.equal((await verifier().connection(await sign({ exp }))).expireAt, exp);
    assert.equal((await verifier().subscription(await sign({ channel: "a", exp }))).expireAt, exp);
  }
  const { expireAt } = await verifier().connection(await sign({ exp: now + 60.5, expire_at: now + 9.25 }));
  assert.equal(expireAt, now + 9.25);
});

test("clockTolerance prolongs tokens, connections and subscriptions", async () => {
  const tolerant = verifier({ clockTolerance: 5 });
  assert.equal((await tolerant.connection(await sign({ exp: now - 3 }))).expireAt, now + 2);
  assert.equal((await tolerant.subscription(await sign({ channel: "a", exp: now - 3 }))).expireAt, now + 2);
  await assert.rejects(tolerant.connection(await sign({ exp: now - 5 })), { expired: true });
  await tolerant.connection(await sign({ nbf: now + 4 }));
  await withHub({ tokens: tolerant, anonymous: false, clock }, async ({ hub }) => {
    const client = new TestClient(hub);
    const { connect } = await client.succeed({ connect: { token: await sign({ sub: "42", exp: now - 3 }) } });
    assert.equal(connect?.ttl, 2);
    const token = await sign({ sub: "42", channel: "private:x", exp: now - 3 });
    assert.equal((await client.subscribe("private:x", { token })).ttl, 2);
  });
  for (const clockTolerance of [NaN, -1, Infinity, "5"]) {
    assert.throws(() => verifier({ clockTolerance: clockTolerance as number }), /clockTolerance must be a number/);
  }
});

test("a time beyond the protocol's range is reported as the maximum", async () => {
  await withHub({ tokens: verifier(), anonymous: false, clock }, async ({ hub }) => {
    const client = new TestClient(hub);
    for (const exp of [now + 2 ** 31, now + 2 ** 32 + 5, 1e300]) {
      const { connect } = await new TestClient(hub).succeed({ connect: { token: await sign({ sub: "42", exp }) } });
      assert.equal(connect?.ttl, 2 ** 31 - 1);
    }
    await client.connect({ token: await sign({ sub: "42", exp: now + 2 ** 40 }) });
    const token = await sign({ sub: "42", channel: "private:x", exp: now + 2 ** 40 });
    assert.equal((await client.subscribe("private:x", { token })).ttl, 2 ** 31 - 1);
    assert.equal(
      (await client.succeed({ sub_refresh: { channel: "private:x", token } })).sub_refresh?.ttl,
      2 ** 31 - 1,
    );
    await hub.refresh("42", Number.MAX_SAFE_INTEGER);
    await settle();
    const pushes = client.take().map(({ push }) => push?.refresh?.ttl);
    assert.deepEqual(pushes, [2 ** 31 - 1]);
    assert.equal(client.closedWith, undefined);
  });
});

test("a subscription token is valid for its user, channel and client only", () =>
  withHub({ tokens: verifier(), anonymous: false, clock }, async ({ hub, errors }) => {
    const client = await new TestClient(hub).connect({ token: await sign({ sub: "42" }) });
    const channel = "private:x";
    const subscribe = async (claims: object): Promise<number | undefined> =>
      client.refused({ subscribe: { channel, token: await sign({ sub: "42", channel, ...claims }) } });
    for (const [claim, claims] of [
      ["sub", { sub: "43" }],
      ["channel", { channel: "private:y" }],
      ["client", { client: "another" }],
    ] as const) {
      assert.equal(await subscribe(claims), 103, claim);
      const last = errors.at(-1);
      assert.ok(last instanceof TokenError && last.claim === claim, claim);
    }
    const token = await sign({ sub: "42", channel, client: client.session.client });
    await client.subscribe(channel, { token });
    const other = await sign({ sub: "42", channel, client: "another" });
    assert.equal(await client.refused({ sub_refresh: { channel, token: other } }), 103);
  }));

test("the operator is told the wrong claim, once a minute; the client is not", async () => {
  const strict = verifier({ audience: "hub", issuer: ["app", "other"] });
  const time = new VirtualClock();
  await withHub({ tokens: strict, anonymous: false, clock: time }, async ({ hub, errors }) => {
    const refused = async (claims: object): Promise<TestClient> => {
      const client = new TestClient(hub);
      client.send({ id: 1, connect: { token: await sign({ sub: "42", aud: "hub", iss: "app", ...claims }) } });
      await client.ended();
      assert.deepEqual(client.closedWith, { code: 3500, reason: "invalid token" });
      return client;
    };
    for (const [claim, claims] of [
      ["aud", { aud: "elsewhere" }],
      ["iss", { iss: "me" }],
      ["iss", { iss: null }],
      ["b64info", { b64info: "?" }],
    ] as const) {
      errors.length = 0;
      const before = await refused(claims);
      assert.deepEqual(before.frames, []);
      await refused(claims);
      assert.equal(errors.length, 1, claim);
      assert.match(String(errors[0]), new RegExp(`token\\.${claim} `));
      await time.advance(60_000);
      await refused(claims);
      assert.equal(errors.length, 2, claim);
    }
    errors.length = 0;
    await refused({ aud: "x".repeat(10_000) });
    assert.ok(String(errors[0]).length < 300);
    // anyone can send this without a key
    const forged = new TestClient(hub);
    forged.send({
      id: 1,
      connect: { token: await sign({ aud: "elsewhere" }, "another secret of thirty-two bytes or so") },
    });
    await forged.ended();
    assert.equal(errors.length, 1);
  });
});

test("a token for an unknown channel is rejected, and the operator is told which", () =>
  withHub({ tokens: verifier(), anonymous: false, clock }, async ({ hub, errors }) => {
    for (const claims of [
      { channels: ["nowhere:x"] },
      { subs: { "nowhere:y": {} } },
      { channels: ["x".repeat(300)] },
    ]) {
      assert.equal(
        await new TestClient(hub).refused({ connect: { token: await sign({ sub: "42", ...claims }) } }),
        102,
      );
    }
    assert.equal(errors.length, 3);
    assert.match(String(errors[0]), /token\.channels or credentials name the channel "nowhere:x": no such namespace/);
    const client = await new TestClient(hub).connect({ token: await sign({ sub: "42", channels: ["public:a"] }) });
    const token = await sign({ sub: "42", channels: ["public:a", "nowhere:x"] });
    assert.equal(await client.refused({ refresh: { token } }), 102);
  }));

test("a token that is not yet valid can be retried", () =>
  withHub({ tokens: verifier(), anonymous: false, clock }, async ({ hub, errors }) => {
    const { error } = await new TestClient(hub).ask({ connect: { token: await sign({ nbf: now + 10 }) } });
    assert.deepEqual([error?.code, error?.temporary], [100, true]);
    await settle();
    assert.match(String(errors[0]), /token\.nbf /);
  }));
