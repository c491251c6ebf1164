import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { TokenError } from "../../src/settings/credentials.ts";
import { createToken } from "../../src/tokens/sign.ts";
import { createTokenVerifier, type TokenKey, type TokenOptions } from "../../src/tokens/verifier.ts";
import { withHub } from "../support/hubs.ts";
import { type Line, TestClient } from "../support/test-client.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

const secret = "a secret of at least thirty-two bytes, which is the least";
const other = "another secret of at least thirty-two bytes, which is no good";
const clock = new VirtualClock();
const now = Math.floor(clock.unix() / 1000);
const hs256: TokenKey = { algorithm: "HS256", secret };

function sign(payload: JWTPayload, key: string = secret, alg = "HS256"): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg }).sign(new TextEncoder().encode(key));
}

function verifier(options: Partial<TokenOptions> = {}): ReturnType<typeof createTokenVerifier> {
  return createTokenVerifier({ keys: [hs256], clock, ...options });
}

/** Returns "expired", or what is wrong with a token. */
async function fault(check: Promise<unknown>): Promise<string> {
  try {
    await check;
    return "";
  } catch (error) {
    assert.ok(error instanceof TokenError, String(error));
    assert.ok(!error.message.includes(secret));
    return error.expired ? "expired" : error.message;
  }
}

test("a connection token is verified and read", async () => {
  const claims = {
    sub: "42",
    info: { name: "Alice" },
    meta: { plan: "pro" },
    channels: ["a"],
    subs: { b: { info: [1], data: { x: 1 } } },
    exp: now + 60,
  };
  const credentials = await verifier().connection(await sign(claims));
  assert.deepEqual(credentials, {
    user: "42",
    info: { name: "Alice" },
    meta: { plan: "pro" },
    expireAt: now + 60,
    subs: new Map([
      ["a", {}],
      ["b", { info: [1], data: { x: 1 } }],
    ]),
  });
  const expireAt = async (payload: JWTPayload): Promise<number | undefined> =>
    (await verifier().connection(await sign(payload))).expireAt;
  assert.equal(await expireAt({ exp: now + 60, expire_at: now + 5 }), now + 5);
  assert.equal(await expireAt({ exp: now + 60, expire_at: 0 }), undefined);
  assert.equal(await expireAt({}), undefined);
  assert.equal((await verifier().connection(await sign({}))).user, "");
});

test("a subscription token is verified and read", async () => {
  const token = await sign({ sub: "42", channel: "a", info: 1, data: 2, exp: now + 9 });
  assert.deepEqual(await verifier().subscription(token), {
    user: "42",
    channel: "a",
    info: 1,
    data: 2,
    expireAt: now + 9,
  });
});

test("invalid tokens are rejected", async () => {
  const check = async (payload: JWTPayload, ...key: [string?, string?]): Promise<string> =>
    fault(verifier().connection(await sign(payload, ...key)));
  assert.equal(await check({ exp: now - 1 }), "expired");
  assert.equal(await check({ exp: now }), "expired");
  assert.equal(await check({ exp: now + 1 }), "");
  assert.match(await check({ nbf: now + 10 }), /nbf/);
  assert.match(await check({ sub: "42" }, other), /signature/);
  assert.match(await check({ sub: "42" }, secret, "HS512"), /no key for tokens with the algorithm HS512/);
  assert.match(await check({ sub: 42 as unknown as string }), /sub/);
  assert.match(await check({ channels: "a" }), /channels/);
  assert.match(await check({ channels: [1] }), /channels/);
  assert.match(await check({ subs: [] }), /subs/);
  assert.match(await check({ expire_at: -1 }), /expire_at/);
  assert.match(await check({ channel: "a" }), /subscription token/, "one kind is not the other");
  assert.match(await fault(verifier().subscription(await sign({ sub: "42" }))), /channel is missing/);
  const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  for (const token of [
    "x",
    "..",
    "a.b.c",
    `${base64({ alg: "none" })}.${base64({ sub: "42" })}.`,
    `${base64({})}.e30.`,
    `${base64({ alg: 1 })}.e30.`,
  ]) {
    assert.notEqual(await fault(verifier().connection(token)), "", token);
  }
});

test("audience and issuer are checked if configured", async () => {
  const strict = verifier({ audience: ["hub", "other"], issuer: "app" });
  assert.equal(await fault(strict.connection(await sign({ aud: "hub", iss: "app" }))), "");
  assert.match(await fault(strict.connection(await sign({ aud: "else", iss: "app" }))), /aud/);
  assert.match(await fault(strict.connection(await sign({ aud: "hub" }))), /iss/);
  assert.equal(await fault(verifier({ clockTolerance: 5 }).connection(await sign({ exp: now - 3 }))), "");
});

test("public keys: RSA, elliptic curves, Ed25519, as PEM and as JWK; a set of keys, given and by HTTP", async () => {
  const algorithms = ["RS256", "ES256", "EdDSA"] as const;
  const set = [];
  for (const algorithm of algorithms) {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
    const token = await new SignJWT({ sub: algorithm })
      .setProtectedHeader({ alg: algorithm, kid: algorithm })
      .sign(privateKey);
    const jwk = await exportJWK(publicKey);
    set.push({ jwk: { ...jwk, kid: algorithm, alg: algorithm }, token, algorithm });
    for (const key of [await exportSPKI(publicKey), jwk]) {
      const check = verifier({ keys: [hs256, { algorithm, publicKey: key }] });
      assert.equal((await check.connection(token)).user, algorithm);
      assert.equal((await check.connection(await sign({ sub: "hs" }))).user, "hs");
    }
    // a public key used as a shared secret
    const pem = await exportSPKI(publicKey);
    const forged = await sign({ sub: "admin" }, pem);
    assert.match(await fault(verifier({ keys: [{ algorithm, publicKey: pem }] }).connection(forged)), /no key/);
  }
  const jwks = { keys: set.map(({ jwk }) => jwk) };
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(jwks));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  const remote = verifier({ keys: [{ jwks: address }] });
  try {
    for (const check of [verifier({ keys: [{ jwks }] }), remote]) {
      for (const { token, algorithm } of set) assert.equal((await check.connection(token)).user, algorithm);
      assert.match(await fault(check.connection(await sign({ sub: "hs" }))), /no key/);
    }
    assert.equal(asked, 1);
    const { privateKey } = await generateKeyPair("ES256");
    const unknown = await new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "unknown" }).sign(privateKey);
    assert.notEqual(await fault(remote.connection(unknown)), "");
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  const [first] = set;
  await assert.rejects(
    verifier({ keys: [{ jwks: address }] }).connection(first?.token ?? ""),
    (error) => !(error instanceof TokenError),
    "keys that can't be fetched say nothing of the token",
  );
});

test("old and new keys are valid side by side", async () => {
  const both = verifier({ keys: [{ algorithm: "HS256", secret: other }, hs256] });
  assert.equal((await both.connection(await sign({ sub: "1" }))).user, "1");
  assert.equal((await both.connection(await sign({ sub: "2" }, other))).user, "2");
  assert.equal(await fault(both.connection(await sign({ exp: now - 5 }))), "expired");
});

test("keys are validated by the constructor", () => {
  assert.throws(() => verifier({ keys: [] }), /at least one key/);
  assert.throws(
    () => verifier({ keys: [{ algorithm: "HS256", secret: "x".repeat(31) }] }),
    /at least 32 bytes, got 31/,
  );
  assert.throws(() => verifier({ keys: [{ algorithm: "none" as "HS256", secret }] }), /algorithm must be/);
  assert.throws(() => verifier({ keys: [{ algorithm: "HS256" as "RS256", publicKey: "x" }] }), /algorithm must be/);
});

test("tokens are created", async () => {
  const token = await createToken({ secret, user: "alice", ttl: 60, info: { name: "A" }, clock });
  const { user, info, expireAt } = await verifier().connection(token);
  assert.deepEqual([user, info, expireAt], ["alice", { name: "A" }, now + 60]);
  const subscription = await createToken({ secret, user: "alice", channel: "a", clock });
  assert.equal((await verifier().subscription(subscription)).channel, "a");
  await assert.rejects(createToken({ secret: "short", user: "x" }), /32 bytes/);
});

test("a client with tokens connects, subscribes and refreshes", async () => {
  const tokens = createTokenVerifier({ keys: [hs256], clock });
  await withHub({ tokens, anonymous: false, clock, refreshGrace: 5_000 }, async ({ hub }) => {
    const soon = (): number => Math.floor(clock.unix() / 1000) + 10;
    const connectToken = (payload: JWTPayload = {}): Promise<string> => sign({ sub: "42", ...payload });
    assert.equal(await new TestClient(hub).refused({ connect: {} }), 101);
    assert.equal(await new TestClient(hub).refused({ connect: { token: await connectToken({ exp: now - 5 }) } }), 109);
    const liar = new TestClient(hub);
    liar.send({ id: 1, connect: { token: await sign({ sub: "42" }, other) } });
    await liar.ended();
    assert.deepEqual(liar.closedWith, { code: 3500, reason: "invalid token" });

    const a = new TestClient(hub);
    const connected = await a.ask({ connect: { token: await connectToken({ exp: soon() }) } });
    assert.deepEqual([connected.connect?.expires, connected.connect?.ttl, a.session.user], [true, 10, "42"]);

    const subscribe = async (payload: JWTPayload, key = secret): Promise<Line> =>
      a.ask({ subscribe: { channel: "private:x", token: await sign(payload, key) } });
    assert.equal((await subscribe({ sub: "42", channel: "private:y" })).error?.code, 103);
    assert.equal((await subscribe({ sub: "43", channel: "private:x" })).error?.code, 103);
    assert.equal((await subscribe({ sub: "42", channel: "private:x" }, other)).error?.code, 103);
    assert.equal((await subscribe({ sub: "42", channel: "private:x", exp: now - 5 })).error?.code, 109);
    const { subscribe: subscribed } = await subscribe({
      sub: "42",
      channel: "private:x",
      exp: soon(),
      data: { hi: 1 },
    });
    assert.deepEqual([subscribed?.expires, subscribed?.ttl, subscribed?.data], [true, 10, { hi: 1 }]);

    await clock.advance(9_000);
    const refreshed = await a.ask({ refresh: { token: await connectToken({ exp: soon() }) } });
    assert.deepEqual(refreshed.refresh?.ttl, 10);
    const token = await sign({ sub: "42", channel: "private:x", exp: soon() });
    assert.deepEqual((await a.ask({ sub_refresh: { channel: "private:x", token } })).sub_refresh, {
      expires: true,
      ttl: 10,
    });
    assert.equal((await a.ask({ sub_refresh: { channel: "private:y", token } })).error?.code, 103);
    await clock.advance(14_000);
    assert.deepEqual([a.closedWith, a.session.channels], [undefined, ["private:x"]]);
    a.send({ id: 98, refresh: { token: await sign({ sub: "43" }) } });
    await a.ended();
    assert.equal(a.closedWith?.code, 3500);
  });
});

test("a token without configured keys is rejected; one that cannot be verified is retried", async () => {
  await withHub({}, async ({ hub }) => {
    const a = new TestClient(hub);
    a.send({ id: 1, connect: { token: "x" } });
    await settle();
    assert.equal(a.closedWith?.code, 3500);
    const b = await new TestClient(hub).connect();
    assert.equal(await b.refused({ subscribe: { channel: "public:x", token: "x" } }), 103);
  });
  const down = (): Promise<never> => Promise.reject(new Error("no keys"));
  await withHub({ tokens: { connection: down, subscription: down } }, async ({ hub, errors }) => {
    const { error } = await new TestClient(hub).ask({ connect: { token: "very secret" } });
    assert.deepEqual([error?.code, error?.temporary], [100, true]);
    assert.ok(!errors.map(String).join().includes("very secret"));
  });
});

test("functions of the application verify its own tokens", () =>
  withHub(
    {
      anonymous: true,
      clock,
      authenticate: ({ token }) => {
        const user = /^user-(\w+)$/.exec(token)?.[1];
        return user === undefined ? undefined : { user, expireAt: Math.floor(clock.unix() / 1000) + 100 };
      },
      namespaces: {
        own: {
          subscribe: async ({ token, channel, session }) =>
            token === `${session.user} may ${channel}` && { expireAt: Math.floor(clock.unix() / 1000) + 50 },
        },
      },
    },
    async ({ hub }) => {
      await new TestClient(hub).connect();
      const unknown = new TestClient(hub);
      unknown.send({ id: 1, connect: { token: "nonsense" } });
      await unknown.ended();
      assert.equal(
        unknown.closedWith?.code,
        3500,
        "an unknown token is rejected, although anonymous clients are admitted",
      );
      const a = await new TestClient(hub).connect({ token: "user-alice" });
      assert.equal(a.session.user, "alice");
      assert.deepEqual((await a.succeed({ refresh: { token: "user-alice" } })).refresh?.ttl, 100);
      assert.equal(await a.refused({ subscribe: { channel: "own:x" } }), 103);
      const channel = "own:x";
      const token = "alice may own:x";
      assert.equal((await a.subscribe(channel, { token })).ttl, 50);
      assert.deepEqual((await a.succeed({ sub_refresh: { channel, token } })).sub_refresh, { expires: true, ttl: 50 });
      assert.equal(await a.refused({ sub_refresh: { channel, token: "other" } }), 103);
      a.send({ id: 99, refresh: { token: "user-bob" } });
      await a.ended();
      assert.equal(a.closedWith?.code, 3500);
    },
  ));
