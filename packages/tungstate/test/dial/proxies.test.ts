import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createTlsServer } from "node:tls";
import type { AddressInfo, Socket } from "node:net";
import { after, describe, test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { dial } from "../../src/dial/dial.ts";
import type { DialOptions } from "../../src/dial/options.ts";
import { ConnectError } from "../../src/errors.ts";
import { Authority } from "../tls/support/certificates.ts";
import { turns } from "../support/server.ts";
import { closedPort, listen, listenEcho, type Peer, silentPeer, silentPort } from "./support/peers.ts";
import { isInstalled, startMicrosocks, startTinyproxy } from "./support/proxies.ts";

const SECRET = "s3cret-passw0rd";

/**
 * The failure of a dial to `host:port` through a proxy, which must not reveal the password in any
 * form.
 */
async function failure(proxy: string, options: DialOptions = {}, port = 9): Promise<ConnectError> {
  const error = await dial({ host: "127.0.0.1", port }, { proxy, ...options }).then(
    () => assert.fail("it was expected to fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  const shown = inspect(error, { depth: 9, showHidden: true });
  assert.ok(!shown.includes(SECRET) && !shown.includes(Buffer.from(`user:${SECRET}`).toString("base64")), shown);
  return error;
}

/** The same with a proxy that reads and never answers, after connectTimeout. */
async function lateFailure(t: TestContext, scheme: string): Promise<ConnectError> {
  const { peer, spokenTo } = await silentPeer(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const failing = failure(`${scheme}127.0.0.1:${peer.port}`, { connectTimeout: 1_000 });
  await spokenTo;
  t.mock.timers.tick(1_000);
  const error = await failing;
  t.mock.timers.reset();
  await peer.idle();
  return error;
}

async function echoes(stream: Socket): Promise<void> {
  stream.write("hello");
  assert.equal(String((await once(stream, "data"))[0]), "hello");
  stream.destroy();
}

describe("tinyproxy", { skip: !isInstalled("tinyproxy") && "tinyproxy is not installed" }, () => {
  test("returns a tunnel and its route", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await startTinyproxy(t);
    const { stream, route } = await dial(
      { host: "127.0.0.1", port: peer.port },
      { proxy: `http://127.0.0.1:${proxy.port}` },
    );
    assert.equal(route.proxy, `http://127.0.0.1:${proxy.port}`);
    assert.equal(route.remotePort, proxy.port);
    await echoes(stream);
  });

  test("connects from the requested local address", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await startTinyproxy(t, ["Allow 127.0.0.2"]);
    const url = `http://127.0.0.1:${proxy.port}`;
    const { stream } = await dial({ host: "127.0.0.1", port: peer.port }, { proxy: url, localAddress: "127.0.0.2" });
    await echoes(stream);
    const denied = await failure(url, { localAddress: "127.0.0.3" }, peer.port);
    assert.deepEqual([denied.code, denied.step], ["PROXY_DENIED", "proxy"]);
    assert.match(denied.message, /status 403 "Access denied"/);
  });

  test("with credentials", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await startTinyproxy(t, [`BasicAuth user ${SECRET}`]);
    const { stream, route } = await dial(
      { host: "127.0.0.1", port: peer.port },
      { proxy: `http://user:${SECRET}@127.0.0.1:${proxy.port}` },
    );
    assert.equal(route.proxy, `http://127.0.0.1:${proxy.port}`);
    await echoes(stream);
    const none = await failure(`http://127.0.0.1:${proxy.port}`, {}, peer.port);
    assert.deepEqual([none.code, none.step], ["PROXY_AUTH", "proxy"]);
    assert.match(none.message, /none were given \(status 407/);
    const wrong = await failure(`http://user:${SECRET}x@127.0.0.1:${proxy.port}`, {}, peer.port);
    assert.equal(wrong.code, "PROXY_AUTH");
  });

  test("reports a host that it cannot reach", async (t) => {
    const proxy = await startTinyproxy(t);
    const error = await failure(`http://127.0.0.1:${proxy.port}`, {}, await closedPort());
    assert.equal(error.code, "PROXY_FAILED");
    assert.match(error.message, /status 5\d\d ".*", to 127\.0\.0\.1:\d+ through http:\/\/127\.0\.0\.1:\d+$/);
    t.diagnostic(error.message);
  });
});

describe("microsocks", { skip: !isInstalled("microsocks") && "microsocks is not installed" }, () => {
  for (const scheme of ["socks5", "socks5h"]) {
    test(`${scheme}: returns a connection and its route`, async (t) => {
      const peer = await listenEcho(t);
      const proxy = await startMicrosocks(t);
      const url = `${scheme}://127.0.0.1:${proxy.port}`;
      const { stream, route } = await dial({ host: "localhost", port: peer.port }, { proxy: url, family: 4 });
      assert.equal(route.proxy, url);
      await echoes(stream);
    });
  }

  test("with credentials", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await startMicrosocks(t, ["-u", "user", "-P", SECRET]);
    const { stream } = await dial(
      { host: "127.0.0.1", port: peer.port },
      { proxy: `socks5://user:${SECRET}@127.0.0.1:${proxy.port}`, localAddress: "127.0.0.2" },
    );
    await echoes(stream);
    const none = await failure(`socks5://127.0.0.1:${proxy.port}`, {}, peer.port);
    assert.deepEqual([none.code, none.step], ["PROXY_AUTH", "proxy"]);
    const wrong = await failure(`socks5://user:${SECRET}x@127.0.0.1:${proxy.port}`, {}, peer.port);
    assert.equal(wrong.code, "PROXY_AUTH");
    assert.match(wrong.message, /those given were refused/);
  });

  test("reports a host that it cannot reach", async (t) => {
    const proxy = await startMicrosocks(t);
    const error = await failure(`socks5://127.0.0.1:${proxy.port}`, {}, await closedPort());
    assert.equal(error.code, "PROXY_FAILED");
    assert.match(error.message, /it answers ConnectionRefused, to 127\.0\.0\.1:\d+ through socks5:\/\/127/);
  });
});

/** A proxy that answers the request's head with these bytes, and then echoes. */
function answering(
  t: TestContext,
  answer: string | Buffer,
  then: (socket: Socket) => void = () => undefined,
): Promise<Peer> {
  return listen(t, (socket) => {
    let head = "";
    const onData = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", onData);
      socket.write(answer);
      socket.pipe(socket);
      then(socket);
    };
    socket.on("data", onData);
  });
}

describe("an HTTP proxy", () => {
  test("receives a strict request, and nothing else", async (t) => {
    for (const [host, authority] of [
      ["example.test", "example.test:443"],
      ["[2001:db8::1]", "[2001:db8::1]:443"],
    ] as const) {
      let request = "";
      const proxy = await listen(t, (socket) =>
        socket.on("data", (chunk) => {
          request += String(chunk);
          if (request.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\n\r\n");
        }),
      );
      const { stream } = await dial({ host, port: 443 }, { proxy: `http://user:${SECRET}@127.0.0.1:${proxy.port}` });
      stream.destroy();
      const basic = Buffer.from(`user:${SECRET}`).toString("base64");
      assert.equal(
        request,
        `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`,
      );
    }
  });

  for (const answer of [
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n",
    "HTTP/1.1 204 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
  ]) {
    test(`opens a tunnel with ${JSON.stringify(answer)}; bytes after it are kept for any chunks`, async (t) => {
      const whole = Buffer.from(`${answer}behind`);
      for (let cut = 1; cut < whole.length; cut += 7) {
        const proxy = await answering(t, whole.subarray(0, cut), (socket) =>
          setImmediate(() => socket.write(whole.subarray(cut))),
        );
        const { stream } = await dial({ host: "example.test", port: 9 }, { proxy: `http://127.0.0.1:${proxy.port}` });
        let got = "";
        while (got.length < "behind".length) got += String((await once(stream, "data"))[0]);
        assert.equal(got, "behind");
        await echoes(stream);
      }
    });
  }

  test("that refuses", async (t) => {
    const cases = [
      ["HTTP/1.1 403 Forbidden\r\n\r\n", "PROXY_DENIED", /status 403 "Forbidden"/],
      ["HTTP/1.1 400 \r\n\r\n", "PROXY_DENIED", /status 400 ""/],
      ["HTTP/1.1 407 Auth\r\nProxy-Authenticate: Digest realm=x\r\n\r\n", "PROXY_AUTH", /it asks for "Digest realm=x"/],
      ["HTTP/1.1 429 Later\r\n\r\n", "PROXY_FAILED", /status 429/],
      ["HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nbody", "PROXY_FAILED", /status 502 "Bad Gateway"/],
      ["HTTP/1.1 301 Moved\r\nLocation: http://evil.test/\r\n\r\n", "PROXY_FAILED", /status 301/],
      ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "PROXY_FAILED", /status 101/],
    ] as const;
    for (const [answer, code, message] of cases) {
      const proxy = await answering(t, answer);
      const error = await failure(`http://user:${SECRET}@127.0.0.1:${proxy.port}`);
      assert.deepEqual([error.code, error.step], [code, "proxy"], answer);
      assert.match(error.message, message);
      await proxy.idle();
    }
  });

  test("whose response is not HTTP, too large, has too many chunks, or control characters", async (t) => {
    const answers = [
      "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      "\0\0\0\0\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 200 OK\nX: y\n\n",
      `HTTP/1.1 200 OK\r\nX: ${"x".repeat(64 * 1024)}\r\n\r\n`,
      `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(2000)}\r\n`,
      `HTTP/1.1 200 ${"x".repeat(64 * 1024)}`,
      "HTTP/1.1 200 OK\r\nbad header : x\r\n\r\n",
    ];
    for (const answer of answers) {
      const proxy = await answering(t, answer);
      const error = await failure(`http://user:${SECRET}@127.0.0.1:${proxy.port}`);
      assert.deepEqual([error.code, error.step], ["PROXY_FAILED", "proxy"], JSON.stringify(answer.slice(0, 40)));
      assert.match(error.message, /its answer: /);
      await proxy.idle();
    }
    const loud = await answering(t, "HTTP/1.1 500 \u00e9\u00ff long".padEnd(5000, "x") + "\r\n\r\n");
    const error = await failure(`http://127.0.0.1:${loud.port}`);
    assert.ok(error.message.length < 300, error.message);
  });

  test("that closes early, resets, or never answers", async (t) => {
    const closing = await answering(t, "HTTP/1.1 200 O", (socket) => socket.end());
    const closed = await failure(`http://127.0.0.1:${closing.port}`);
    assert.deepEqual([closed.code, closed.step], ["PROXY_FAILED", "proxy"]);
    assert.match(closed.message, /it closed the connection/);

    const resetting = await answering(t, "HTTP/1.1 200 O", (socket) => setImmediate(() => socket.resetAndDestroy()));
    assert.equal((await failure(`http://127.0.0.1:${resetting.port}`)).code, "PROXY_FAILED");

    const late = await lateFailure(t, "http://");
    assert.deepEqual([late.code, late.step], ["PROXY_TIMEOUT", "proxy"]);

    const { peer: silent, spokenTo } = await silentPeer(t);
    const controller = new AbortController();
    void spokenTo.then(() => controller.abort(new DOMException("that is enough", "TimeoutError")));
    const aborted = await failure(`http://127.0.0.1:${silent.port}`, { signal: controller.signal });
    assert.deepEqual([aborted.code, aborted.step], ["TIMEOUT", "proxy"]);
    await silent.idle();
  });

  test("that does not exist: a connect failure that names it", async (t) => {
    const refused = await failure(`http://127.0.0.1:${await closedPort()}`);
    assert.deepEqual([refused.code, refused.step], ["REFUSED", "connect"]);
    assert.match(refused.message, /through http:\/\/127\.0\.0\.1:\d+$/);
    const silent = await silentPort(t);
    const late = await failure(`http://127.0.0.1:${silent}`, { connectTimeout: 20 });
    assert.deepEqual([late.code, late.step], ["CONNECT_TIMEOUT", "connect"]);
    const unbound = await failure("http://127.0.0.1:9", { localAddress: "203.0.113.7" });
    assert.deepEqual([unbound.code, unbound.step], ["ADDRESS_NOT_LOCAL", "bind"]);
  });

  test("from the environment, unless NO_PROXY exempts the host", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await answering(t, "HTTP/1.1 200 OK\r\n\r\nproxied");
    const saved = { ...process.env };
    t.after(() => {
      process.env = saved;
    });
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"]) {
      delete process.env[name];
      delete process.env[name.toLowerCase()];
    }
    process.env["HTTPS_PROXY"] = `http://127.0.0.1:${proxy.port}`;
    for (const value of [true, "environment"]) {
      const { stream, route } = await dial({ host: "127.0.0.1", port: peer.port, secure: true }, { proxy: value });
      assert.equal(route.proxy, `http://127.0.0.1:${proxy.port}`);
      stream.destroy();
    }
    process.env["NO_PROXY"] = "127.0.0.0/8";
    const direct = await dial({ host: "127.0.0.1", port: peer.port, secure: true }, { proxy: true });
    assert.equal(direct.route.proxy, undefined);
    await echoes(direct.stream);
  });
});

describe("an https: proxy", () => {
  const authority = new Authority();
  after(() => authority.remove());

  async function listenTls(t: TestContext): Promise<number> {
    const { key, cert } = authority.issue();
    const server = createTlsServer({ key, cert }, (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nbehind"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  test("is used over TLS", async (t) => {
    const port = await listenTls(t);
    const { stream, route } = await dial(
      { host: "example.test", port: 9 },
      { proxy: `https://localhost:${port}`, proxyTls: { ca: authority.cert }, family: 4 },
    );
    assert.equal(String((await once(stream, "data"))[0]), "behind");
    assert.equal(route.proxy, `https://localhost:${port}`);
    assert.equal(route.remoteAddress, "127.0.0.1");
    stream.destroy();
  });

  test("is verified: its failures are the proxy's", async (t) => {
    const port = await listenTls(t);
    const unknown = await failure(`https://user:${SECRET}@localhost:${port}`, { family: 4 });
    assert.deepEqual([unknown.code, unknown.step], ["TLS_UNKNOWN_AUTHORITY", "proxy"]);
    const plain = await listen(t, (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const noTls = await failure(`https://127.0.0.1:${plain.port}`);
    assert.deepEqual([noTls.code, noTls.step], ["TLS_PROTOCOL", "proxy"]);
    assert.match(noTls.message, /at the proxy: .*what came is no TLS/);
  });
});

/** A SOCKS5 proxy with a script: how many bytes to wait for, and the reply. */
function scripted(t: TestContext, ...script: readonly (readonly [wait: number, answer: Buffer])[]): Promise<Peer> {
  return listen(t, (socket) => {
    let step = 0;
    let got = 0;
    socket.on("data", (chunk) => {
      got += chunk.length;
      for (let next = script[step]; next !== undefined && got >= next[0]; next = script[step]) {
        got -= next[0];
        step++;
        socket.write(next[1]);
      }
    });
  });
}

const NO_AUTH = Buffer.of(5, 0);
const GRANTED = Buffer.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 80);
const HELLO = 3; // bytes of a greeting with one method
const REQUEST = 10; // bytes of a request for an IPv4 address

describe("a SOCKS5 proxy", () => {
  test("bytes after its reply are kept", async (t) => {
    for (const answer of [
      GRANTED,
      Buffer.concat([Buffer.of(5, 0, 0, 4), Buffer.alloc(18)]),
      Buffer.concat([Buffer.of(5, 0, 0, 3, 4), Buffer.from("name"), Buffer.of(0, 80)]),
    ]) {
      const proxy = await scripted(t, [HELLO, NO_AUTH], [REQUEST, Buffer.concat([answer, Buffer.from("behind")])]);
      const { stream } = await dial({ host: "127.0.0.1", port: 80 }, { proxy: `socks5://127.0.0.1:${proxy.port}` });
      await turns(2); // reads what is available
      assert.equal(String((await once(stream, "data"))[0]), "behind");
      stream.destroy();
    }
  });

  test("socks5 resolves locally and tries one address after the other; socks5h lets the proxy resolve", async (t) => {
    const asked: string[] = [];
    const proxy = await listen(t, (socket) => {
      socket.once("data", () => {
        socket.write(NO_AUTH);
        socket.once("data", (request) => {
          const isName = request[3] === 3;
          asked.push(isName ? request.subarray(5, -2).toString() : [...request.subarray(4, 8)].join("."));
          socket.end(isName || request[7] === 2 ? GRANTED : Buffer.of(5, 4, 0, 1, 0, 0, 0, 0, 0, 0));
        });
      });
    });
    const lookup = ((_name, _options, callback) =>
      callback(null, [
        { address: "192.0.2.1", family: 4 },
        { address: "192.0.2.2", family: 4 },
      ])) satisfies DialOptions["lookup"];
    for (const scheme of ["socks5", "socks5h"]) {
      const { stream } = await dial(
        { host: "two.example", port: 80 },
        { proxy: `${scheme}://127.0.0.1:${proxy.port}`, lookup },
      );
      stream.destroy();
    }
    assert.deepEqual(asked, ["192.0.2.1", "192.0.2.2", "two.example"]);
  });

  test("that refuses", async (t) => {
    const reply = (code: number): Buffer => Buffer.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0);
    const cases = [
      [1, "PROXY_FAILED", /it answers Failure/],
      [2, "PROXY_DENIED", /it answers NotAllowed/],
      [3, "PROXY_FAILED", /it answers NetworkUnreachable/],
      [4, "PROXY_FAILED", /it answers HostUnreachable/],
      [5, "PROXY_FAILED", /it answers ConnectionRefused/],
      [6, "PROXY_FAILED", /it answers TTLExpired/],
      [7, "PROXY_DENIED", /it answers CommandNotSupported/],
      [8, "PROXY_DENIED", /it answers AddressNotSupported/],
      [99, "PROXY_FAILED", /it answers with an unknown code/],
    ] as const;
    for (const [code, name, message] of cases) {
      const proxy = await scripted(t, [HELLO + 1, NO_AUTH], [REQUEST, reply(code)]);
      const error = await failure(`socks5://user:${SECRET}@127.0.0.1:${proxy.port}`);
      assert.deepEqual([error.code, error.step], [name, "proxy"], String(code));
      assert.match(error.message, message);
      await proxy.idle();
    }
  });

  test("that sends an invalid reply", async (t) => {
    const cases: (readonly (readonly [number, Buffer])[])[] = [
      [[HELLO, Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")]],
      [[HELLO, Buffer.of(4, 0)]],
      [[HELLO, Buffer.of(5, 7)]],
      [
        [HELLO, NO_AUTH],
        [REQUEST, Buffer.of(4, 0, 0, 1, 0, 0, 0, 0, 0, 0)],
      ],
      [
        [HELLO, NO_AUTH],
        [REQUEST, Buffer.of(5, 0, 0, 9, 0, 0, 0, 0, 0, 0)],
      ],
    ];
    for (const script of cases) {
      const proxy = await scripted(t, ...script);
      const outcome = await dial(
        { host: "127.0.0.1", port: 80 },
        { proxy: `socks5://127.0.0.1:${proxy.port}`, connectTimeout: 60_000 },
      ).then(
        () => "connected",
        (error: unknown) => (error as ConnectError).code,
      );
      assert.equal(outcome, "PROXY_FAILED", inspect(script));
      await proxy.idle();
    }
  });

  test("that closes early, or never answers", async (t) => {
    const closing = await listen(t, (socket) => socket.once("data", () => socket.end()));
    const closed = await failure(`socks5://user:${SECRET}@127.0.0.1:${closing.port}`);
    assert.deepEqual([closed.code, closed.step], ["PROXY_FAILED", "proxy"]);
    const late = await lateFailure(t, `socks5://user:${SECRET}@`);
    assert.deepEqual([late.code, late.step], ["PROXY_TIMEOUT", "proxy"]);
  });
});
