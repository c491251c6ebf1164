import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createHttpApi,
  createToken,
  createTokenVerifier,
  Hub,
  MemoryEngine,
  MemoryPresenceStore,
} from "../../src/index.ts";
import { resolveRedisOptions } from "../../src/redis/options.ts";

const SECRET = "a secret of at least thirty-two bytes";
const keys = [{ secret: SECRET }];
const namespaces = { "": {} };
const history = { size: 1, ttl: 1 };

const misspelled: readonly (readonly [string, () => unknown])[] = [
  [
    "the options of a hub: there is no annonymous; .*anonymous, ",
    () => new Hub({ namespaces, annonymous: true } as never),
  ],
  ["limits: there is no chanels", () => new Hub({ namespaces, limits: { chanels: 1 } } as never)],
  [
    "ping: there is no interva; there are interval, timeout",
    () => new Hub({ namespaces, ping: { interva: 1000 } } as never),
  ],
  ['namespace "a": there is no histroy', () => new Hub({ namespaces: { a: { histroy: history } } } as never)],
  [
    'namespace "": history: there is no tll',
    () => new Hub({ namespaces: { "": { history: { ...history, tll: 1 } } } } as never),
  ],
  ["a MemoryEngine: there is no historyByte;", () => new MemoryEngine({ historyByte: 1 } as never)],
  ["a MemoryPresenceStore: there is no TTL", () => new MemoryPresenceStore({ TTL: 1 } as never)],
  ["a token verifier: there is no audiance", () => createTokenVerifier({ keys, audiance: "us" } as never)],
  ["of the HTTP API: there is no key;", () => createHttpApi(new Hub({ namespaces }), { key: SECRET } as never)],
  ["of Redis: there is no constructor", () => resolveRedisOptions({ constructor: 1 } as never)],
];

for (const [message, make] of misspelled) {
  test(`a misspelled option is refused: ${message}`, () => {
    assert.throws(make, (error) => error instanceof TypeError && new RegExp(message).test(error.message));
  });
}

test("a token of which something is misspelled is not made", async () => {
  await assert.rejects(createToken({ secret: SECRET, user: "ann", tll: 60 } as never), /there is no tll; .*ttl/);
});

test("options that are none at all are refused", () => {
  for (const none of [null, 5, "x"]) assert.throws(() => new Hub(none as never), /the options of a hub are an object/);
});

const hubWith = (options: object) => (): unknown => new Hub({ namespaces, ...options });
const verifierWith = (options: object) => (): unknown =>
  createTokenVerifier({ keys: [{ algorithm: "HS256", secret: SECRET }], ...options });
const historyWith = (options: object): (() => unknown) =>
  hubWith({ namespaces: { "": { history: { ...history, ...options } } } });

const wrongKinds: readonly (readonly [string, () => unknown])[] = [
  ["authenticate must be a function, got 'x'", hubWith({ authenticate: "x" })],
  ["onError must be a function, got {}", hubWith({ onError: {} })],
  ["onConnect must be a function, got null", hubWith({ onConnect: null })],
  ["tokens.connection must be a function, got undefined", hubWith({ tokens: {} })],
  ["tokens.subscription must be a function", hubWith({ tokens: { connection: () => undefined } })],
  [
    "limits.rates.publish must .* got '100' and 5",
    hubWith({ limits: { rates: { publish: { perSecond: "100", burst: 5 } } } }),
  ],
  [
    "limits.rates.publish must .* got 1 and '5'",
    hubWith({ limits: { rates: { publish: { perSecond: 1, burst: "5" } } } }),
  ],
  ["limits.rates must be an object, or false, got true", hubWith({ limits: { rates: true } })],
  ['namespace "": history.ttl has to be more than 0 ms, got 5', historyWith({ ttl: "5" })],
  ['namespace "": history.metaTtl has to be .* got 5', historyWith({ metaTtl: "5" })],
  ["audience must be a string .* got \\[\\]", verifierWith({ audience: [] })],
  ["audience must be a string .* got 5", verifierWith({ audience: 5 })],
  ['issuer must be a string .* got ""', verifierWith({ issuer: "" })],
  ["onError must be a function, got number", verifierWith({ onError: 5 })],
];

for (const [message, make] of wrongKinds) {
  test(`an option of a wrong kind is refused: ${message}`, () => {
    assert.throws(make, (error) => error instanceof Error && new RegExp(message).test(error.message));
  });
}
