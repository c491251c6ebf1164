import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isEncrypted, parseUrl } from "../../src/client/url.ts";

describe("a WebSocket URL", () => {
  const shapes: readonly [
    url: string,
    secure: boolean,
    host: string,
    hostname: string,
    port: number,
    resource: string,
  ][] = [
    ["ws://example.com", false, "example.com", "example.com", 80, "/"],
    ["ws://example.com:80/chat", false, "example.com", "example.com", 80, "/chat"],
    ["ws://example.com:8080/chat?room=1&x", false, "example.com:8080", "example.com", 8080, "/chat?room=1&x"],
    ["wss://example.com", true, "example.com", "example.com", 443, "/"],
    ["wss://example.com:443/", true, "example.com", "example.com", 443, "/"],
    ["WSS://EXAMPLE.com:444/A", true, "example.com:444", "example.com", 444, "/A"],
    ["http://example.com/x", false, "example.com", "example.com", 80, "/x"],
    ["https://example.com/x", true, "example.com", "example.com", 443, "/x"],
    ["ws://[::1]:9000/", false, "[::1]:9000", "::1", 9000, "/"],
    ["ws://127.1/", false, "127.0.0.1", "127.0.0.1", 80, "/"],
    ["ws://bücher.example/ü?ß", false, "xn--bcher-kva.example", "xn--bcher-kva.example", 80, "/%C3%BC?%C3%9F"],
    ["ws://example.com/?", false, "example.com", "example.com", 80, "/"],
    ["ws://example.com/a b", false, "example.com", "example.com", 80, "/a%20b"],
  ];
  for (const [url, secure, host, hostname, port, resource] of shapes) {
    test(url, () => {
      const expected = { secure, host, hostname, port, resource, socketPath: undefined, authorization: undefined };
      for (const given of [url, new URL(url)]) {
        const { href, ...parts } = parseUrl(given);
        assert.deepEqual(parts, expected);
        assert.doesNotThrow(() => new URL(href));
      }
    });
  }

  test("of a Unix socket", () => {
    const of = (url: string) => {
      const { secure, host, resource, socketPath } = parseUrl(url);
      return { secure, host, resource, socketPath };
    };
    assert.deepEqual(of("ws+unix:/run/app.sock"), {
      secure: false,
      host: "localhost",
      resource: "/",
      socketPath: "/run/app.sock",
    });
    assert.deepEqual(of("wss+unix:/run/my%20app.sock:/chat?room=1"), {
      secure: true,
      host: "localhost",
      resource: "/chat?room=1",
      socketPath: "/run/my app.sock",
    });
    assert.equal(of("ws+unix://example.com/run/app.sock:/x").host, "example.com");
  });

  const unix: readonly [url: string, socketPath: string, resource: string][] = [
    ["ws+unix:/sock:/path/with:colon", "/sock", "/path/with:colon"],
    ["ws+unix:/sock:/a:b:/c?d=e:f&g=/h:", "/sock", "/a:b:/c?d=e:f&g=/h:"],
    ["ws+unix:///sock:/a:b", "/sock", "/a:b"],
    ["wss+unix:///sock:/a:b", "/sock", "/a:b"],
    ["ws+unix://host/sock:/a:b", "/sock", "/a:b"],
    ["ws+unix:///sock", "/sock", "/"],
    ["ws+unix:/sock:", "/sock", "/"],
    ["ws+unix:/sock:?a=b:c", "/sock", "/?a=b:c"],
    ["ws+unix:/sock?a=b:c", "/sock", "/?a=b:c"],
    ["ws+unix:/with%3Acolon:/a%3Ab", "/with:colon", "/a%3Ab"],
    ["ws+unix:/grüße:/grüße", "/grüße", "/gr%C3%BC%C3%9Fe"],
    ["ws+unix:./a b:/c d", "./a b", "/c%20d"],
    ["ws+unix:%00abstract:/a:b", "\0abstract", "/a:b"],
  ];
  for (const [url, socketPath, resource] of unix) {
    test(`of a Unix socket: ${url}`, () => {
      const parsed = parseUrl(url);
      assert.deepEqual([parsed.socketPath, parsed.resource], [socketPath, resource]);
    });
  }

  test("user and password become credentials, and are in no message", () => {
    const url = parseUrl("wss://m%C3%BCller:p%3Aw@example.com/chat?token=1");
    assert.equal(url.authorization, `Basic ${Buffer.from("müller:p:w").toString("base64")}`);
    assert.equal(url.host, "example.com");
    assert.equal(url.href, "wss://example.com/chat");
    assert.equal(parseUrl("ws://user@example.com").authorization, `Basic ${Buffer.from("user:").toString("base64")}`);
  });

  const wrong: readonly [given: unknown, says: RegExp][] = [
    ["", /expected something like wss:\/\/example.com/],
    ["example.com/chat", /expected something like/],
    ["/chat", /expected something like/],
    ["ws://", /expected something like/],
    ["ws://example.com:99999/", /expected something like/],
    ["ws://exa mple.com/", /expected something like/],
    ["ws://example.com:0/", /its port is 0/],
    ["ftp://example.com/", /expected ws:, wss: or ws\+unix:, got ftp:/],
    ["mailto:a@example.com", /got mailto:/],
    ["ws://example.com/#there", /a fragment \(#there\)/],
    ["ws://example.com/#", /a fragment \(#\)/],
    ["ws+unix:/run/a.sock:b", /expected ws\+unix:/],
    ["ws+unix:", /expected ws\+unix:/],
    ["ws+unix:/run/a%00b.sock:/", /zero byte/],
    ["ws+unix::/b", /expected ws\+unix:/],
    ["ws+unix:/run/%zz.sock", /percent/],
    ["ws://%zz@example.com/", /percent/],
    ["ws://user:%@example.com/", /percent/],
    [undefined, /expected something like/],
    [null, /expected something like/],
    [5, /expected something like/],
  ];
  for (const [given, says] of wrong) {
    test(`rejects ${JSON.stringify(given)}`, () => {
      assert.throws(() => parseUrl(given as string), { code: "INVALID_URL", step: "resolve", message: says });
    });
  }

  test("an invalid URL is named without its password, and truncated", () => {
    for (const url of [
      "ws://user:geheim@example.com:99999/",
      "ftp://user:geheim@example.com",
      "ws://a:geheim@exa mple/",
    ]) {
      assert.throws(
        () => parseUrl(url),
        (error: Error) => !error.message.includes("geheim") && !String(error.cause).includes("geheim"),
        url,
      );
    }
    assert.throws(
      () => parseUrl("x".repeat(10_000)),
      (error: Error) => error.message.length < 200,
    );
  });
});

test("a stream reports whether it is encrypted", () => {
  const encrypted = (stream: unknown): boolean => isEncrypted(stream as never);
  assert.equal(encrypted({ encrypted: true }), true);
  for (const not of [{}, { encrypted: false }, { encrypted: "yes" }, undefined, null, "text", 5]) {
    assert.equal(encrypted(not), false);
  }
});
