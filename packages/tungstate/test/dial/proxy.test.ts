import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { connect } from "../../src/client/connect.ts";
import { dial } from "../../src/dial/dial.ts";
import { type Environment, isExempt, parseProxy, proxyFromEnvironment } from "../../src/dial/proxy/proxy.ts";
import { ConnectError } from "../../src/errors.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";

describe("a proxy's URL", () => {
  test("is parsed", () => {
    assert.deepEqual(parseProxy("http://user:p%40ss@proxy.example:3128"), {
      scheme: "http",
      host: "proxy.example",
      port: 3128,
      credentials: { username: "user", password: "p@ss" },
      shown: "http://proxy.example:3128",
    });
    assert.equal(parseProxy("http://proxy.example/").port, 80);
    assert.equal(parseProxy("https://proxy.example").port, 443);
    assert.equal(parseProxy("socks5://proxy.example").port, 1080);
    for (const scheme of ["socks", "socks4", "socks4a", "socks5h"]) {
      assert.deepEqual(parseProxy(`${scheme}://proxy.example`), {
        scheme,
        host: "proxy.example",
        port: 1080,
        credentials: undefined,
        shown: `${scheme}://proxy.example:1080`,
      });
    }
    assert.deepEqual(parseProxy("socks4://user@proxy").credentials, { username: "user", password: "" });
    assert.equal(parseProxy("SOCKS4A://proxy").scheme, "socks4a");
    assert.equal(parseProxy("socks5h://[::1]:9050").host, "::1");
    assert.equal(parseProxy("socks5h://[::1]:9050").shown, "socks5h://[::1]:9050");
    assert.equal(parseProxy(new URL("http://127.0.0.1:1")).host, "127.0.0.1");
    assert.equal(parseProxy("http://only-user@proxy").credentials?.password, "");
  });

  test("is rejected with a message that contains no secret", () => {
    const secret = "s3cret";
    const wrong = [
      `http://user:${secret}@`,
      `http//user:${secret}@proxy`,
      `ftp://user:${secret}@proxy`,
      `socks4://user:${secret}@proxy`,
      `socks4a://:${secret}@proxy`,
      `socks4://${secret}%00@proxy`,
      `socks4a://${secret.padEnd(256, "x")}@proxy`,
      `socks://${secret}@proxy`,
      `socks6://user:${secret}@proxy`,
      `http://user:${secret}@proxy/path`,
      `http://user:${secret}@proxy?query`,
      `http://user:${secret}@proxy#fragment`,
      `http://user:${secret}@proxy:0`,
      `http://user:${secret}%zz@proxy`,
      `http://us%3Aer:${secret}@proxy`,
      `http://user:${secret}%0d%0aX:%20y@proxy`,
      `socks5://user:${secret.padEnd(256, "x")}@proxy`,
      `socks5://:${secret}@proxy`,
      `socks5://user:${secret}@a%20b`,
      `socks5://${secret}@proxy`,
      `${secret}:pass@proxy:3128`,
      `user:${secret}@proxy:3128`,
      `${secret}:3128`,
      secret,
    ];
    for (const url of wrong) {
      assert.throws(
        () => parseProxy(url),
        (error: unknown) => {
          assert.ok(error instanceof ConnectError, url);
          assert.deepEqual([error.code, error.step, error.fault], ["INVALID_PROXY", "proxy", "local"]);
          assert.ok(!`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`.includes(secret), error.message);
          return true;
        },
      );
    }
  });
});

describe("a proxy that is neither text nor a URL object", () => {
  const secret = "s3cret";
  class HttpsProxyAgent {
    readonly password = secret;
  }
  const wrong: readonly (readonly [unknown, string])[] = [
    [3128, "3128"],
    [null, "null"],
    [Symbol("x"), "Symbol(x)"],
    [{ host: "proxy", port: 3128, auth: { password: secret } }, "Object"],
    [[`http://user:${secret}@proxy`], "Array"],
    [new HttpsProxyAgent(), "HttpsProxyAgent"],
    [() => secret, "a function"],
    [Object.create(null), "an object"],
  ];
  for (const [value, got] of wrong) {
    test(`is rejected, and the error describes it: ${got}`, async () => {
      const expected = (error: unknown): boolean => {
        assert.ok(error instanceof ConnectError);
        assert.deepEqual([error.code, error.step], ["INVALID_PROXY", "proxy"]);
        assert.match(error.message, /proxy: expected a URL such as "http:/);
        assert.ok(error.message.endsWith(`got ${got}`), error.message);
        assert.ok(!error.message.includes(secret));
        return true;
      };
      assert.throws(() => parseProxy(value), expected);
      const proxy = value as string; // as in a program without types
      await assert.rejects(dial({ host: "127.0.0.1", port: 9 }, { proxy }), expected);
      await assert.rejects(connect("ws://127.0.0.1:9/", { proxy }), expected);
      assert.throws(() => reconnecting("ws://127.0.0.1:9/", { proxy }), expected);
    });
  }
});

test("any text is a usable proxy or INVALID_PROXY", () => {
  const url = fc
    .tuple(
      fc.constantFrom("http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h", "ftp"),
      fc.string(),
      fc.string(),
      fc.webAuthority(),
      fc.string(),
    )
    .map(([scheme, user, password, authority, tail]) => `${scheme}://${user}:${password}@${authority}${tail}`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webUrl(), url), (text) => {
      let proxy: ReturnType<typeof parseProxy>;
      try {
        proxy = parseProxy(text);
      } catch (error) {
        return error instanceof ConnectError && error.code === "INVALID_PROXY" && error.cause === undefined;
      }
      const { host, port, shown } = proxy;
      return /^[\w.:-]+$/.test(host) && port > 0 && port < 65_536 && !shown.includes("@");
    }),
    { numRuns: 500 },
  );
});

describe("the environment's proxy", () => {
  const ws = { host: "example.com", port: 80 };
  const wss = { host: "example.com", port: 443, secure: true };
  const shown = (target: typeof ws, environment: Environment): string | undefined =>
    proxyFromEnvironment(target, environment)?.shown;

  test("by scheme, then ALL_PROXY; the lower-case name takes precedence", () => {
    const environment = { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "http://secure:2", ALL_PROXY: "socks5://all:3" };
    assert.equal(shown(ws, environment), "http://plain:1");
    assert.equal(shown(wss, environment), "http://secure:2");
    assert.equal(shown(ws, { ALL_PROXY: "socks5://all:3" }), "socks5://all:3");
    assert.equal(shown(wss, { HTTP_PROXY: "http://plain:1", all_proxy: "socks5h://all:3" }), "socks5h://all:3");
    assert.equal(shown(wss, { ...environment, https_proxy: "http://lower:4" }), "http://lower:4");
    for (const scheme of ["socks", "socks4", "socks4a", "socks5", "socks5h"]) {
      const credentials = scheme.startsWith("socks4") ? "user" : "user:pass";
      assert.equal(shown(ws, { all_proxy: `${scheme}://${credentials}@all/` }), `${scheme}://all:1080`);
    }
    assert.equal(shown(ws, {}), undefined);
    assert.equal(shown(wss, { https_proxy: "", HTTPS_PROXY: " http://upper:5 " }), "http://upper:5");
  });

  test("without a scheme it is http:", () => {
    assert.equal(shown(ws, { http_proxy: "proxy.example:3128" }), "http://proxy.example:3128");
    assert.equal(proxyFromEnvironment(ws, { http_proxy: "user:pass@proxy:1" })?.credentials?.username, "user");
  });

  test("HTTP_PROXY of a CGI program is a request's header field", () => {
    assert.equal(shown(ws, { HTTP_PROXY: "http://evil:1", REQUEST_METHOD: "GET" }), undefined);
    assert.equal(shown(ws, { http_proxy: "http://mine:1", REQUEST_METHOD: "GET" }), "http://mine:1");
  });

  test("an invalid value is reported by the name of its variable", () => {
    assert.throws(() => proxyFromEnvironment(wss, { HTTPS_PROXY: "gopher://user:s3cret@proxy" }), {
      code: "INVALID_PROXY",
      message:
        "the proxy URL is not valid: HTTPS_PROXY: expected one of http:, https:, socks:, socks4:, socks4a:, socks5:, socks5h:, got gopher:",
    });
  });

  test("NO_PROXY exempts", () => {
    assert.equal(shown(ws, { HTTP_PROXY: "http://p:1", NO_PROXY: "example.com" }), undefined);
    assert.equal(shown(ws, { HTTP_PROXY: "http://p:1", NO_PROXY: "example.com", no_proxy: "other" }), "http://p:1");
    assert.equal(shown(ws, { NO_PROXY: "*", HTTP_PROXY: "not a proxy" }), undefined);
  });
});

describe("NO_PROXY", () => {
  const cases: (readonly [string, string, number, boolean])[] = [
    ["", "example.com", 80, false],
    ["*", "example.com", 80, true],
    ["a.test, *", "example.com", 80, true],
    ["*:8080", "example.com", 8080, true],
    ["*:8080", "example.com", 80, false],
    ["*:443", "::1", 443, true],
    ["example.com", "example.com", 80, true],
    ["example.com", "www.example.com", 80, true],
    ["example.com", "notexample.com", 80, false],
    ["example.com", "example.com.evil.test", 80, false],
    ["EXAMPLE.com", "Example.COM", 80, true],
    ["example.com", "example.com.", 80, true],
    ["example.com.", "example.com", 80, true],
    [".example.com", "www.example.com", 80, true],
    [".example.com", "example.com", 80, false],
    ["*.example.com", "www.example.com", 80, true],
    ["*.example.com", "example.com", 80, false],
    ["example.com:8080", "example.com", 8080, true],
    ["example.com:8080", "example.com", 80, false],
    ["a.test,example.com", "example.com", 80, true],
    ["a.test example.com", "example.com", 80, true],
    ["localhost", "localhost", 80, true],
    ["127.0.0.1", "127.0.0.1", 80, true],
    ["127.0.0.1", "localhost", 80, false],
    ["127.0.0.1:81", "127.0.0.1", 80, false],
    ["10.0.0.0/8", "10.9.8.7", 80, true],
    ["10.0.0.0/8", "11.9.8.7", 80, false],
    ["10.0.0.0/33", "10.9.8.7", 80, false],
    ["10.0.0.0/x", "10.0.0.0", 80, false],
    ["10.0.0.0/8:443", "10.9.8.7", 443, true],
    ["10.0.0.0/8", "ten.example.com", 80, false],
    ["::1", "::1", 80, true],
    ["0:0::1", "::1", 80, true],
    ["[::1]", "::1", 80, true],
    ["[::1]:81", "::1", 81, true],
    ["[::1]:81", "::1", 80, false],
    ["fd00::/8", "fd12::1", 80, true],
    ["fd00::/8", "10.0.0.1", 80, false],
    [".", "example.com", 80, false],
    ["*.", "example.com", 80, false],
  ];
  for (const [noProxy, host, port, exempt] of cases) {
    test(`${JSON.stringify(noProxy)} ${exempt ? "exempts" : "does not exempt"} ${host}:${port}`, () => {
      assert.equal(isExempt({ host, port }, noProxy), exempt);
    });
  }
});
