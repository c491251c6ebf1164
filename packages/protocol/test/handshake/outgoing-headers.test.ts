import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HeaderFields } from "../../src/handshake/header-fields.ts";
import { checkFieldValue, checkHeaders, formatHead } from "../../src/handshake/outgoing-headers.ts";
import type { HeaderInput } from "../../src/handshake/outgoing-headers.ts";
import { INJECTIONS, refusedWith } from "./support.ts";

describe("header fields of a caller", () => {
  const pairs: readonly (readonly [string, string])[] = [
    ["X-A", "1"],
    ["x-b", "\u00fc, \t~"],
    ["X-A", ""],
  ];

  it("may be pairs, a Map, HeaderFields or an object", () => {
    assert.deepEqual(checkHeaders(), []);
    assert.deepEqual(checkHeaders(pairs), pairs);
    assert.deepEqual(checkHeaders(new HeaderFields(pairs)), pairs);
    assert.deepEqual(checkHeaders(new Map(pairs)), [["X-A", ""], ["x-b", "\u00fc, \t~"]]); // prettier-ignore
    assert.deepEqual(checkHeaders({ "X-A": ["1", "2"], "x-b": "3", "x-c": [] }), [["X-A", "1"], ["X-A", "2"], ["x-b", "3"]]); // prettier-ignore
    assert.deepEqual(checkHeaders(JSON.parse('{"__proto__": "a", "constructor": "b"}') as HeaderInput), [["__proto__", "a"], ["constructor", "b"]]); // prettier-ignore
  });

  for (const injection of INJECTIONS) {
    it(`${JSON.stringify(injection)} is neither a name nor a value`, () => {
      assert.throws(
        () => checkHeaders({ [injection]: "x" }),
        refusedWith("INVALID_ARGUMENT", /each name of headers must be a token, got "/),
      );
      assert.throws(
        () => checkHeaders({ "X-A": injection }),
        refusedWith("INVALID_ARGUMENT", /X-A must be a header value/),
      );
      assert.throws(() => checkHeaders({ "X-A": ["fine", injection] }), refusedWith("INVALID_ARGUMENT", /X-A/));
    });
  }

  for (const name of ["", "a b", "a:", " a", "a\t", "(a)", "\u00e4"]) {
    it(`${JSON.stringify(name)} is not a name`, () => {
      assert.throws(
        () => checkHeaders([[name, "x"]]),
        refusedWith("INVALID_ARGUMENT", /each name of headers must be a token/),
      );
    });
  }

  const reserved =
    "connection UPGRADE Content-Length transfer-encoding Sec-WebSocket-Key sec-websocket-accept Sec-WebSocket-Protocol Sec-WebSocket-Foo";
  for (const name of reserved.split(" ")) {
    it(`${name} belongs to the handshake`, () => {
      assert.throws(
        () => checkHeaders({ [name]: "x" }),
        refusedWith("INVALID_ARGUMENT", /^headers must be fields that the handshake does not set itself, got "/),
      );
    });
  }

  const none: readonly (readonly [unknown, RegExp])[] = [
    [null, /^headers must be an object, or an iterable of pairs of a name and a value, got null$/],
    ["X-A: 1", /^headers must be an object, or an iterable of pairs of a name and a value, got "X-A: 1"$/],
    [5, /^headers must be an object, or an iterable of pairs of a name and a value, got 5$/],
    [[["X-A", 1]], /^headers: X-A must be a string, got 1$/],
    [[["X-A"]], /^headers: X-A must be a string, got undefined$/],
    [[[]], /^each name of headers must be a token, got undefined$/],
    [["ab"], /^each of headers must be a pair of a name and a value, got "ab"$/],
    [[5], /^each of headers must be a pair of a name and a value, got 5$/],
    [{ "X-A": undefined }, /^headers: X-A must be a string, got undefined$/],
    [{ "X-A": 5 }, /^headers: X-A must be a string, got 5$/],
    [{ "X-A": [null] }, /^headers: X-A must be a string, got null$/],
  ];
  for (const [wrong, said] of none) {
    it(`${JSON.stringify(wrong)} is invalid`, () => {
      assert.throws(() => checkHeaders(wrong as HeaderInput), refusedWith("INVALID_ARGUMENT", said));
    });
  }

  it("a value must be a string", () => {
    checkFieldValue("origin", "https://example.com");
    assert.throws(
      () => checkFieldValue("origin", 5 as unknown as string),
      refusedWith("INVALID_ARGUMENT", /origin must be a string, got 5/),
    );
  });

  it("become lines", () => {
    assert.equal(formatHead("GET / HTTP/1.1", pairs), "GET / HTTP/1.1\r\nX-A: 1\r\nx-b: \u00fc, \t~\r\nX-A: \r\n\r\n");
  });
});
