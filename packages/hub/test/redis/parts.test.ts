import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { idempotencyEnd, Keys, META, STREAM } from "../../src/redis/keys.ts";
import { resolveRedisOptions } from "../../src/redis/options.ts";
import { Ring } from "../../src/redis/ring.ts";
import { slotOf } from "../../src/redis/slots.ts";
import { describeRedis, parseRedisUrl } from "../../src/redis/urls.ts";
import {
  decodeEarlier,
  decodeEntry,
  decodeMessage,
  decodePresent,
  encodeBody,
  encodeComing,
  encodePresent,
} from "../../src/redis/wire.ts";

test("URLs are parsed", () => {
  const parsed = (url: string): object => {
    const { kind, tls, hosts, username, password, db, master } = parseRedisUrl(url);
    return { kind, tls, hosts: hosts.map(({ host, port }) => `${host} ${port}`), username, password, db, master };
  };
  const plain = { tls: false, username: undefined, password: undefined, db: 0, master: "" };
  assert.deepEqual(parsed("redis://localhost"), { ...plain, kind: "single", hosts: ["localhost 6379"] });
  assert.deepEqual(parsed("rediss://al%3Aice:p%40ss@[::1]:7000/3"), {
    kind: "single",
    tls: true,
    hosts: ["::1 7000"],
    username: "al:ice",
    password: "p@ss",
    db: 3,
    master: "",
  });
  assert.deepEqual(parsed("redis://:secret@h"), { ...plain, kind: "single", hosts: ["h 6379"], password: "secret" });
  assert.deepEqual(parsed("redis+cluster://a:1,b:2,c"), { ...plain, kind: "cluster", hosts: ["a 1", "b 2", "c 6379"] });
  assert.deepEqual(parsed("rediss+sentinel://a,b:2/main/1"), {
    ...plain,
    kind: "sentinel",
    tls: true,
    hosts: ["a 26379", "b 2"],
    master: "main",
    db: 1,
  });
  const sentinels = parseRedisUrl("redis+sentinel://a/m?sentinelUsername=u&sentinelPassword=p");
  assert.deepEqual([sentinels.sentinelUsername, sentinels.sentinelPassword], ["u", "p"]);
});

test("invalid URLs are rejected without secrets in the message", () => {
  for (const url of [
    "",
    "http://user:secret@h",
    "redis://",
    "redis://user:secret@h:x",
    "redis://user:secret@h:0",
    "redis://user:secret@h:65536",
    "redis://user:secret@h/x",
    "redis://user:secret@h/1/2",
    "redis://user:secret@a,b",
    "redis+cluster://user:secret@h/1",
    "redis+sentinel://user:secret@h",
    "redis+sentinel://user:secret@h/?sentinelPassword=secret",
    "redis://%zz:secret@h",
    "valkey://user:se@cret@h",
    "redis://user:secret?more@h",
    "redis://user:more?secret@h",
    "redis+sentinel://h?sentinelPassword=se@cret",
    "redis://user:secret@h/1?db=2",
    "redis+cluster://h?password=secret",
    "redis+sentinel://h/main?password=secret",
  ]) {
    assert.throws(
      () => parseRedisUrl(url),
      (error) => error instanceof TypeError && !/secret|cret@/.test(error.message),
      url,
    );
  }
  assert.equal(
    describeRedis(parseRedisUrl("rediss+sentinel://u:secret@a,[::1]:2/m/1")),
    "rediss+sentinel://a:26379,[::1]:2/m/1",
  );
});

test("shards are distinguished by host and database, or by name", () => {
  const name = (url: string): string => parseRedisUrl(url).name;
  assert.notEqual(name("redis://a:1"), name("redis://a:2"));
  assert.notEqual(name("redis://a:1/0"), name("redis://a:1/1"));
  assert.equal(name("redis://u:x@a:1"), name("redis://u:y@a:1"));
  assert.equal(name("redis://a:1#left"), "left");
});

test("options out of range are rejected", () => {
  assert.throws(() => resolveRedisOptions({ timeout: 99 }), RangeError);
  assert.throws(() => resolveRedisOptions({ timeout: Number.NaN }), RangeError);
  assert.throws(() => resolveRedisOptions({ presenceTtl: 99 }), RangeError);
  for (const prefix of ["", "a b", "a{b", "a}b", "a\nb"]) assert.throws(() => new Keys(prefix), TypeError, prefix);
});

test("slots are those of Redis Cluster's specification", () => {
  assert.equal(slotOf("123456789"), 0x31c3 % 16_384);
  assert.equal(slotOf("{user1000}.following"), slotOf("{user1000}.followers"));
  assert.equal(slotOf("foo{}{bar}"), slotOf("foo{}{bar}"));
  assert.notEqual(slotOf("foo{}{bar}"), slotOf("bar"));
  assert.equal(slotOf("foo{{bar}}zap"), slotOf("{bar"));
  assert.equal(slotOf("foo{bar}{zap}"), slotOf("bar"));
});

test("all keys of a channel are in one slot, for any name; and the name is recovered", () => {
  const keys = new Keys("p");
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[{}.a:]*$/), fc.string({ unit: "grapheme" })), (channel) => {
      const name = keys.channel(channel);
      for (const key of [`${name}:m`, `${name}:i:}{`, ...keys.presence(channel)])
        assert.equal(slotOf(key), slotOf(name));
      const topic = keys.topic(channel, 12);
      assert.equal(slotOf(topic), slotOf(name));
      assert.equal(keys.channelOf(topic, 12), channel);
    }),
  );
  assert.equal(keys.channelOf(keys.control(0), 0), undefined);
});

test("pub/sub channels of different prefixes and databases differ", () => {
  const part = fc.stringMatching(/^[p:0-9]{1,5}$/);
  const names = (prefix: string, database: number): string[] => {
    const keys = new Keys(prefix);
    return [keys.control(database), keys.topic("x", database)];
  };
  fc.assert(
    fc.property(part, fc.nat(20), part, fc.nat(20), (prefix, database, other, otherDatabase) => {
      if (prefix === other && database === otherDatabase) return;
      const others = new Set(names(other, otherDatabase));
      for (const name of names(prefix, database)) assert.ok(!others.has(name), name);
    }),
  );
});

test("keys of different channels differ, for any idempotency keys", () => {
  const keys = new Keys("p");
  const short = fc.stringMatching(/^(?:\}|:|i|m|x|%|7|D|pe){0,7}$/);
  const of = (channel: string, key: string): string[] => {
    const name = keys.channel(channel);
    return [name, name + META, name + STREAM, ...keys.presence(channel), name + idempotencyEnd(key)];
  };
  const differ = (one: readonly [string, string], other: readonly [string, string]): void => {
    if (one[0] === other[0]) {
      assert.equal(idempotencyEnd(one[1]) === idempotencyEnd(other[1]), one[1] === other[1]);
      return;
    }
    const others = new Set(of(...other));
    for (const key of of(...one)) assert.ok(!others.has(key), key);
  };
  differ(["x", "y}:m"], ["x}:i:y", ""]);
  differ(["x", "y}:i:k"], ["x}:i:y", "k"]);
  fc.assert(fc.property(fc.tuple(short, short), fc.tuple(short, short), differ));
});

test("the ring: equal shares, in any order; a new shard takes only its own", () => {
  const names = ["a:1/0", "a:2/0", "a:3/0", "b"];
  const ring = (of: readonly string[]) => new Ring(new Map(of.map((name) => [name, name])));
  const channels = Array.from({ length: 20_000 }, (_, i) => `chat:${i}`);
  const [three, mixed, four] = [ring(names.slice(0, 3)), ring(names.slice(0, 3).toReversed()), ring(names)];
  const counts = new Map<string, number>();
  for (const channel of channels) {
    const owner = three.of(channel);
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
    assert.equal(mixed.of(channel), owner);
    const then = four.of(channel);
    assert.ok(then === owner || then === "b", "nothing moves between those that were there");
  }
  for (const [name, count] of counts) assert.ok(Math.abs(count / channels.length - 1 / 3) < 0.1, `${name}: ${count}`);
  assert.throws(() => ring([]), TypeError);
});

const text = fc.string({ unit: "grapheme" });
const info = fc.record(
  { client: text, user: text, connInfo: text, chanInfo: text },
  { requiredKeys: ["client", "user"], noNullPrototype: true },
);

test("encoding for Redis is lossless", () => {
  const publication = fc.record(
    {
      data: text,
      info,
      tags: fc.dictionary(fc.oneof(text, fc.constant("__proto__")), text, { noNullPrototype: true }),
    },
    { requiredKeys: ["data"], noNullPrototype: true },
  );
  const trace = fc.option(fc.constant({ traceparent: "00-1-2-01" }), { nil: undefined });
  fc.assert(
    fc.property(publication, trace, fc.nat(), (published, context, offset) => {
      const body = encodeBody(published, context);
      assert.deepEqual(decodeEntry([`${offset}-0`, ["p", body]]), { ...published, offset });
      assert.deepEqual(decodeMessage(`p${offset}:epoch:${body}`), {
        type: "publication",
        publication: { ...published, offset },
        epoch: "epoch",
        trace: context,
      });
    }),
  );
  fc.assert(
    fc.property(info, (each) => {
      assert.deepEqual(decodeMessage(encodeComing("join", each)), { type: "join", info: each });
      assert.deepEqual(decodeMessage(encodeComing("leave", each)), { type: "leave", info: each });
      assert.deepEqual(decodePresent(encodePresent(each)), each);
    }),
  );
});

test("invalid messages throw, and truncated earlier epochs are ignored", () => {
  for (const message of ["", "x", "p", "p1", "p1:e", "p1:e:", "p1:e:x|", "px:e:0|1", "j", "jx", "p1:e:1|{}"]) {
    assert.throws(() => decodeMessage(message), SyntaxError, message);
  }
  assert.deepEqual(decodeEarlier("b 12 a 7"), [
    { epoch: "b", offset: 12 },
    { epoch: "a", offset: 7 },
  ]);
  assert.deepEqual(decodeEarlier("b 12 a"), [{ epoch: "b", offset: 12 }]);
  assert.deepEqual(decodeEarlier(""), []);
});
