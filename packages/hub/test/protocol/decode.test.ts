import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decode, type Decoded } from "../../src/protocol/decode.ts";

const limits = { channelLength: 255, depth: 64 };
const read = (value: unknown): Decoded => decode(typeof value === "string" ? value : JSON.stringify(value), limits);
const deep = (depth: number): string => '{"a":'.repeat(depth) + "1" + "}".repeat(depth);

/** Returns the code of the error, "malformed", or "" for a command. */
function verdict(value: unknown): string {
  const decoded = read(value);
  if (decoded.method === "malformed") return "malformed";
  return decoded.method === "refused" ? `${decoded.error.code}` : "";
}

test("each command is decoded with all of its fields", () => {
  assert.deepEqual(
    read({
      id: 1,
      connect: {
        token: "t",
        data: { a: 1 },
        name: "js",
        version: "1",
        headers: { authorization: "x" },
        subs: { a: { recover: true, offset: 5, epoch: "e" }, b: {} },
      },
    }),
    {
      method: "connect",
      id: 1,
      token: "t",
      data: { a: 1 },
      name: "js",
      version: "1",
      headers: { authorization: "x" },
      positions: new Map([["a", { offset: 5, epoch: "e" }]]),
    },
  );
  assert.deepEqual(
    read({
      id: 2,
      subscribe: {
        channel: "a",
        token: "t",
        recover: true,
        offset: 5,
        epoch: "e",
        data: [1],
        positioned: true,
        join_leave: true,
        delta: "fossil",
        flag: 3,
      },
    }),
    {
      method: "subscribe",
      id: 2,
      channel: "a",
      token: "t",
      data: [1],
      since: { offset: 5, epoch: "e" },
      positioned: true,
      joinLeave: true,
      delta: true,
      rejectUnrecovered: true,
    },
  );
  assert.deepEqual(read('{"id":3,"publish":{"channel":"a","data":{"n":1.0}}}'), {
    method: "publish",
    id: 3,
    channel: "a",
    data: '{"n":1.0}',
  });
  const since = { offset: 1, epoch: "" };
  assert.deepEqual(read({ id: 4, history: { channel: "a", limit: -5, since: { offset: 1 }, reverse: true } }), {
    method: "history",
    id: 4,
    channel: "a",
    limit: -1,
    since,
    reverse: true,
  });
  assert.deepEqual(read({ id: 5, rpc: { method: "m", data: null } }), {
    method: "rpc",
    id: 5,
    name: "m",
    data: undefined,
  });
  assert.deepEqual(read({ send: { data: 1 } }), { method: "send", id: 0, data: 1 });
  assert.deepEqual(read({ id: 6, refresh: { token: "t" } }), { method: "refresh", id: 6, token: "t" });
  assert.deepEqual(read({ id: 7, sub_refresh: { channel: "a", token: "t" } }), {
    method: "sub_refresh",
    id: 7,
    channel: "a",
    token: "t",
  });
  for (const method of ["unsubscribe", "presence", "presence_stats"]) {
    assert.deepEqual(read({ id: 8, [method]: { channel: "a" } }), { method, id: 8, channel: "a" });
  }
  assert.deepEqual(read({ id: 9, ping: {} }), { method: "ping", id: 9 });
  for (const pong of ["{}", "{ }", '{"id":0}', '{"unknown":1}', '{"connect":null}'])
    assert.equal(read(pong).method, "pong");
});

test("a frame that is not a command ends the connection", () => {
  for (const line of [
    "",
    "x",
    "1",
    "null",
    "[]",
    '"a"',
    "{",
    '{"id":1,}',
    "{}{}",
    '{"id":-1,"ping":{}}',
    '{"id":1.5,"ping":{}}',
    '{"id":4294967296,"ping":{}}',
    '{"id":1e300,"ping":{}}',
    '{"id":"1","ping":{}}',
    '{"id":null,"ping":{}}',
    '{"id":{},"ping":{}}',
    '{"connect":{}}',
    '{"id":0,"subscribe":{"channel":"a"}}',
    '{"publish":{"channel":"a","data":1}}',
  ]) {
    assert.equal(verdict(line), "malformed", line);
  }
});

test("ids are accepted up to their limits", () => {
  assert.equal(verdict({ id: 1, ping: {} }), "");
  assert.equal(verdict({ id: 4_294_967_295, ping: {} }), "");
  assert.equal(verdict({ id: 4_294_967_296, ping: {} }), "malformed");
});

test("an invalid command is answered with an error", () => {
  const channel = "a";
  const table: readonly (readonly [string, object])[] = [
    ["malformed", { foo: {} }],
    ["malformed", {}],
    ["malformed", { __proto__x: {} }],
    ["107", { connect: [] }],
    ["107", { connect: "x" }],
    ["107", { connect: { token: 1 } }],
    ["107", { connect: { headers: { a: 1 } } }],
    ["107", { connect: { subs: [] } }],
    ["107", { connect: { subs: { a: { recover: 1 } } } }],
    ["107", { connect: { subs: { a: { recover: true, offset: -1 } } } }],
    ["107", { connect: { subs: { a: 1 } } }],
    ["107", { connect: { subs: { "\u0000": {} } } }],
    ["107", { connect: {}, ping: {} }],
    ["107", { subscribe: {} }],
    ["107", { subscribe: { channel: "" } }],
    ["107", { subscribe: { channel: 1 } }],
    ["107", { subscribe: { channel: ["a"] } }],
    ["107", { subscribe: { channel: "x".repeat(256) } }],
    ["107", { subscribe: { channel: "ä".repeat(128) } }],
    ["107", { subscribe: { channel: "x".repeat(10_240) } }],
    ["107", { subscribe: { channel: "a\nb" } }],
    ["107", { subscribe: { channel: "\ud800" } }],
    ["107", { subscribe: { channel, recover: "yes" } }],
    ["107", { subscribe: { channel, recover: true, offset: "1" } }],
    ["107", { subscribe: { channel, recover: true, offset: -1 } }],
    ["107", { subscribe: { channel, recover: true, offset: 2 ** 53 } }],
    ["107", { subscribe: { channel, recover: true, epoch: 1 } }],
    ["107", { subscribe: { channel, flag: "1" } }],
    ["108", { subscribe: { channel, type: 1 } }],
    ["108", { subscribe: { channel, type: 4 } }],
    ["108", { subscribe: { channel, tf: { key: "a", cmp: "eq", val: "b" } } }],
    ["107", { publish: { channel } }],
    ["107", { publish: { data: 1 } }],
    ["108", { publish: { channel, data: 1, type: 1, key: "k" } }],
    ["108", { publish: { channel, key: "k", removed: true } }],
    ["107", { history: { channel, limit: "1" } }],
    ["107", { history: { channel, limit: 1.5 } }],
    ["107", { history: { channel, since: 1 } }],
    ["107", { history: { channel, since: { offset: -1 } } }],
    ["107", { history: { channel, reverse: 1 } }],
    ["107", { rpc: { method: 1 } }],
    ["107", { refresh: {} }],
    ["107", { sub_refresh: { channel } }],
    ["108", { sub_refresh: { channel, type: 1, track: [] } }],
    ["", { subscribe: { channel: "__proto__" } }],
    ["", { subscribe: { channel: "constructor" } }],
    ["", { subscribe: { channel: "error" } }],
    ["", { subscribe: { channel: "x".repeat(255) } }],
    ["", { subscribe: { channel, delta: "unknown" } }],
    ["", { publish: { channel, data: null } }],
    ["", { subscribe: { channel, "something new": 1 } }],
  ];
  for (const [code, request] of table)
    assert.equal(verdict({ id: 1, ...request }), code, JSON.stringify(request).slice(0, 100));
});

test("`__proto__` is an ordinary key", () => {
  const subs = '{"__proto__":{"recover":true,"offset":1,"epoch":"e"},"constructor":{"recover":true}}';
  const decoded = read(`{"id":1,"connect":{"subs":${subs},"__proto__":{"token":"inherited"}}}`);
  assert.ok(decoded.method === "connect");
  assert.deepEqual([...decoded.positions.keys()], ["__proto__", "constructor"]);
  assert.equal(decoded.token, "");
  assert.equal(read('{"id":1,"__proto__":{"ping":{}}}').method, "malformed");
});

test("depth has a limit, and the error is a reply to the command's id", () => {
  const publish = (data: string): string => `{"id":7,"publish":{"channel":"a","data":${data}}}`;
  assert.equal(verdict(publish(deep(62))), "");
  const refused = read(publish(deep(63)));
  assert.ok(refused.method === "refused");
  assert.deepEqual([refused.id, refused.error.code], [7, 107]);
  assert.equal(verdict(publish("[".repeat(30_000) + "]".repeat(30_000))), "107");
});

test("depth is checked before parsing, also for invalid JSON", () => {
  assert.equal(verdict('{"id":7,"rpc":' + "[".repeat(65)), "107");
  const withoutId = read("[".repeat(65));
  assert.ok(withoutId.method === "malformed");
  assert.match(withoutId.fault, /nested deeper than 64/);
  assert.equal(read('{"rpc":' + "[".repeat(65) + ',"id":7').method, "malformed", "an id that is not in front");
  assert.equal(read('{"id":4294967296,"rpc":' + "[".repeat(65)).method, "malformed");
});

test("decode never throws", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (line) => void decode(line, limits)));
  const any = fc.object({
    key: fc.constantFrom("id", "connect", "subscribe", "channel", "data", "__proto__", "since", "subs"),
  });
  fc.assert(
    fc.property(any, (value) => void read(value)),
    { numRuns: 1000 },
  );
});
