import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import { dial } from "../../src/dial/dial.ts";
import type { DialOptions } from "../../src/dial/options.ts";
import { ConnectError } from "../../src/errors.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";
import { end } from "../support/server.ts";
import { closedPort, listen, listenEcho } from "./support/peers.ts";
import { listenSocks, type SocksRequest, type SocksServer } from "./support/socks.ts";

const SECRET = "s3cret-passw0rd";

/** Two addresses for every name. */
const lookup = ((_name, options, callback) => {
  const all = [
    { address: "2001:db8::1", family: 6 },
    { address: "192.0.2.1", family: 4 },
    { address: "192.0.2.2", family: 4 },
  ];
  callback(
    null,
    all.filter(({ family }) => options.family === 0 || options.family === family),
  );
}) satisfies DialOptions["lookup"];

async function echoes(stream: Socket): Promise<void> {
  stream.write("hello");
  assert.equal(String((await once(stream, "data"))[0]), "hello");
  stream.destroy();
}

async function failure(host: string, proxy: string, options: DialOptions = {}, port = 9): Promise<ConnectError> {
  const error = await dial({ host, port }, { proxy, ...options }).then(
    () => assert.fail("it was expected to fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(SECRET));
  return error;
}

const asked = ({ requests }: SocksServer): string[] =>
  requests.map(({ version, form, host }: SocksRequest) => `${version} ${form} ${host}`);

describe("a SOCKS proxy", () => {
  // [scheme, what is requested for a name; all but the last are refused]
  const schemes: readonly (readonly [string, readonly string[]])[] = [
    ["socks4", ["4 ipv4 192.0.2.1", "4 ipv4 192.0.2.2"]],
    ["socks4a", ["4 name two.example"]],
    ["socks5", ["5 ipv6 20010db8000000000000000000000001", "5 ipv4 192.0.2.1", "5 ipv4 192.0.2.2"]],
    ["socks5h", ["5 name two.example"]],
    ["socks", ["5 name two.example"]],
  ];

  for (const [scheme, requests] of schemes) {
    test(`${scheme}: names are resolved locally or by the proxy`, async (t) => {
      const peer = await listenEcho(t);
      const last = requests.at(-1);
      const proxy = await listenSocks(t, {
        reply: ({ version, form, host }) => {
          const granted = `${version} ${form} ${host}` === last;
          return version === 4 ? (granted ? 90 : 91) : granted ? 0 : 4;
        },
      });
      const url = `${scheme}://127.0.0.1:${proxy.port}`;
      const { stream, route } = await dial({ host: "two.example", port: peer.port }, { proxy: url, lookup });
      assert.equal(route.proxy, url);
      assert.equal(route.remotePort, proxy.port);
      await echoes(stream);
      assert.deepEqual(asked(proxy), requests);
      assert.deepEqual(new Set(proxy.requests.map(({ port }) => port)), new Set([peer.port]));
    });

    test(`${scheme}: an IPv4 address is sent as such`, async (t) => {
      const peer = await listenEcho(t);
      const proxy = await listenSocks(t);
      const { stream } = await dial(
        { host: "198.51.100.7", port: peer.port },
        { proxy: new URL(`${scheme}://127.0.0.1:${proxy.port}`) },
      );
      await echoes(stream);
      assert.deepEqual(asked(proxy), [`${requests[0]?.[0]} ipv4 198.51.100.7`]);
    });

    test(`${scheme}: replies arrive in any chunks, and the bytes after them are kept`, async (t) => {
      for (const slow of [false, true]) {
        const proxy = await listenSocks(t, { slow, behind: Buffer.from("behind"), dead: true });
        const { stream } = await dial(
          { host: "192.0.2.1", port: 80 },
          { proxy: `${scheme}://127.0.0.1:${proxy.port}` },
        );
        let got = "";
        while (got.length < "behind".length) got += String((await once(stream, "data"))[0]);
        assert.equal(got, "behind");
        stream.destroy();
      }
    });

    test(`${scheme}: a WebSocket, by connect and by reconnecting, by the option and by the environment`, async (t) => {
      const server = new WebSocketServer().on("connection", (connection) => void connection.write("hello"));
      t.after(() => end(server));
      const { port } = (await server.listen()) as { port: number };
      const proxy = await listenSocks(t);
      const url = `${scheme}://127.0.0.1:${proxy.port}/`;
      const saved = { ...process.env };
      t.after(() => {
        process.env = saved;
      });
      for (const name of ["HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"]) {
        delete process.env[name];
        delete process.env[name.toLowerCase()];
      }
      process.env["ALL_PROXY"] = url;
      for (const options of [{ proxy: url }, { proxy: "environment" }] satisfies ConnectOptions[]) {
        const connection = await connect(`ws://server.example:${port}/`, { ...options, lookup });
        assert.deepEqual(await take(connection, 1), ["hello"]);
        assert.equal(connection.route?.proxy, url.slice(0, -1));
        connection.terminate();
        const again = reconnecting(`ws://server.example:${port}/`, { ...options, lookup });
        assert.deepEqual(await take(again, 1), ["hello"]);
        again.terminate();
      }
      assert.equal(proxy.requests.length >= 4, true);
    });

    test(`${scheme}: closes early, resets, or never answers`, async (t) => {
      const closing = await listen(t, (socket) => socket.once("data", () => socket.end()));
      const closed = await failure("192.0.2.1", `${scheme}://127.0.0.1:${closing.port}`);
      assert.deepEqual([closed.code, closed.step], ["PROXY_FAILED", "proxy"]);
      const half = await listen(t, (socket) =>
        socket.once("data", () => socket.end(Buffer.of(scheme.includes("4") ? 0 : 5))),
      );
      assert.match(
        (await failure("192.0.2.1", `${scheme}://127.0.0.1:${half.port}`)).message,
        /it closed the connection/,
      );
      const resetting = await listen(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
      assert.equal((await failure("192.0.2.1", `${scheme}://127.0.0.1:${resetting.port}`)).step, "proxy");
      const controller = new AbortController();
      const silent = await listen(t, (socket) => socket.once("data", () => controller.abort()).resume());
      const { signal } = controller;
      const aborted = await failure("192.0.2.1", `${scheme}://127.0.0.1:${silent.port}`, { signal });
      assert.deepEqual([aborted.code, aborted.step], ["ABORTED", "proxy"]);
      await silent.idle();
    });

    test(`${scheme}: does not exist, a connect failure that names it`, async () => {
      const refused = await failure("192.0.2.1", `${scheme}://127.0.0.1:${await closedPort()}`);
      assert.deepEqual([refused.code, refused.step], ["REFUSED", "connect"]);
      assert.match(refused.message, new RegExp(`through ${scheme}://127\\.0\\.0\\.1:\\d+$`));
    });

    test(`${scheme}: a reply that is not SOCKS`, async (t) => {
      for (const answer of ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n"]) {
        const proxy = await listen(t, (socket) => socket.once("data", () => socket.write(answer)));
        const error = await failure("192.0.2.1", `${scheme}://127.0.0.1:${proxy.port}`);
        assert.deepEqual([error.code, error.step], ["PROXY_FAILED", "proxy"]);
        assert.match(error.message, /expected .*, got \d+/);
        await proxy.idle();
      }
    });
  }

  test("a name that does not resolve locally fails at the step resolve, and names the proxy", async (t) => {
    const proxy = await listenSocks(t);
    const nowhere: DialOptions["lookup"] = (_name, _options, callback) =>
      callback(Object.assign(new Error("no"), { code: "ENOTFOUND" }), []);
    for (const scheme of ["socks4", "socks5"]) {
      const error = await failure("nowhere.example", `${scheme}://127.0.0.1:${proxy.port}`, { lookup: nowhere });
      assert.deepEqual([error.code, error.step], ["RESOLVE_FAILED", "resolve"]);
      assert.match(error.message, new RegExp(`nowhere\\.example through ${scheme}:`));
    }
    assert.equal(proxy.requests.length, 0);
  });
});

describe("a SOCKS4 proxy", () => {
  test("receives exactly these bytes", async (t) => {
    const cases = [
      ["socks4", "192.0.2.1", "04010009c0000201", ""],
      ["socks4://user%20%C3%A9@", "192.0.2.1", "04010009c0000201", "user é"],
      ["socks4a", "a.example", "0401000900000001", ""],
      ["socks4a://me@", "a.example", "0401000900000001", "me"],
    ] as const;
    for (const [start, host, head, user] of cases) {
      const proxy = await listen(t, (socket) => socket.once("data", (bytes) => socket.end(bytes)));
      const received = proxy.accepted().then((socket) => once(socket, "data"));
      const url = start.includes("@") ? `${start}127.0.0.1:${proxy.port}` : `${start}://127.0.0.1:${proxy.port}`;
      await failure(host, url);
      const [bytes] = (await received) as [Buffer];
      const name = start.startsWith("socks4a") ? Buffer.from(`${host}\0`) : Buffer.alloc(0);
      const expected = [Buffer.from(head, "hex"), Buffer.from(`${user}\0`), name];
      assert.equal(bytes.toString("hex"), Buffer.concat(expected).toString("hex"));
    }
  });

  test("receives the user id of its URL", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await listenSocks(t);
    for (const scheme of ["socks4", "socks4a"]) {
      const { stream, route } = await dial(
        { host: "127.0.0.1", port: peer.port },
        { proxy: `${scheme}://j%C3%BCrgen%40home@127.0.0.1:${proxy.port}` },
      );
      assert.equal(route.proxy, `${scheme}://127.0.0.1:${proxy.port}`);
      await echoes(stream);
    }
    assert.deepEqual(
      proxy.requests.map(({ user }) => user),
      ["jürgen@home", "jürgen@home"],
    );
  });

  const replies = [
    [91, "PROXY_FAILED", /it answers Rejected/],
    [92, "PROXY_AUTH", /it answers IdentUnreachable/],
    [93, "PROXY_AUTH", /it answers IdentMismatch/],
    [0, "PROXY_FAILED", /an unknown code \(0\)/],
    [89, "PROXY_FAILED", /an unknown code \(89\)/],
    [255, "PROXY_FAILED", /an unknown code \(255\)/],
  ] as const;
  for (const [reply, code, message] of replies) {
    test(`that replies ${reply} is ${code}`, async (t) => {
      const proxy = await listenSocks(t, { reply: () => reply });
      for (const scheme of ["socks4", "socks4a"]) {
        const error = await failure("192.0.2.1", `${scheme}://${SECRET}@127.0.0.1:${proxy.port}`);
        assert.deepEqual([error.code, error.step], [code, "proxy"]);
        assert.match(error.message, message);
        assert.equal(error.tried.proxy, `${scheme}://127.0.0.1:${proxy.port}`);
        await proxy.idle();
      }
    });
  }

  test("that sends only the first two bytes of a refusal is understood", async (t) => {
    const proxy = await listen(t, (socket) => socket.once("data", () => socket.end(Buffer.of(0, 91))));
    assert.match((await failure("192.0.2.1", `socks4://127.0.0.1:${proxy.port}`)).message, /Rejected/);
  });

  test("rejects an IPv6 address: the error names an alternative", async (t) => {
    const proxy = await listenSocks(t);
    for (const scheme of ["socks4", "socks4a"]) {
      for (const host of ["[2001:db8::1]", "::1", "::ffff:192.0.2.1"]) {
        const error = await failure(host, `${scheme}://127.0.0.1:${proxy.port}`);
        assert.deepEqual([error.code, error.step, error.fault], ["INVALID_PROXY", "proxy", "local"]);
        assert.match(error.message, /SOCKS4 has no IPv6 addresses.*socks5/);
      }
      const connection = reconnecting("ws://[2001:db8::1]/", { proxy: `${scheme}://127.0.0.1:${proxy.port}` });
      await assert.rejects(connection.ready(), { code: "INVALID_PROXY" });
    }
    assert.match(
      (await failure("0.0.0.7", `socks4://127.0.0.1:${proxy.port}`)).message,
      /cannot name the address 0\.0\.0\.7/,
    );
    assert.equal(proxy.sockets.size + proxy.requests.length, 0);
  });

  test("whose host has no IPv4 address fails to resolve", async (t) => {
    const proxy = await listenSocks(t);
    const v6: DialOptions["lookup"] = (_name, { family }, callback) =>
      callback(null, family === 4 ? [] : [{ address: "2001:db8::1", family: 6 }]);
    const error = await failure("six.example", `socks4://127.0.0.1:${proxy.port}`, { lookup: v6 });
    assert.deepEqual([error.code, error.step], ["RESOLVE_FAILED", "resolve"]);
    assert.match(error.message, /no IPv4 address/);
  });

  const NO_FAMILY_6 = {
    code: "INVALID_ARGUMENT",
    message: /family is 6, but socks4:.* IPv4 addresses only: use socks5:/,
  };

  test("cannot be combined with family 6 if names are resolved locally", async (t) => {
    const proxy = await listenSocks(t);
    const options = { proxy: `socks4://127.0.0.1:${proxy.port}`, family: 6 } as const;
    await assert.rejects(dial({ host: "six.example", port: 9 }, options), NO_FAMILY_6);
    await assert.rejects(connect("ws://six.example/", options), NO_FAMILY_6);
    assert.throws(() => reconnecting("ws://six.example/", options), NO_FAMILY_6);
    assert.throws(() => reconnecting(() => "ws://six.example/", options), NO_FAMILY_6);
    assert.equal(proxy.sockets.size, 0);
  });

  test("of the environment cannot be combined with family 6 either, and reconnecting gives up", async (t) => {
    const proxy = await listenSocks(t);
    const saved = { ...process.env };
    t.after(() => {
      process.env = saved;
    });
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]) {
      delete process.env[name];
      delete process.env[name.toLowerCase()];
    }
    process.env["ALL_PROXY"] = `socks4://127.0.0.1:${proxy.port}`;
    const options = { proxy: "environment", family: 6 } as const;
    await assert.rejects(connect("ws://six.example/", options), NO_FAMILY_6);
    const connection = reconnecting("ws://six.example/", options);
    await assert.rejects(connection.ready(), { code: "INVALID_OPTIONS", message: NO_FAMILY_6.message });
    assert.equal(connection.status.state, "closed");
    assert.equal(proxy.sockets.size, 0);
  });
});

describe("a SOCKS5 proxy", () => {
  test("receives user name and password", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await listenSocks(t, { credentials: { user: "jürgen", password: SECRET } });
    for (const scheme of ["socks", "socks5", "socks5h"]) {
      const at = `127.0.0.1:${proxy.port}`;
      const { stream } = await dial(
        { host: "127.0.0.1", port: peer.port },
        { proxy: `${scheme}://j%C3%BCrgen:${SECRET}@${at}` },
      );
      await echoes(stream);
      const wrong = await failure("127.0.0.1", `${scheme}://other:${SECRET}@${at}`);
      assert.deepEqual([wrong.code, wrong.step], ["PROXY_AUTH", "proxy"]);
      assert.match(wrong.message, /those given were refused/);
      const none = await failure("127.0.0.1", `${scheme}://${at}`);
      assert.deepEqual([none.code, none.step], ["PROXY_AUTH", "proxy"]);
      assert.match(none.message, /none were given/);
    }
  });

  test("receives an IPv6 address in sixteen bytes", async (t) => {
    const peer = await listenEcho(t);
    const proxy = await listenSocks(t);
    for (const scheme of ["socks", "socks5", "socks5h"]) {
      const { stream } = await dial(
        { host: "[2001:db8::1]", port: peer.port },
        { proxy: `${scheme}://127.0.0.1:${proxy.port}` },
      );
      await echoes(stream);
    }
    assert.deepEqual(new Set(asked(proxy)), new Set(["5 ipv6 20010db8000000000000000000000001"]));
  });

  test("that sends only the first two bytes of a refusal is understood", async (t) => {
    const proxy = await listen(t, (socket) =>
      socket.once("data", () => {
        socket.write(Buffer.of(5, 0));
        socket.once("data", () => socket.end(Buffer.of(5, 2)));
      }),
    );
    const error = await failure("192.0.2.1", `socks5://127.0.0.1:${proxy.port}`);
    assert.deepEqual([error.code, error.step], ["PROXY_DENIED", "proxy"]);
  });
});
