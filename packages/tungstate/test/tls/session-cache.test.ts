import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { contextFor } from "../../src/tls/contexts.ts";
import { identityOf } from "../../src/tls/identity.ts";
import type { TlsOptions } from "../../src/tls/options.ts";
import { sessionsOf, TlsSessionCache } from "../../src/tls/session-cache.ts";

const FAR = Number.MAX_SAFE_INTEGER;

function session(name: string): Buffer {
  return Buffer.from(name);
}

function taken(cache: TlsSessionCache, key: string): string | undefined {
  return sessionsOf(cache).take(key)?.session.toString();
}

describe("TlsSessionCache", () => {
  test("returns tickets of TLS 1.3 one after the other, the newest first, and the last until there is another", () => {
    const cache = new TlsSessionCache();
    sessionsOf(cache).put("a", session("1"), "TLSv1.3", FAR);
    sessionsOf(cache).put("a", session("2"), "TLSv1.3", FAR);
    assert.deepEqual([taken(cache, "a"), taken(cache, "a"), taken(cache, "a")], ["2", "1", "1"]);
    sessionsOf(cache).put("a", session("3"), "TLSv1.3", FAR);
    assert.deepEqual([taken(cache, "a"), taken(cache, "a")], ["3", "1"]);
  });

  test("returns a ticket of TLS 1.3 only once, if configured so", () => {
    const cache = new TlsSessionCache({ reuseTickets: false });
    sessionsOf(cache).put("a", session("1"), "TLSv1.3", FAR);
    sessionsOf(cache).put("a", session("2"), "TLSv1.3", FAR);
    assert.deepEqual([taken(cache, "a"), taken(cache, "a"), taken(cache, "a")], ["2", "1", undefined]);
    assert.equal(cache.size, 0);
  });

  test("returns the newest session of TLS 1.2 repeatedly", () => {
    const cache = new TlsSessionCache();
    sessionsOf(cache).put("a", session("1"), "TLSv1.2", FAR);
    sessionsOf(cache).put("a", session("2"), "TLSv1.2", FAR);
    assert.deepEqual([taken(cache, "a"), taken(cache, "a")], ["2", "2"]);
  });

  test("separates peers, and forgets one on request", () => {
    const cache = new TlsSessionCache();
    sessionsOf(cache).put("a", session("1"), "TLSv1.3", FAR);
    sessionsOf(cache).put("b", session("2"), "TLSv1.3", FAR);
    sessionsOf(cache).delete("a");
    assert.deepEqual([taken(cache, "a"), taken(cache, "b")], [undefined, "2"]);
    sessionsOf(cache).put("b", session("3"), "TLSv1.3", FAR);
    cache.clear();
    assert.equal(cache.size, 0);
  });

  test("is bounded: sessions of a peer, and peers by their last use", () => {
    const cache = new TlsSessionCache({ maxPeers: 2, maxPerPeer: 2 });
    for (const name of ["1", "2", "3"]) sessionsOf(cache).put("a", session(name), "TLSv1.2", FAR);
    assert.equal(cache.size, 2);
    sessionsOf(cache).put("b", session("b"), "TLSv1.2", FAR);
    assert.equal(taken(cache, "a"), "3");
    sessionsOf(cache).put("c", session("c"), "TLSv1.2", FAR);
    assert.deepEqual([taken(cache, "a"), taken(cache, "b"), taken(cache, "c")], ["3", undefined, "c"]);
    for (let index = 0; index < 1000; index++) sessionsOf(cache).put(`peer ${index}`, session("x"), "TLSv1.3", FAR);
    assert.equal(cache.size, 2);
  });

  test("keeps none longer than maxAge, or than the certificate is valid", () => {
    let now = 1_000;
    const cache = new TlsSessionCache({ maxAge: 100, now: () => now });
    sessionsOf(cache).put("a", session("1"), "TLSv1.2", FAR);
    sessionsOf(cache).put("b", session("2"), "TLSv1.2", 1_050);
    now = 1_049;
    assert.deepEqual([taken(cache, "a"), taken(cache, "b")], ["1", "2"]);
    now = 1_050;
    assert.deepEqual([taken(cache, "a"), taken(cache, "b")], ["1", undefined]);
    now = 1_099;
    assert.equal(taken(cache, "a"), "1");
    now = 1_100;
    assert.equal(taken(cache, "a"), undefined);
    assert.equal(cache.size, 0);
  });

  test("rejects invalid limits", () => {
    for (const options of [{ maxPeers: 0 }, { maxPerPeer: -1 }, { maxAge: Number.NaN }]) {
      assert.throws(() => new TlsSessionCache(options), { code: "INVALID_ARGUMENT" });
    }
  });
});

describe("the identity of options", () => {
  const base: TlsOptions = { ca: "ca", cert: "cert", key: "key", passphrase: "secret" };

  test("is equal for equal contents", () => {
    assert.equal(identityOf(base), identityOf({ ...base }));
    assert.equal(identityOf({ ca: "ca" }), identityOf({ ca: Buffer.from("ca") }));
    assert.equal(identityOf({ ca: ["a", "b"] }), identityOf({ ca: ["a", Buffer.from("b")] }));
    assert.equal(
      identityOf({ key: [{ pem: "p", passphrase: "s" }] }),
      identityOf({ key: [{ pem: "p", passphrase: "s" }] }),
    );
    assert.equal(identityOf({}), identityOf({ ca: undefined }));
  });

  test("differs for everything that determines trust, identity or negotiation", () => {
    const checkServerIdentity = (): undefined => undefined;
    const others: TlsOptions[] = [
      {},
      { ca: "other" },
      { ca: ["ca"] },
      { ca: ["c", "a"] },
      { ca: ["ca", ""] },
      { ca: "ca", cert: "ca" },
      { ca: "ca", key: "key" },
      { ca: "ca", passphrase: "secret" },
      { pfx: "ca" },
      { crl: "ca" },
      { ciphers: "ca" },
      { sigalgs: "ca" },
      { ecdhCurve: "ca" },
      { minVersion: "TLSv1.3" },
      { maxVersion: "TLSv1.3" },
      { rejectUnauthorized: false },
      { pins: ["a"] },
      { pins: ["a", "b"] },
      { alpnProtocols: ["http/1.1"] },
      { checkServerIdentity },
      { checkServerIdentity: () => undefined },
      { key: [{ pem: "p", passphrase: "s" }] },
      { key: [{ pem: "ps" }] },
      base,
    ];
    const identities = new Set(others.map(identityOf));
    assert.equal(identities.size, others.length);
    assert.equal(identityOf({ checkServerIdentity }), identityOf({ checkServerIdentity }));
  });

  test("reveals none of the secrets in it", () => {
    assert.match(identityOf(base), /^[A-Za-z0-9+/]{43}=$/);
  });

  test("that creates a context is its cache key, for a bounded number of them", () => {
    const options: TlsOptions = { minVersion: "TLSv1.3" };
    const first = contextFor(options);
    assert.equal(contextFor({ ...options, pins: ["a"], checkServerIdentity: () => undefined }), first);
    for (let index = 0; index < 40; index++) contextFor({ passphrase: `other ${index}` });
    assert.notEqual(contextFor(options), first);
  });
});
