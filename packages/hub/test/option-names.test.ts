import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createHttpApi,
  createToken,
  createTokenVerifier,
  Hub,
  MemoryEngine,
  MemoryPresenceStore,
} from "../src/index.ts";
import { resolveRedisOptions } from "../src/redis/options.ts";

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
