import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { HeaderFields, type HeaderInput } from "@tungstate/protocol";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import { dial } from "../../src/dial/dial.ts";
import { ConnectError } from "../../src/errors.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { respondingPort } from "../support/client-routes.ts";
import { upgradeResponse } from "../support/raw.ts";
import { listen } from "./support/peers.ts";
import { listenSocks } from "./support/socks.ts";

interface ConnectProxy {
  readonly url: (credentials?: string) => string;
  /** The CONNECT requests, and the requests received through the tunnels. */
  readonly requests: string[];
}

/** A proxy that answers CONNECT with this status, and the handshake after it as a server. */
async function connectProxy(t: TestContext, status = 200): Promise<ConnectProxy> {
  const requests: string[] = [];
  const port = await respondingPort(t, (request, accept) => {
    requests.push(request);
    return request.startsWith("CONNECT ") ? `HTTP/1.1 ${status}\r\n\r\n` : upgradeResponse(accept);
  });
  return { requests, url: (credentials = "") => `http://${credentials}127.0.0.1:${port}` };
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString("base64")}`;

const ROUTES: Readonly<Record<string, (options: ConnectOptions) => Promise<WebSocketConnection>>> = {
  connect: (options) => connect("ws://server.example/", options),
  reconnecting: async (options) => {
    const connection = reconnecting("ws://server.example/", options);
    await connection.ready();
    return connection;
  },
};

describe("proxyHeaders", () => {
  for (const [name, open] of Object.entries(ROUTES)) {
    test(`${name}: are sent with CONNECT, and not through the tunnel`, async (t) => {
      const proxy = await connectProxy(t);
      const connection = await open({
        proxy: proxy.url("user:secret@"),
        proxyHeaders: { "User-Agent": "mine/1", "X-Many": ["1", "2"], "X-Latin1": "\xe9" },
        headers: { "X-Server": "yes" },
      });
      connection.terminate();
      const [asked, through = ""] = proxy.requests;
      assert.equal(
        asked,
        "CONNECT server.example:80 HTTP/1.1\r\nHost: server.example:80\r\n" +
          `Proxy-Authorization: ${basic("user:secret")}\r\n` +
          "User-Agent: mine/1\r\nX-Many: 1\r\nX-Many: 2\r\nX-Latin1: \xe9\r\n\r\n",
      );
      assert.match(through, /^GET \/ HTTP\/1\.1\r\nHost: server\.example\r\n/);
      assert.match(through, /X-Server: yes/);
      assert.doesNotMatch(through, /User-Agent|X-Many|Proxy-/i);
    });
  }

  for (const [name, open] of Object.entries(ROUTES)) {
    test(`${name}: given as an iterator, they and headers are sent again after a redirect`, async (t) => {
      const requests: string[] = [];
      const port = await respondingPort(t, (request, accept) => {
        requests.push(request);
        if (request.startsWith("CONNECT ")) return "HTTP/1.1 200\r\n\r\n";
        if (request.startsWith("GET / ")) return "HTTP/1.1 302\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n";
        return upgradeResponse(accept);
      });
      const connection = await open({
        maxRedirects: 1,
        proxy: `http://127.0.0.1:${port}`,
        proxyHeaders: new Map([["X-Proxy", "a"]]).entries(),
        headers: new Map([["X-Server", "b"]]).entries(),
      });
      connection.terminate();
      assert.deepEqual(
        requests.map((request) => [request.split(" ")[0], /^X-(?:Proxy|Server): .*(?=\r$)/m.exec(request)?.[0]]),
        [
          ["CONNECT", "X-Proxy: a"],
          ["GET", "X-Server: b"],
          ["CONNECT", "X-Proxy: a"],
          ["GET", "X-Server: b"],
        ],
      );
    });
  }

  test("replace Host, and the credentials in the proxy's URL", async (t) => {
    const forms: readonly HeaderInput[] = [
      { host: "other.example:8443", "proxy-authorization": "Bearer token" },
      [["host", "other.example:8443"], ["proxy-authorization", "Bearer token"]], // prettier-ignore
      new Map([
        ["host", "other.example:8443"],
        ["proxy-authorization", "Bearer token"],
      ]),
      new HeaderFields([["host", "other.example:8443"], ["proxy-authorization", "Bearer token"]]), // prettier-ignore
    ];
    for (const proxyHeaders of forms) {
      const proxy = await connectProxy(t);
      (await connect("ws://server.example/", { proxy: proxy.url("user:secret@"), proxyHeaders })).terminate();
      assert.equal(
        proxy.requests[0],
        "CONNECT server.example:80 HTTP/1.1\r\nhost: other.example:8443\r\nproxy-authorization: Bearer token\r\n\r\n",
      );
    }
  });

  test("with Proxy-Authorization count as credentials in an error, which does not show them", async (t) => {
    const proxy = await connectProxy(t, 407);
    const proxyHeaders = { "Proxy-Authorization": "Bearer s3cret" };
    await assert.rejects(connect("ws://server.example/", { proxy: proxy.url(), proxyHeaders }), (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.deepEqual([error.code, error.step], ["PROXY_AUTH", "proxy"]);
      assert.match(error.message, /those given were refused/);
      assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes("s3cret"));
      return true;
    });
  });

  // a program without types may pass anything
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ["CR LF in a value", { "X-A": "b\r\nX-Evil: 1" }, /proxyHeaders: X-A/],
    ["LF in a value", { "X-A": "b\nc" }, /proxyHeaders: X-A/],
    ["CR in a value", { "X-A": "b\rc" }, /proxyHeaders: X-A/],
    ["NUL in a value", { "X-A": "b\0" }, /proxyHeaders: X-A/],
    ["a character above U+00FF", { "X-A": "\u{1f600}" }, /proxyHeaders: X-A/],
    ["CR LF in a name", { "X-A\r\nX-Evil": "1" }, /each name of proxyHeaders must be a token/],
    ["an empty name", { "": "1" }, /each name of proxyHeaders must be a token/],
    ["a number as a value", { "X-A": 1 }, /proxyHeaders: X-A must be a string, got 1/],
    ...["Content-Length", "transfer-encoding", "Connection", "upgrade", "Sec-WebSocket-Key"].map(
      (name) =>
        [
          name,
          { [name]: "5" },
          new RegExp(`proxyHeaders must be a field other than Connection, Upgrade, Content-Length, .*, got "${name}"`),
        ] as const,
    ),
    ["two Hosts", [["Host", "a"], ["host", "b"]], /proxyHeaders must have at most one Host, got 2/], // prettier-ignore
    ["a Host that is none", { Host: "a b" }, /Host of proxyHeaders must be .*, got "a b"/],
    ["a Host with a user", { Host: "user@a" }, /Host of proxyHeaders must be a host name or an address/],
    [
      "two Proxy-Authorizations",
      { "Proxy-Authorization": ["a", "b"] },
      /proxyHeaders must have at most one Proxy-Authorization, got 2/,
    ],
    ["text", "X-A: b", /proxyHeaders must be an object/],
    ["a number", 5, /proxyHeaders must be an object, or an iterable of pairs of a name and a value, got 5/],
    ["null", null, /proxyHeaders must be an object, or an iterable of pairs of a name and a value, got null/],
  ];
  for (const [name, given, message] of wrong) {
    test(`with ${name} are rejected before anything is opened`, async (t) => {
      const peer = await listen(t);
      const proxyHeaders = given as HeaderInput;
      const expected = { code: "INVALID_ARGUMENT", message };
      for (const proxy of [`http://127.0.0.1:${peer.port}`, undefined]) {
        await assert.rejects(dial({ host: "127.0.0.1", port: peer.port }, { proxy, proxyHeaders }), expected);
        await assert.rejects(connect(`ws://127.0.0.1:${peer.port}/`, { proxy, proxyHeaders }), expected);
        assert.throws(() => reconnecting(`ws://127.0.0.1:${peer.port}/`, { proxy, proxyHeaders }), expected);
      }
      assert.equal(peer.sockets.size, 0);
    });
  }

  test("are invalid for a SOCKS proxy set by the program, and ignored for one of the environment", async (t) => {
    const socks = await listenSocks(t, { reply: () => 5 });
    const proxyHeaders = { "User-Agent": "mine" };
    for (const scheme of ["socks", "socks4", "socks4a", "socks5", "socks5h"]) {
      const proxy = `${scheme}://127.0.0.1:${socks.port}`;
      const expected = {
        code: "INVALID_ARGUMENT",
        message: /proxyHeaders need a proxy with http: or https:, got socks/,
      };
      await assert.rejects(connect("ws://192.0.2.1/", { proxy, proxyHeaders }), expected);
      assert.throws(() => reconnecting("ws://192.0.2.1/", { proxy, proxyHeaders }), expected);
    }
    const saved = { ...process.env };
    t.after(() => {
      process.env = saved;
    });
    for (const name of ["HTTP_PROXY", "NO_PROXY"]) {
      delete process.env[name];
      delete process.env[name.toLowerCase()];
    }
    process.env["ALL_PROXY"] = process.env["all_proxy"] = `socks5://127.0.0.1:${socks.port}`;
    await assert.rejects(connect("ws://192.0.2.1/", { proxy: true, proxyHeaders }), {
      code: "PROXY_FAILED",
      message: /it answers ConnectionRefused/,
    });
    assert.equal(socks.requests.length, 1);
  });
});
