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
    "unknown option annonymous of a hub: did you mean anonymous\\?",
    () => new Hub({ namespaces, annonymous: true } as never),
  ],
  [
    "unknown option chanels of limits: did you mean channels",
    () => new Hub({ namespaces, limits: { chanels: 1 } } as never),
  ],
  [
    "unknown option interva of ping: did you mean interval",
    () => new Hub({ namespaces, ping: { interva: 1000 } } as never),
  ],
  [
    'unknown option histroy of namespace "a": did you mean history',
    () => new Hub({ namespaces: { a: { histroy: history } } } as never),
  ],
  [
    'unknown option tll of namespace "", history: did you mean ttl',
    () => new Hub({ namespaces: { "": { history: { ...history, tll: 1 } } } } as never),
  ],
  ["historyByte of a MemoryEngine: did you mean historyBytes", () => new MemoryEngine({ historyByte: 1 } as never)],
  ["unknown option TTL of a MemoryPresenceStore: did you mean ttl", () => new MemoryPresenceStore({ TTL: 1 } as never)],
  [
    "unknown option audiance of a token verifier: did you mean audience",
    () => createTokenVerifier({ keys, audiance: "us" } as never),
  ],
  [
    "unknown option key of the HTTP API: did you mean keys",
    () => createHttpApi(new Hub({ namespaces }), { key: SECRET } as never),
  ],
  [
    "unknown option constructor of Redis: the options are memoryLimit, onError, ",
    () => resolveRedisOptions({ constructor: 1 } as never),
  ],
];

for (const [message, make] of misspelled) {
  test(`a misspelled option is rejected: ${message}`, () => {
    assert.throws(
      make,
      (error) =>
        error instanceof TypeError &&
        "code" in error &&
        error.code === "INVALID_ARGUMENT" &&
        new RegExp(message).test(error.message),
    );
  });
}

test("a token with a misspelled field is not created", async () => {
  await assert.rejects(
    createToken({ secret: SECRET, user: "ann", tll: 60 } as never),
    /unknown option tll of a token: did you mean ttl/,
  );
});

test("options that are not an object are rejected", () => {
  for (const none of [null, 5, "x"])
    assert.throws(() => new Hub(none as never), /the options of a hub must be an object, got /);
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
  ['namespace "": history.ttl must be a number above 0 \\(ms\\), got 5', historyWith({ ttl: "5" })],
  ['namespace "": history.metaTtl must be .* got 5', historyWith({ metaTtl: "5" })],
  ["audience must be a string .* got \\[\\]", verifierWith({ audience: [] })],
  ["audience must be a string .* got 5", verifierWith({ audience: 5 })],
  ['issuer must be a string .* got ""', verifierWith({ issuer: "" })],
  ["onError must be a function, got number", verifierWith({ onError: 5 })],
];

for (const [message, make] of wrongKinds) {
  test(`an option of a wrong type is rejected: ${message}`, () => {
    assert.throws(make, (error) => error instanceof Error && new RegExp(message).test(error.message));
  });
}

test("limits and ping of a hub that are no object, and rates that are not finite, are rejected", () => {
  const make = (options: object): void => {
    const given: object = { namespaces, ...options };
    new Hub(given as never);
  };
  for (const value of [null, true, 0, 5, "", "no", [], Symbol("no"), 5n, () => undefined]) {
    for (const [name, options] of [
      ["limits", { limits: value }],
      ["limits.rates", { limits: { rates: value } }],
      ["limits.cost", { limits: { cost: value } }],
      ["ping", { ping: value }],
    ] as const) {
      assert.throws(() => make(options), { name: "TypeError", message: new RegExp(`^${name} must be an object`) });
    }
  }
  for (const number of [0, -1, NaN, Infinity, -Infinity, "5", null, true, 5n]) {
    for (const rate of [
      { perSecond: number, burst: 1 },
      { perSecond: 1, burst: number },
    ]) {
      const message = /must have the finite numbers perSecond/;
      assert.throws(() => make({ limits: { cost: rate } }), { name: "RangeError", message });
      assert.throws(() => make({ limits: { rates: { publish: rate } } }), { name: "RangeError", message });
    }
  }
  for (const limits of [undefined, {}, { rates: false }, { cost: false }, { cost: { burst: 1 } }, { rates: {} }])
    make({ limits });
  for (const ping of [undefined, false, {}, { interval: 10_000 }]) make({ ping });
});
