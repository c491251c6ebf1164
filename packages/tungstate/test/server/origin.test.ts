import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mayConnect, type OriginPolicy } from "../../src/server/admission/origin.ts";

const may = (policy: OriginPolicy, origin: string | undefined, host = "example.com", encrypted = false): unknown =>
  mayConnect(policy, { origin, host }, encrypted);

describe("the same-origin policy", () => {
  const same: readonly [origin: string | undefined, host?: string, encrypted?: boolean][] = [
    [undefined],
    ["http://example.com"],
    ["https://example.com"],
    ["HTTPS://EXAMPLE.com"],
    ["https://example.com", "EXAMPLE.COM"],
    ["https://example.com:443"],
    ["https://example.com", "example.com:443"],
    ["http://example.com:80", "example.com"],
    ["http://example.com:8080", "example.com:8080"],
    ["http://localhost:3000", "localhost:3000"],
    ["http://[::1]:3000", "[::1]:3000"],
    ["https://xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["https://example.com", "example.com", true],
  ];
  for (const [origin, host, encrypted] of same) {
    test(`${origin} at ${host ?? "example.com"}${encrypted === true ? " over TLS" : ""}: yes`, () => {
      assert.equal(may("same", origin, host, encrypted), true);
    });
  }

  const other: readonly [origin: string, host?: string, encrypted?: boolean][] = [
    ["null"],
    [""],
    ["https://"],
    ["https://evil.example"],
    ["https://example.com.evil.example"],
    ["https://evilexample.com"],
    ["https://evil-example.com"],
    ["https://example.comevil"],
    ["https://sub.example.com"],
    ["https://example.co"],
    ["https://example.com:444"],
    ["http://example.com:443"],
    ["https://example.com", "example.com:80"],
    ["http://localhost:3000", "localhost:8000"],
    ["http://localhost", "127.0.0.1"],
    ["https://example.com."],
    ["https://example.com@evil.example"],
    ["https://evil.example/example.com"],
    ["https://evil.example#example.com"],
    ["https://evil.example?example.com"],
    ["https://evil.example\\example.com"],
    ["https://user@example.com"],
    ["https://example.com/"],
    ["https://example.com/page"],
    ["https://example.com?"],
    ["https://example.com#"],
    ["example.com"],
    ["//example.com"],
    ["file://example.com"],
    ["ftp://example.com"],
    ["data:text/html,x"],
    ["javascript:alert(1)//example.com"],
    ["chrome-extension://example.com"],
    ["https://example.com https://evil.example"],
    ["https://evil.example, https://example.com"],
    ["http://example.com", "example.com", true],
  ];
  for (const [origin, host, encrypted] of other) {
    test(`${JSON.stringify(origin)} at ${host ?? "example.com"}${encrypted === true ? " over TLS" : ""}: no`, () => {
      assert.equal(may("same", origin, host, encrypted), false);
    });
  }
});

test("any admits any page", () => {
  for (const origin of [undefined, "null", "https://evil.example", "what?"]) assert.equal(may("any", origin), true);
});

describe("a list of origins", () => {
  const list = ["https://example.com", "http://LOCALHOST:3000", "chrome-extension://abcdef"];

  test("admits those, in any notation", () => {
    for (const origin of [
      "https://example.com",
      "https://EXAMPLE.com:443",
      "http://localhost:3000",
      list[2],
      undefined,
    ]) {
      assert.equal(may(list, origin, "elsewhere.example"), true, origin);
    }
  });

  test("admits no others, nor the server's own host", () => {
    const others = ["http://example.com", "https://example.com:8443", "http://localhost", "https://localhost:3000"];
    for (const origin of [...others, "https://here.example", "null", "https://example.com.evil.example", "abcdef"]) {
      assert.equal(may(list, origin, "here.example"), false, origin);
    }
    assert.equal(may([], "https://here.example", "here.example"), false);
  });
});

describe("a function", () => {
  test("receives origin and host unchanged, if there is an origin", () => {
    const asked: string[][] = [];
    const policy = (origin: string, host: string): boolean => {
      asked.push([origin, host]);
      return origin === "null";
    };
    assert.deepEqual(
      [may(policy, "null", "h:1"), may(policy, "https://h", "h"), may(policy, undefined)],
      [true, false, true],
    );
    assert.deepEqual(asked, [
      ["null", "h:1"],
      ["https://h", "h"],
    ]);
  });

  test("is not called for a request without an origin", () => {
    assert.equal(
      may(() => assert.fail("not asked"), undefined),
      true,
    );
  });
});
