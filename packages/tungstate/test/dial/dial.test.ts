import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, test } from "node:test";
import { dial } from "../../src/dial/dial.ts";
import { interleave, type Lookup } from "../../src/dial/resolve.ts";
import { ConnectError } from "../../src/errors.ts";
import { turns } from "../support/server.ts";
import { until } from "../support/until.ts";
import { closedPort, HAS_IPV6, LOOPBACK, listen, listenEcho, silentPort, temporaryFolder } from "./support/peers.ts";

/** A lookup with these names. */
function names(table: Record<string, readonly string[]>): Lookup {
  return (hostname, _options, callback) => {
    const addresses = (table[hostname] ?? []).map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    setImmediate(() => callback(null, addresses));
  };
}

/** The active timer of the connection from this port, by ss; undefined without ss. */
function socketTimer(localPort: number | undefined): string | undefined {
  const ss = spawnSync("ss", ["-Htno", "sport", "=", `:${localPort}`], { encoding: "utf8" });
  return ss.status === 0 ? (/timer:\((\w+)/.exec(ss.stdout)?.[1] ?? "") : undefined;
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  const error = await promise.then(
    () => assert.fail("it was expected to fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error;
}

describe("dial", () => {
  test("returns a byte stream and its route", async (t) => {
    const peer = await listenEcho(t);
    const { stream, route } = await dial({ host: "127.0.0.1", port: peer.port });
    stream.write("hello");
    assert.equal(String((await once(stream, "data"))[0]), "hello");
    assert.deepEqual(route, {
      interface: LOOPBACK,
      localAddress: "127.0.0.1",
      localPort: stream.localPort,
      remoteAddress: "127.0.0.1",
      remotePort: peer.port,
      path: undefined,
      proxy: undefined,
      httpVersion: "1.1",
      session: undefined,
    });
    stream.destroy();
    await peer.idle();
  });

  test("keeps bytes received before there is a listener", async (t) => {
    const peer = await listen(t, (socket) => socket.end("early"));
    const { stream } = await dial({ host: "127.0.0.1", port: peer.port });
    await until(() => stream.readableLength > 0);
    assert.equal(String((await once(stream, "data"))[0]), "early");
  });

  test("over a Unix socket", async (t) => {
    const path = join(temporaryFolder(t), "socket");
    await listenEcho(t, { path });
    const { stream, route } = await dial({ path });
    stream.write("hello");
    assert.equal(String((await once(stream, "data"))[0]), "hello");
    assert.equal(route.path, path);
    stream.destroy();
    const missing = await failure(dial({ path: `${path}-not` }));
    assert.equal(missing.code, "REFUSED");
    assert.match(missing.message, /there is no such socket, to .*socket-not/);
    for (const options of [
      { localAddress: "127.0.0.1" },
      { interface: LOOPBACK },
      { family: 4 },
      { proxy: "http://p" },
    ] as const) {
      await assert.rejects(dial({ path }, options), { code: "INVALID_ARGUMENT" });
    }
    const plain = await dial({ path }, { proxy: "environment" });
    plain.stream.destroy();
  });

  test("from a local address and port", async (t) => {
    const peer = await listen(t);
    const localPort = await closedPort("127.0.0.2");
    const accepted = peer.accepted();
    const { stream, route } = await dial(
      { host: "127.0.0.1", port: peer.port },
      { localAddress: "127.0.0.2", localPort },
    );
    const socket = await accepted;
    assert.equal(socket.remoteAddress, "127.0.0.2");
    assert.equal(socket.remotePort, localPort);
    assert.deepEqual([route.interface, route.localAddress, route.localPort], [LOOPBACK, "127.0.0.2", localPort]);
    stream.destroy();
  });

  test("from an IPv6 address", { skip: !HAS_IPV6 && "there is no IPv6 here" }, async (t) => {
    const peer = await listen(t, undefined, { host: "::1" });
    const { stream, route } = await dial({ host: "[::1]", port: peer.port }, { localAddress: "::1" });
    assert.deepEqual([route.localAddress, route.remoteAddress], ["::1", "::1"]);
    stream.destroy();
  });

  test("by an interface: its address of the family in use", async (t) => {
    for (const host of HAS_IPV6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
      const peer = await listen(t, undefined, { host });
      const { stream, route } = await dial({ host, port: peer.port }, { interface: LOOPBACK });
      assert.deepEqual([route.interface, route.localAddress], [LOOPBACK, host]);
      stream.destroy();
    }
  });

  test("TCP keep-alive is off, and on if requested", async (t) => {
    const peer = await listen(t);
    const plain = await dial({ host: "127.0.0.1", port: peer.port });
    const kept = await dial({ host: "127.0.0.1", port: peer.port }, { keepAlive: 5_000 });
    const timers = [plain, kept].map(({ route }) => socketTimer(route.localPort));
    if (timers.includes(undefined))
      t.diagnostic("ss (Debian: iproute2) is missing: only that it connects was looked at");
    else assert.deepEqual(timers, ["", "keepalive"]);
    plain.stream.destroy();
    kept.stream.destroy();
  });

  test("all addresses are tried, alternating families, and every failure is reported", async (t) => {
    const port = await closedPort();
    const lookup = names({ "many.example": ["127.0.0.1", "127.0.0.2", "::1"] });
    const error = await failure(dial({ host: "many.example", port }, { lookup }));
    assert.equal(error.code, "REFUSED");
    assert.equal(error.attempts.length, 3);
    const tried = error.attempts.map((attempt) => (attempt as ConnectError).tried.remoteAddress);
    assert.deepEqual(tried, ["127.0.0.1", "::1", "127.0.0.2"]);
    assert.match(
      error.message,
      /^the host refused the connection: 3 addresses failed: REFUSED to 127\.0\.0\.1:\d+ \(many\.example\); /,
    );
    t.diagnostic(error.message);
  });

  test("the next address is tried in parallel to one that does not answer", async (t) => {
    const port = await silentPort(t);
    const lookup = names({ "slow.example": ["127.0.0.1", "127.0.0.2"] });
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const failing = failure(dial({ host: "slow.example", port }, { lookup, attemptDelay: 5, connectTimeout: 200 }));
    await turns(5); // the first address was tried
    t.mock.timers.tick(5);
    await turns(5); // the second one refused
    t.mock.timers.tick(195);
    const error = await failing;
    assert.equal(error.code, "CONNECT_TIMEOUT");
    assert.deepEqual(
      error.attempts.map(({ code }) => code),
      ["REFUSED"],
    );
    assert.match(error.message, /connectTimeout is 200 ms, after REFUSED/);
  });

  test("an address that answers wins over one that does not", async (t) => {
    const port = await silentPort(t);
    const peer = await listen(t, undefined, { host: "127.0.0.3", port });
    const lookup = names({ "slow.example": ["127.0.0.1", "127.0.0.3"] });
    const { stream, route } = await dial({ host: "slow.example", port }, { lookup, attemptDelay: 5 });
    assert.equal(route.remoteAddress, "127.0.0.3");
    stream.destroy();
    await peer.idle();
  });

  test("an abort at any step leaves no socket behind", async (t) => {
    const port = await silentPort(t);
    const peer = await listen(t);
    const resolving: Lookup = () => undefined;
    const cases = [
      dial({ host: "never.example", port: 1 }, { lookup: resolving, signal: AbortSignal.timeout(10) }),
      dial({ host: "127.0.0.1", port }, { signal: AbortSignal.timeout(10) }),
    ];
    for (const dialing of cases) assert.equal((await failure(dialing)).code, "TIMEOUT");

    const reason = new Error("changed my mind");
    const already = await failure(dial({ host: "127.0.0.1", port: peer.port }, { signal: AbortSignal.abort(reason) }));
    assert.equal(already.code, "ABORTED");
    assert.equal(already.cause, reason);

    // At any tick while it connects: everything opened is closed again.
    for (let turns = 0; turns < 6; turns++) {
      const controller = new AbortController();
      const dialing = dial({ host: "localhost", port: peer.port }, { signal: controller.signal, family: 4 });
      const outcome = dialing.then(
        ({ stream }) => stream.destroy(),
        (error: unknown) => assert.equal((error as ConnectError).code, "ABORTED"),
      );
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      controller.abort();
      await outcome;
    }
    await turns(5); // a completed connection is accepted by now
    await peer.idle();
  });
});

describe("the order of addresses", () => {
  const order = (...addresses: readonly string[]): string[] => {
    const resolved = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }) as const);
    return interleave(resolved).map(({ address }) => address);
  };

  test("families alternate, the resolver's first address stays first", () => {
    assert.deepEqual(order("::1", "::2", "::3", "0.0.0.1", "0.0.0.2"), ["::1", "0.0.0.1", "::2", "0.0.0.2", "::3"]);
    assert.deepEqual(order("0.0.0.1", "::1", "::2", "::3"), ["0.0.0.1", "::1", "::2", "::3"]);
    assert.deepEqual(order("::1", "::2"), ["::1", "::2"]);
    assert.deepEqual(order("0.0.0.1"), ["0.0.0.1"]);
    assert.deepEqual(order(), []);
  });
});

describe("errors of dialing", () => {
  test("refused", async () => {
    const port = await closedPort();
    const error = await failure(dial({ host: "127.0.0.1", port }, { localAddress: "127.0.0.2" }));
    assert.deepEqual([error.code, error.step, error.fault], ["REFUSED", "connect", "transport"]);
    assert.equal(error.message, `the host refused the connection: to 127.0.0.1:${port} from 127.0.0.2`);
    assert.equal((error.cause as NodeJS.ErrnoException).code, "ECONNREFUSED");
    assert.deepEqual(
      [error.tried.remoteAddress, error.tried.remotePort, error.tried.localAddress],
      ["127.0.0.1", port, "127.0.0.2"],
    );
  });

  test("an address that the machine does not have: a bind failure, although Node reports it from connect()", async () => {
    const error = await failure(dial({ host: "127.0.0.1", port: 9 }, { localAddress: "203.0.113.7" }));
    assert.deepEqual([error.code, error.step], ["ADDRESS_NOT_LOCAL", "bind"]);
    assert.match(error.message, /to 127\.0\.0\.1:9 from 203\.0\.113\.7/);
    if (!HAS_IPV6) return;
    const six = await failure(dial({ host: "::1", port: 9 }, { localAddress: "2001:db8::7" }));
    assert.deepEqual([six.code, six.step], ["ADDRESS_NOT_LOCAL", "bind"]);
  });

  test("a local port that is in use", async (t) => {
    const peer = await listen(t);
    const other = await listen(t);
    const listened = await failure(
      dial({ host: "127.0.0.1", port: peer.port }, { localAddress: "127.0.0.1", localPort: other.port }),
    );
    assert.deepEqual([listened.code, listened.step], ["ADDRESS_IN_USE", "bind"]);
    // The same two ends twice: bind() permits it, connect() does not.
    const { stream } = await dial({ host: "127.0.0.1", port: peer.port }, { localAddress: "127.0.0.1" });
    const twice = await failure(
      dial({ host: "127.0.0.1", port: peer.port }, { localAddress: "127.0.0.1", localPort: stream.localPort }),
    );
    assert.deepEqual([twice.code, twice.step], ["ADDRESS_IN_USE", "bind"]);
    stream.destroy();
  });

  test("no route from this local address", async () => {
    const error = await failure(dial({ host: "203.0.113.1", port: 9 }, { localAddress: "127.0.0.1" }));
    assert.deepEqual([error.code, error.step], ["UNREACHABLE", "connect"]);
  });

  test("no such interface, with the existing ones", async () => {
    const error = await failure(dial({ host: "127.0.0.1", port: 9 }, { interface: "nope0" }));
    assert.deepEqual([error.code, error.step], ["NO_SUCH_INTERFACE", "bind"]);
    assert.match(error.message, /^no such network interface: "nope0"; there are .*\blo\b/);
  });

  test("a link-local address without its scope, or with an unknown one", async () => {
    const remote = await failure(dial({ host: "fe80::1", port: 9 }));
    assert.deepEqual([remote.code, remote.step], ["UNREACHABLE", "connect"]);
    assert.match(remote.message, /needs its scope, as in fe80::1%eth0/);
    const local = await failure(dial({ host: "::1", port: 9 }, { localAddress: "fe80::1" }));
    assert.deepEqual([local.code, local.step], ["BIND_FAILED", "bind"]);
    for (const [host, localAddress] of [["fe80::1%nope0"], ["::1", "fe80::1%nope0"]] as const) {
      const unknown = await failure(dial({ host, port: 9 }, { localAddress }));
      assert.deepEqual([unknown.code, unknown.step], ["NO_SUCH_INTERFACE", "bind"]);
      assert.match(unknown.message, /"nope0"; there are /);
    }
  });

  test("a name that does not resolve, or not to the family needed", async () => {
    const missing: Lookup = (_name, _options, callback) => {
      callback(Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" }), "");
    };
    const cases: (readonly [Lookup | undefined, string, 4 | 6 | undefined, RegExp])[] = [
      [missing, "missing.example", undefined, /no such host, to missing\.example:9$/],
      [missing, "missing.example", 6, /no such host \(IPv6 asked for\)/],
      [names({}), "empty.example", undefined, /lookup gave no address/],
      [names({ "four.example": ["127.0.0.1"] }), "four.example", 6, /no IPv6 address/],
      [
        names({ "odd.example": ["one.example"] }),
        "odd.example",
        undefined,
        /lookup gave "one\.example", no IP address/,
      ],
      [undefined, "127.0.0.1", 6, /an IPv6 address is needed, this is an IPv4 address/],
      [
        () => {
          throw new Error("a mistake");
        },
        "thrown.example",
        undefined,
        /lookup threw/,
      ],
    ];
    for (const [lookup, host, family, message] of cases) {
      const error = await failure(dial({ host, port: 9 }, { lookup, family }));
      assert.deepEqual([error.code, error.step], ["RESOLVE_FAILED", "resolve"]);
      assert.match(error.message, message);
    }
  });

  test("timeout: which step took too long", async (t) => {
    const resolving = await failure(
      dial({ host: "never.example", port: 9 }, { lookup: () => undefined, connectTimeout: 10 }),
    );
    assert.deepEqual([resolving.code, resolving.step], ["RESOLVE_TIMEOUT", "resolve"]);
    const port = await silentPort(t);
    const connecting = await failure(dial({ host: "127.0.0.1", port }, { connectTimeout: 10 }));
    assert.deepEqual([connecting.code, connecting.step], ["CONNECT_TIMEOUT", "connect"]);
    assert.match(connecting.message, /connectTimeout is 10 ms, to 127\.0\.0\.1:/);
  });

  test("invalid options, before anything is tried", async () => {
    const wrong = [
      [{ localAddress: "localhost" }, /localAddress must be an IPv4 or IPv6 address, got "localhost"/],
      [{ localPort: 0 }, /localPort must be an integer from 1 to 65535, got 0/],
      [{ localPort: 65_536 }, /localPort/],
      [{ family: 5 as 4 }, /family must be 4 or 6, got 5/],
      [
        { family: 6, localAddress: "127.0.0.1" },
        /localAddress must be an IPv6 address when family is 6, got 127\.0\.0\.1/,
      ],
      [{ bindToDevice: true }, /bindToDevice needs the option interface/],
      [{ interface: "lo", localAddress: "127.0.0.1" }, /leave one out, or add bindToDevice/],
      [{ interface: [] }, /interface must be at least one name/],
      [{ interface: "" }, /interface must be the name of an interface/],
      [{ interfaceStrategy: "random" as "race" }, /interfaceStrategy must be "ordered" or "race"/],
      [{ connectTimeout: -1 }, /connectTimeout/],
      [{ connectTimeout: 2 ** 31 }, /connectTimeout/],
      [{ attemptDelay: 0.5 }, /attemptDelay/],
      [{ keepAlive: 0 }, /keepAlive/],
      [{ tcpUserTimeout: 0 }, /tcpUserTimeout/],
    ] as const;
    for (const [options, message] of wrong) {
      await assert.rejects(dial({ host: "127.0.0.1", port: 9 }, options), { code: "INVALID_ARGUMENT", message });
    }
    const targets = ["", "a b", "a\r\nb", "a/b", "a@b", "a:b", "[::1", "\u00e4.example", "x".repeat(256)];
    for (const host of targets) {
      await assert.rejects(dial({ host, port: 9 }), { code: "INVALID_ARGUMENT" }, JSON.stringify(host));
    }
    for (const port of [0, 65_536, 1.5, Number.NaN]) {
      await assert.rejects(dial({ host: "127.0.0.1", port }), { code: "INVALID_ARGUMENT" });
    }
    for (const path of ["", "\0", "a\0b", "\0a\0b"]) await assert.rejects(dial({ path }), { code: "INVALID_ARGUMENT" });
  });
});
