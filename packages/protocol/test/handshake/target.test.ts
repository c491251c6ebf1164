import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAuthority, parseTarget } from "../../src/handshake/target.ts";

describe("authority", () => {
  for (const fine of [
    "a",
    "example.com",
    "example.com:80",
    "example.com:",
    "127.0.0.1:65535",
    "[::]",
    "[::1]",
    "[::1]:8080",
    "[::ffff:1.2.3.4]",
    "a_b-c.d~!$&'()*+,;=%41",
    "xn--bcher-kva.example",
  ]) {
    it(fine, () => assert.ok(isAuthority(fine)));
  }
  for (const wrong of [
    "",
    ":80",
    "a:b",
    "a:80:80",
    "a:65536",
    "a:99999999999999999999",
    "user@a",
    "user:pw@a",
    "a b",
    "a/b",
    "a?b",
    "a#b",
    "[]",
    "[::1",
    "::1",
    "[::1]x",
    "::1]",
    "a::1]",
    "a:1]",
    "[::1]x:80",
    "[g]",
    "x[::1]",
    "a\r\n",
    "\u00e4",
    "a\\b",
    "a, b",
    '"a"',
    "[::1%25eth0]",
  ]) {
    it(`rejects ${JSON.stringify(wrong)}`, () => assert.ok(!isAuthority(wrong)));
  }
});

describe("target", () => {
  const fine: readonly (readonly [string, string | undefined, string])[] = [
    ["/", undefined, "/"],
    ["/chat?room=1&x={|}", undefined, "/chat?room=1&x={|}"],
    ["//example.com/x", undefined, "//example.com/x"],
    ["http://example.com", "example.com", "/"],
    ["HTTPS://example.com:444/a/b?c", "example.com:444", "/a/b?c"],
    ["http://example.com?x=/y", "example.com", "/?x=/y"],
    ["http://[::1]:80/", "[::1]:80", "/"],
  ];
  for (const [target, authority, resource] of fine) {
    it(target, () => assert.deepEqual(parseTarget(target), { authority, resource }));
  }
  for (const wrong of [
    "",
    "*",
    "chat",
    "example.com:443",
    "ws://example.com/",
    "ftp://example.com/",
    "gopher+http://b/",
    "http:/example.com",
    "http://",
    "http:///x",
    "http://user@example.com/",
    "http://example.com#x",
    "/#x",
    "/a b",
    "/\u00e4",
    "/\x00",
    "/\x7f",
    "/\t",
    "http://example.com\\/",
    "http://a b/",
  ]) {
    it(`rejects ${JSON.stringify(wrong)}`, () => assert.equal(parseTarget(wrong), undefined));
  }
});
