import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import { accept } from "../../src/server/accept.ts";
import { selfSigned } from "../support/pairs.ts";

interface Stop {
  readonly port: number;
  /** The received requests, unchanged. */
  readonly requests: string[];
  /** For each TLS connection: whether the client sent a certificate. */
  readonly certificates: boolean[];
}

/** A server that redirects every request; without a target it accepts. */
async function stop(
  t: TestContext,
  location?: string | ((port: number) => string),
  { tls = false, path = undefined as string | undefined, status = 302 } = {},
): Promise<Stop> {
  const requests: string[] = [];
  const certificates: boolean[] = [];
  const sockets: Socket[] = [];
  let port = 0;
  const onSocket = (socket: Socket): void => {
    sockets.push(socket);
    if (socket instanceof TLSSocket) certificates.push(Object.keys(socket.getPeerCertificate()).length > 0);
    socket.on("error", () => undefined);
    socket.once("data", (bytes: Buffer) => {
      requests.push(bytes.toString("latin1"));
      if (location === undefined) {
        socket.unshift(bytes);
        accept(socket, { origin: "any" }).catch(() => undefined);
        return;
      }
      const to = typeof location === "string" ? location : location(port);
      socket.end(`HTTP/1.1 ${status} Over there\r\nLocation: ${to}\r\nContent-Length: 0\r\n\r\n`, "latin1");
    });
  };
  const server: Server = tls
    ? createTlsServer({ ...selfSigned(), requestCert: true, rejectUnauthorized: false }, onSocket)
    : createServer(onSocket);
  server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
  await once(server, "listening");
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  if (path === undefined) ({ port } = server.address() as { port: number });
  return { port, requests, certificates };
}

const options = (more: ConnectOptions = {}): ConnectOptions => ({
  proxy: false,
  maxRedirects: 3,
  tls: { ca: selfSigned().cert },
  ...more,
});

const local = (stopped: Stop, path = "/"): string => `ws://127.0.0.1:${stopped.port}${path}`;

async function opens(url: string, more?: ConnectOptions): Promise<void> {
  const connection = await connect(url, options(more));
  assert.equal(connection.state, "open");
  connection.terminate();
  await connection.closed;
}

describe("a redirect", () => {
  test("is not followed by default: the response is the error", async (t) => {
    const from = await stop(t, "ws://127.0.0.1:1/");
    await assert.rejects(
      connect(local(from), { proxy: false }),
      (error: { code: string; response: { status: number } }) => {
        assert.deepEqual([error.code, error.response.status], ["UNEXPECTED_STATUS", 302]);
        return true;
      },
    );
  });

  for (const status of [301, 302, 303, 307, 308]) {
    test(`by ${status}`, async (t) => {
      const to = await stop(t);
      await opens(local(await stop(t, local(to, "/there?x=1"), { status }), "/here"));
      assert.match(to.requests[0] ?? "", /^GET \/there\?x=1 HTTP\/1\.1\r\nHost: 127\.0\.0\.1:/);
    });
  }

  test("with 300, 304 or 305, or without Location, is not followed", async (t) => {
    const to = await stop(t);
    for (const status of [300, 304, 305]) {
      await assert.rejects(connect(local(await stop(t, local(to), { status })), options()), {
        code: "UNEXPECTED_STATUS",
      });
    }
    await assert.rejects(connect(local(await stop(t, "\r\nX: y")), options()));
    assert.equal(to.requests.length, 0);
  });

  test("is followed up to maxRedirects times", async (t) => {
    const last = await stop(t);
    const third = await stop(t, local(last));
    const second = await stop(t, local(third));
    const first = await stop(t, local(second));
    await opens(local(first));
    await assert.rejects(connect(local(first), options({ maxRedirects: 2 })), { code: "REDIRECT_LIMIT", message: /2/ });
    await assert.rejects(connect(local(first), options({ maxRedirects: 0 })), { code: "REDIRECT_LIMIT" });
    const circle = await stop(t, (port) => `ws://127.0.0.1:${port}/again`);
    await assert.rejects(connect(local(circle), options({ maxRedirects: 10 })), { code: "REDIRECT_LIMIT" });
    assert.equal(circle.requests.length, 11);
  });

  test("may be a path, or http: for ws:", async (t) => {
    let asked = 0;
    const to = await stop(t);
    await opens(local(await stop(t, `http://127.0.0.1:${to.port}/page`)));
    assert.match(to.requests[0] ?? "", /^GET \/page /);
    const self = await stop(t, () => (++asked === 1 ? "other?y=2" : local(to, "/done")));
    await opens(local(self, "/folder/page"));
    assert.match(self.requests[1] ?? "", /^GET \/folder\/other\?y=2 /);
  });

  test("from ws: to wss: is followed, from wss: to ws: never", async (t) => {
    const secure = await stop(t, undefined, { tls: true });
    await opens(local(await stop(t, `wss://localhost:${secure.port}/`)));
    const plain = await stop(t);
    for (const scheme of ["ws", "http"]) {
      const from = await stop(t, `${scheme}://127.0.0.1:${plain.port}/`, { tls: true });
      await assert.rejects(connect(`wss://localhost:${from.port}/`, options()), { code: "REDIRECT_INSECURE" });
    }
    assert.equal(plain.requests.length, 0);
  });

  test("to something other than a WebSocket, or a Unix socket, is rejected", async (t) => {
    for (const to of [
      "ftp://127.0.0.1/",
      "ws://127.0.0.1:99999/",
      "http://",
      "mailto:a@b",
      "ws+unix:/run/docker.sock:/x",
      "ws://127.0.0.1:0/",
    ]) {
      await assert.rejects(connect(local(await stop(t, to)), options()), { code: "REDIRECT_INVALID" }, to);
    }
  });

  // [Location, its target on the host of the first request, or on another one]
  const LOCATIONS: readonly (readonly [string, string])[] = [
    ["/caf\u00e9?q=\u{1d11e}", "/caf%C3%A9?q=%F0%9D%84%9E"],
    ["//HOST/\u65e5\u672c", "/%E6%97%A5%E6%9C%AC"],
    ["http://HOST/\u00fc", "/%C3%BC"],
    ["ws://HOST/caf%C3%A9", "/caf%C3%A9"],
    ["/a#fragment", "/a"],
    ["ws://HOST/a?b#", "/a?b"],
    ["#fragment", "/folder/page?x=1"],
    ["?y=2#\u00e9", "/folder/page?y=2"],
    ["", "/folder/page?x=1"],
    ["//HOST/other", "/other"],
    ["../other/./page", "/other/page"],
    ["http://HOST", "/"],
    ["HTTP://HOST/a", "/a"],
    ["ws:other", "/folder/other"],
  ];
  for (const [location, target] of LOCATIONS) {
    test(`to ${JSON.stringify(location)} requests ${target}`, async (t) => {
      let asked = 0;
      const last = await stop(t);
      const from = await stop(t, (port) => {
        const to = ++asked === 1 ? location.replace("HOST", `127.0.0.1:${port}`) : local(last);
        return Buffer.from(to, "utf8").toString("latin1");
      });
      await opens(local(from, "/folder/page?x=1"), { maxRedirects: 2 });
      assert.equal(from.requests[1]?.split(" ")[1], target);
    });
  }

  test("to a UTF-8 host requests its ASCII form", async (t) => {
    const to = await stop(t);
    const location = Buffer.from(`ws://b\u00fccher.example:${to.port}/`, "utf8").toString("latin1");
    const names: string[] = [];
    const lookup: ConnectOptions["lookup"] = (name, _options, callback) => {
      names.push(name);
      callback(null, [{ address: "127.0.0.1", family: 4 }]);
    };
    await opens(local(await stop(t, location)), { lookup });
    assert.deepEqual(names, ["xn--bcher-kva.example"]);
    assert.match(to.requests[0] ?? "", /^Host: xn--bcher-kva\.example:/m);
  });

  test("to bytes that are not UTF-8 requests those bytes", async (t) => {
    const to = await stop(t);
    await opens(local(await stop(t, `${local(to)}caf\xe9/\xff\xfe`)));
    assert.match(to.requests[0] ?? "", /^GET \/caf%E9\/%FF%FE /);
  });

  test("from wss: to a path, another host without a scheme, or https: stays on TLS", async (t) => {
    const to = await stop(t, undefined, { tls: true });
    for (const location of [`//localhost:${to.port}/`, `https://localhost:${to.port}/#x`]) {
      const from = await stop(t, location, { tls: true });
      await opens(`wss://localhost:${from.port}/`, { family: 4 });
    }
    assert.equal(to.requests.length, 2);
  });

  test("with several Locations is followed only if all are equal", async (t) => {
    const to = await stop(t);
    const same = `${local(to)}\r\nLocation: ${local(to)}`;
    await opens(local(await stop(t, same)));
    const other = `${local(to)}\r\nLocation: ws://127.0.0.1:1/`;
    await assert.rejects(connect(local(await stop(t, other)), options()), { code: "REDIRECT_INVALID" });
    assert.equal(to.requests.length, 1);
  });

  test("that is rejected is reported with control characters escaped", async (t) => {
    const from = await stop(t, "ftp://\x9b31m\xe9");
    await assert.rejects(connect(local(from), options()), {
      code: "REDIRECT_INVALID",
      message: /"ftp:\/\/\\x9b31m\\xe9"/,
    });
  });

  test("to the same origin keeps credentials, to another one drops them permanently, and the Host that was set", async (t) => {
    const SECRETS = /secret|Authorization|Cookie/i;
    const headers = { Authorization: "Bearer secret", cookie: "secret=1", "X-Kept": "yes", Host: "virtual.example" };
    let asked = 0;
    let back = "";
    const other = await stop(t, () => back);
    const home = await stop(t, () => ["/second", local(other), local(last)][asked++] ?? "");
    const last = await stop(t);
    back = local(home, "/third");
    await opens(local(home, "/first"), { headers, maxRedirects: 4 });
    assert.deepEqual(
      home.requests.map((request) => [request.split(" ")[1], SECRETS.test(request), /virtual/.test(request)]),
      [
        ["/first", true, true],
        ["/second", true, true],
        ["/third", false, false],
      ],
    );
    for (const request of [...other.requests, ...last.requests]) {
      assert.doesNotMatch(request, SECRETS);
      assert.match(request, /X-Kept: yes\r\n/);
      assert.match(request, /Host: 127\.0\.0\.1:/);
    }
  });

  test("credentials of the URL are sent to the same origin only; those of the new URL are sent there", async (t) => {
    let asked = 0;
    const last = await stop(t);
    const other = await stop(t, () => local(last).replace("//", "//new:pass@"));
    const home = await stop(t, () => ["/again", local(other)][asked++] ?? "");
    await opens(local(home).replace("//", "//user:secret@"));
    const basic = (text: string) => `Authorization: Basic ${Buffer.from(text).toString("base64")}`;
    assert.deepEqual(
      home.requests.map((request) => request.includes(basic("user:secret"))),
      [true, true],
    );
    assert.doesNotMatch(other.requests[0] ?? "", /Authorization/);
    assert.ok(last.requests[0]?.includes(basic("new:pass")));
  });

  test("client certificates and TLS options for one host are not used for another origin", async (t) => {
    const { key, cert } = selfSigned();
    const to = await stop(t, undefined, { tls: true });
    const from = await stop(t, `wss://127.0.0.1:${to.port}/`, { tls: true });
    const tls = { ca: cert, key, cert, servername: "localhost" };
    const connection = await connect(`wss://127.0.0.1:${from.port}/`, options({ tls }));
    const servername = connection.tls?.servername;
    connection.terminate();
    assert.equal(servername, undefined); // an address has none
    assert.deepEqual([from.certificates, to.certificates], [[true], [false]]);
  });

  test("of a Unix socket: a path stays on it", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tungstate-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "socket");
    let asked = 0;
    const to = await stop(t);
    const socket = await stop(t, () => (++asked === 1 ? "/second" : local(to)), { path });
    await opens(`ws+unix:${path}:/first`);
    assert.deepEqual(
      socket.requests.map((request) => request.split(" ")[1]),
      ["/first", "/second"],
    );
  });
});
