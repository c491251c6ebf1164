import assert from "node:assert/strict";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { inspect } from "node:util";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";
import { CommandError } from "../../src/codes.ts";
import { TokenError } from "../../src/settings/credentials.ts";
import { createTokenVerifier, type TokenKey, type TokenOptions } from "../../src/tokens/verifier.ts";
import { withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { SECRET, sign } from "../support/tokens.ts";
import { settle, VirtualClock } from "../support/virtual-clock.ts";

interface Key {
  readonly jwk: JWK;
  token(claims?: JWTPayload): Promise<string>;
}

/** Without `kid`, its tokens do not name it. */
async function newKey(kid?: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const named = kid === undefined ? {} : { kid };
  const jwk = { ...(await exportJWK(publicKey)), ...named, alg: "ES256" };
  const signWith = (key: CryptoKey, claims?: JWTPayload): Promise<string> =>
    new SignJWT({ sub: kid ?? "nameless", ...claims }).setProtectedHeader({ alg: "ES256", ...named }).sign(key);
  return { jwk, token: (claims) => signWith(privateKey, claims) };
}

/** An identity provider that publishes its keys. */
class Provider {
  keys: readonly JWK[] = [];
  fetches = 0;
  answer: (response: ServerResponse) => void = (response) => response.end(JSON.stringify({ keys: this.keys }));
  /** A header field of the last request. */
  authorization: string | undefined;
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => {
      this.fetches++;
      this.authorization = request.headers.authorization;
      this.answer(response);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/jwks?key=hidden`;
  }

  static async run(run: (provider: Provider) => Promise<void>): Promise<void> {
    const provider = new Provider();
    await new Promise<void>((resolve) => provider.server.listen(0, "127.0.0.1", resolve));
    try {
      await run(provider);
    } finally {
      provider.server.closeAllConnections();
      await new Promise((resolve) => provider.server.close(resolve));
    }
  }

  verifier(clock: VirtualClock, options: Partial<TokenOptions> = {}, ...others: TokenKey[]) {
    return createTokenVerifier({ keys: [{ jwks: this.url }, ...others], clock, ...options });
  }
}

/** Returns "user ...", "invalid" or "temporary": the result of verifying a token. */
async function outcome(check: Promise<{ readonly user: string }>): Promise<string> {
  try {
    return `user ${(await check).user}`;
  } catch (error) {
    if (error instanceof TokenError) return "invalid";
    return error instanceof CommandError && error.temporary ? "temporary" : `failed: ${String(error)}`;
  }
}

test("a key added moments ago is fetched at once", () =>
  Provider.run(async (provider) => {
    const [a, b, c] = [await newKey("a"), await newKey("b"), await newKey("c")];
    const verifier = provider.verifier(new VirtualClock());
    provider.keys = [a.jwk];
    assert.equal(await outcome(verifier.connection(await a.token())), "user a");
    provider.keys = [a.jwk, b.jwk];
    assert.equal(await outcome(verifier.connection(await b.token())), "user b");
    provider.keys = [b.jwk, c.jwk];
    assert.equal(await outcome(verifier.connection(await c.token())), "user c");
    assert.equal(provider.fetches, 3);
  }));

test("unknown keys are fetched at most at the configured rate; meanwhile the error is temporary", () =>
  Provider.run(async (provider) => {
    const [known, unknown] = [await newKey("known"), await newKey("unknown")];
    const clock = new VirtualClock();
    const verifier = provider.verifier(clock);
    provider.keys = [known.jwk];
    await verifier.connection(await known.token());
    const token = await unknown.token();
    const outcomes: string[] = [];
    for (let i = 0; i < 20; i++) outcomes.push(await outcome(verifier.connection(token)));
    assert.deepEqual(outcomes, [...Array(3).fill("invalid"), ...Array(17).fill("temporary")]);
    assert.equal(provider.fetches, 4);
    await clock.advance(5_000);
    assert.equal(await outcome(verifier.connection(token)), "invalid");
    assert.equal(await outcome(verifier.connection(token)), "temporary");
    assert.equal(provider.fetches, 5);
    assert.equal(await outcome(verifier.connection(await known.token())), "user known");
    provider.keys = [known.jwk, unknown.jwk];
    await clock.advance(5_000);
    assert.equal(await outcome(verifier.connection(token)), "user unknown");
  }));

test("one fetch at a time, for all that wait", () =>
  Provider.run(async (provider) => {
    const key = await newKey("a");
    provider.keys = [key.jwk];
    const verifier = provider.verifier(new VirtualClock());
    const token = await key.token();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcome(verifier.connection(token))));
    assert.deepEqual([new Set(outcomes), provider.fetches], [new Set(["user a"]), 1]);
  }));

const FAILURES: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "an error status": (response) => response.writeHead(500).end(),
  "a redirect": (response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
  "no JSON": (response) => response.end("<html>"),
  "no key set": (response) => response.end("[]"),
  "a cut connection": (response) => response.destroy(),
  "an endless body": (response) => {
    const more = (): void => {
      while (response.write("x".repeat(65_536)));
      response.once("drain", more);
    };
    response.on("error", () => undefined);
    more();
  },
};

for (const [name, answer] of Object.entries(FAILURES)) {
  test(`a failing fetch (${name}) is repeated with back-off, not for each token, and reported once`, () =>
    Provider.run(async (provider) => {
      const key = await newKey("a");
      provider.answer = answer;
      const clock = new VirtualClock();
      const tokens = provider.verifier(clock);
      await withHub({ tokens, anonymous: false, clock }, async ({ hub, errors }) => {
        const token = await key.token();
        const connect = async (): Promise<void> => {
          const { error } = await new TestClient(hub).ask({ connect: { token } });
          assert.deepEqual([error?.code, error?.temporary], [100, true]);
        };
        for (let i = 0; i < 30; i++) await connect();
        assert.deepEqual([provider.fetches, errors.length], [1, 1]);
        assert.match(String(errors[0]), /cannot fetch keys from http:\/\/127\.0\.0\.1:\d+\/jwks: /);
        assert.doesNotMatch(String(errors[0]), /hidden/);
        for (let failures = 1; failures < 9; failures++) {
          const delay = Math.min(1_000 * 2 ** (failures - 1), 60_000);
          await clock.advance(delay / 2 - 1); // jitter subtracts at most half
          await connect();
          assert.equal(provider.fetches, failures);
          await clock.advance(delay / 2 + 1);
          await connect();
          assert.equal(provider.fetches, failures + 1);
        }
        assert.equal(errors.length, provider.fetches);
      });
    }));
}

test("keys are available again after a failure", () =>
  Provider.run(async (provider) => {
    const key = await newKey("a");
    const { answer } = provider;
    provider.answer = (response) => response.writeHead(503).end();
    const clock = new VirtualClock();
    const reported: string[] = [];
    const verifier = provider.verifier(clock, { onError: ({ message }) => reported.push(message) });
    const token = await key.token();
    assert.equal(await outcome(verifier.connection(token)), "temporary", "onError has the error");
    assert.equal(reported.length, 1);
    provider.answer = answer;
    provider.keys = [key.jwk];
    await clock.advance(1_000);
    assert.equal(await outcome(verifier.connection(token)), "user a");
  }));

test("cached keys stay in use while they are fetched again, for at most an hour", () =>
  Provider.run(async (provider) => {
    const key = await newKey("a");
    provider.keys = [key.jwk];
    const clock = new VirtualClock();
    let isTold = (): void => undefined;
    const reported = new Promise<void>((resolve) => (isTold = resolve));
    const verifier = provider.verifier(clock, { onError: () => isTold() });
    const token = await key.token();
    await verifier.connection(token);
    await clock.advance(599_999);
    await verifier.connection(token);
    assert.equal(provider.fetches, 1);
    provider.answer = (response) => response.writeHead(503).end();
    await clock.advance(1);
    assert.equal(await outcome(verifier.connection(token)), "user a");
    await reported;
    assert.equal(provider.fetches, 2);
    await clock.advance(3_000_000 - 1);
    assert.equal(await outcome(verifier.connection(token)), "user a");
    await clock.advance(1);
    assert.equal(await outcome(verifier.connection(token)), "temporary");
  }));

test("keys that cannot be fetched do not affect tokens of other keys", () =>
  Provider.run(async (provider) => {
    provider.answer = (response) => response.writeHead(503).end();
    const own = await newKey("own");
    const clock = new VirtualClock();
    const publicKey: TokenKey = { algorithm: "ES256", publicKey: own.jwk };
    const verifier = provider.verifier(clock, {}, publicKey, { algorithm: "HS256", secret: SECRET });
    assert.equal(await outcome(verifier.connection(await own.token())), "user own");
    assert.equal(await outcome(verifier.connection(await sign({ sub: "hs" }))), "user hs");
    const other = await (await newKey("other")).token();
    assert.equal(await outcome(verifier.connection(other)), "temporary", "it may be one of those");
    await settle();
  }));

test("user and password of a URL are sent as credentials, and shown in no error", () =>
  Provider.run(async (provider) => {
    const key = await newKey("a");
    provider.keys = [key.jwk];
    const clock = new VirtualClock();
    const reported: string[] = [];
    const verifier = createTokenVerifier({
      keys: [{ jwks: provider.url.replace("//", "//m%C3%A9:p%40ss@") }],
      clock,
      onError: (error) => reported.push(inspect(error)),
    });
    provider.answer = (response) => response.writeHead(503).end();
    assert.equal(await outcome(verifier.connection(await key.token())), "temporary");
    assert.match(reported.join(), /got 503/);
    assert.doesNotMatch(reported.join(), /p%40ss|p@ss|hidden/);
    assert.equal(provider.authorization, `Basic ${Buffer.from("mé:p@ss").toString("base64")}`);
  }));

test("the error of a fetch describes the failure of the connection", () =>
  Provider.run(async (provider) => {
    const key = await newKey("a");
    const reported: string[] = [];
    const verifier = provider.verifier(new VirtualClock(), { onError: ({ message }) => reported.push(message) });
    provider.answer = (response) => response.writeHead(302, { location: "/other" }).end();
    await outcome(verifier.connection(await key.token()));
    assert.match(reported.join(), /jwks: fetch failed: .*redirect/);
  }));

test("a URL that cannot be used is rejected at once, and not shown", () => {
  for (const jwks of ["secret", "ftp://x/secret", "file:///secret", "", { keys: 5 }, 5, undefined]) {
    assert.throws(
      () => createTokenVerifier({ keys: [{ jwks } as TokenKey] }),
      (error) => error instanceof TypeError && /jwks must be/.test(error.message) && !error.message.includes("secret"),
      inspect(jwks),
    );
  }
});

test("of several matching keys in a set, each is tried", () =>
  Provider.run(async (provider) => {
    const [a, b, other] = [await newKey("same"), await newKey("same"), await newKey("same")];
    provider.keys = [a.jwk, b.jwk];
    for (const verifier of [
      provider.verifier(new VirtualClock()),
      createTokenVerifier({ keys: [{ jwks: { keys: [a.jwk, b.jwk] } }] }),
    ]) {
      assert.equal(await outcome(verifier.connection(await a.token())), "user same");
      assert.equal(await outcome(verifier.connection(await b.token())), "user same");
      assert.equal(await outcome(verifier.connection(await other.token())), "invalid");
      await assert.rejects(verifier.connection(await b.token({ nbf: 1e12 })), { claim: "nbf" });
    }
  }));

test("a token without kid causes a fetch for a new or replaced key, at the same rate", () =>
  Provider.run(async (provider) => {
    const [a, b, c] = [await newKey(), await newKey(), await newKey()];
    const verifier = provider.verifier(new VirtualClock());
    provider.keys = [a.jwk];
    assert.equal(await outcome(verifier.connection(await a.token())), "user nameless");
    provider.keys = [b.jwk];
    assert.equal(await outcome(verifier.connection(await b.token())), "user nameless");
    provider.keys = [b.jwk, c.jwk];
    assert.equal(await outcome(verifier.connection(await c.token())), "user nameless");
    assert.equal(provider.fetches, 3);
    const outcomes: string[] = [];
    for (let i = 0; i < 5; i++) outcomes.push(await outcome(verifier.connection(await a.token())));
    assert.deepEqual(outcomes, ["invalid", ...Array(4).fill("temporary")]);
    assert.equal(await outcome(verifier.connection(await c.token())), "user nameless");
    assert.equal(provider.fetches, 4);
  }));
