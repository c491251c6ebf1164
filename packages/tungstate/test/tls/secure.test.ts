import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Duplex, type Readable, type Writable } from "node:stream";
import { after, describe, test, type TestContext } from "node:test";
import { createServer, type TLSSocket, type TlsOptions as ServerOptions } from "node:tls";
import { ConnectError } from "../../src/errors.ts";
import { pinOf, type TlsOptions } from "../../src/tls/options.ts";
import { secure, type Secured, type SecureOptions } from "../../src/tls/secure.ts";
import { TlsSessionCache } from "../../src/tls/session-cache.ts";
import { closedPort, listen } from "../dial/support/peers.ts";
import { turns } from "../support/server.ts";
import { Authority } from "./support/certificates.ts";

const authority = new Authority();
const good = authority.issue();
after(() => authority.remove());

interface TlsPeer {
  readonly port: number;
  /** The accepted connections, after their handshakes. */
  readonly accepted: readonly TLSSocket[];
}

async function listenTls(t: TestContext, options: ServerOptions = {}): Promise<TlsPeer> {
  const accepted: TLSSocket[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ key: good.key, cert: good.cert, ...options }, (socket) => {
    accepted.push(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { port: (server.address() as AddressInfo).port, accepted };
}

/** Connects to localhost, verified by the test's CA, without keeping sessions by default. */
async function connectTls(port: number, options: Partial<SecureOptions> = {}): Promise<Secured> {
  const stream = connect(port, "127.0.0.1");
  return await secure(stream, { host: "localhost", port, ca: authority.cert, sessionCache: false, ...options });
}

async function failure(port: number, options: Partial<SecureOptions> = {}): Promise<ConnectError> {
  const stream = connect(port, "127.0.0.1");
  const error = await secure(stream, {
    host: "localhost",
    port,
    ca: authority.cert,
    sessionCache: false,
    ...options,
  }).then(
    ({ stream: secured }) => {
      secured.destroy();
      return assert.fail("it was expected to fail");
    },
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  assert.equal(stream.destroyed, true, "a stream that could not be secured is destroyed");
  return error;
}

async function echoes(stream: Duplex): Promise<void> {
  stream.write("hello");
  assert.equal(String((await once(stream, "data"))[0]), "hello");
}

/** A stream that is not a socket: TLS must use its methods. */
function wrap(socket: Socket): Duplex {
  const wrapped = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, callback) => socket.write(chunk, callback),
    final: (callback) => socket.end(callback),
    destroy: (error, callback) => {
      socket.destroy();
      callback(error);
    },
  });
  socket.on("data", (chunk) => {
    if (!wrapped.push(chunk)) socket.pause();
  });
  socket.on("end", () => wrapped.push(null));
  return wrapped;
}

describe("secure", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    test(`${version}: the negotiated parameters`, async (t) => {
      const peer = await listenTls(t, { maxVersion: version, ALPNProtocols: ["h2", "http/1.1"] });
      const { stream, info } = await connectTls(peer.port);
      assert.deepEqual(
        { ...info, cipher: info.cipher.startsWith("TLS_") },
        {
          protocol: version,
          cipher: true,
          alpn: "http/1.1",
          servername: "localhost",
          resumed: false,
          authorized: true,
        },
      );
      assert.equal(stream.encrypted, true);
      await echoes(stream);
      assert.equal(peer.accepted[0]?.alpnProtocol, "http/1.1");
      stream.destroy();
    });
  }

  test("TLS 1.1 is disabled by default", async (t) => {
    const peer = await listenTls(t, { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" });
    const error = await failure(peer.port);
    assert.deepEqual([error.code, error.step], ["TLS_PROTOCOL", "tls"]);
    const old: TlsOptions = { minVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    const { stream, info } = await connectTls(peer.port, old);
    assert.equal(info.protocol, "TLSv1.1");
    stream.destroy();
  });

  test("no cipher suite in common", async (t) => {
    const peer = await listenTls(t, { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" });
    const error = await failure(peer.port, { ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384", maxVersion: "TLSv1.2" });
    assert.equal(error.code, "TLS_PROTOCOL");
  });

  test("an IP address is verified, and not sent as a name", async (t) => {
    const peer = await listenTls(t);
    for (const host of ["127.0.0.1", "[::1]", "::1", "0:0::1", "::1%lo"]) {
      const { stream, info } = await connectTls(peer.port, { host });
      assert.equal(info.servername, undefined);
      await echoes(stream);
      assert.equal(peer.accepted.at(-1)?.servername, false);
      stream.destroy();
    }
    for (const host of ["127.0.0.2", "::2", "::ffff:127.0.0.1"]) {
      assert.equal((await failure(peer.port, { host })).code, "TLS_HOST_MISMATCH", host);
    }
    const named = await listenTls(t, authority.issue({ names: "DNS:localhost" }));
    assert.equal((await failure(named.port, { host: "::1" })).code, "TLS_HOST_MISMATCH");
  });

  test("servername is requested and verified", async (t) => {
    const other = authority.issue({ names: "DNS:other.example" });
    const peer = await listenTls(t, {
      SNICallback: (name, callback) => {
        assert.equal(name, "other.example");
        import("node:tls").then(({ createSecureContext }) => callback(null, createSecureContext(other)), callback);
      },
    });
    const { stream, info } = await connectTls(peer.port, { host: "127.0.0.1", servername: "other.example" });
    assert.equal(info.servername, "other.example");
    stream.destroy();
  });

  test("a client certificate", async (t) => {
    const mine = authority.issue({ names: "DNS:me", client: true });
    const peer = await listenTls(t, { ca: authority.cert, requestCert: true, maxVersion: "TLSv1.2" });
    const { stream } = await connectTls(peer.port, { key: mine.key, cert: mine.cert });
    await echoes(stream);
    assert.equal(peer.accepted[0]?.authorized, true);
    stream.destroy();
  });

  test("over any byte stream", async (t) => {
    const peer = await listenTls(t);
    const socket = connect(peer.port, "127.0.0.1");
    const wrapped = wrap(socket);
    const { stream, info } = await secure(wrapped, { host: "localhost", ca: authority.cert, sessionCache: false });
    assert.equal(info.authorized, true);
    await echoes(stream);
    stream.destroy();
    await once(socket, "close");
  });

  test("over TLS", async (t) => {
    const inner = await listenTls(t);
    const outer = createServer({ key: good.key, cert: good.cert }, (socket) => {
      const onward = connect(inner.port, "127.0.0.1");
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on("error", () => undefined);
    });
    outer.listen(0, "127.0.0.1");
    await once(outer, "listening");
    t.after(() => outer.close());
    const first = await connectTls((outer.address() as AddressInfo).port);
    const second = await secure(first.stream, { host: "localhost", ca: authority.cert, sessionCache: false });
    await echoes(second.stream);
    second.stream.destroy();
  });
});

describe("reasons to reject a certificate", () => {
  const cases = [
    [
      "another host",
      () => authority.issue({ names: "DNS:other.example" }),
      "TLS_HOST_MISMATCH",
      /"Host: localhost\. is not in/,
    ],
    ["being self-signed", () => authority.selfSigned(), "TLS_SELF_SIGNED", /DEPTH_ZERO_SELF_SIGNED_CERT/],
    [
      "having expired",
      () => authority.issue({ from: "20200101000000Z", to: "20200201000000Z" }),
      "TLS_EXPIRED",
      /CERT_HAS_EXPIRED, to localhost:/,
    ],
    [
      "not being valid yet",
      () => authority.issue({ from: "20980101000000Z", to: "20990101000000Z" }),
      "TLS_NOT_YET_VALID",
      /CERT_NOT_YET_VALID/,
    ],
    ["not being for servers", () => authority.issue({ client: true }), "TLS_CERTIFICATE", /INVALID_PURPOSE/],
  ] as const;
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    for (const [why, make, code, message] of cases) {
      test(`${why} (${version})`, async (t) => {
        const { key, cert } = make();
        const peer = await listenTls(t, { key, cert, maxVersion: version });
        const error = await failure(peer.port);
        assert.deepEqual([error.code, error.step, error.fault], [code, "tls", "peer"]);
        assert.match(error.message, message);
        assert.ok(error.cause instanceof Error);
        const { stream, info } = await connectTls(peer.port, { rejectUnauthorized: false });
        assert.equal(info.authorized, false);
        stream.destroy();
      });
    }
  }

  test("an unknown authority, or another one than the given", async (t) => {
    const peer = await listenTls(t);
    assert.equal((await failure(peer.port, { ca: undefined })).code, "TLS_UNKNOWN_AUTHORITY");
    const other = new Authority("another authority");
    t.after(() => other.remove());
    assert.equal((await failure(peer.port, { ca: other.cert })).code, "TLS_UNKNOWN_AUTHORITY");
    const withChain = await listenTls(t, { cert: good.cert + authority.cert });
    assert.equal((await failure(withChain.port, { ca: other.cert })).code, "TLS_UNKNOWN_AUTHORITY");
  });

  test("checkServerIdentity", async (t) => {
    const peer = await listenTls(t);
    const error = await failure(peer.port, {
      checkServerIdentity: (host) => new Error(`not today, ${host}`),
    });
    assert.deepEqual([error.code, error.step], ["TLS_FAILED", "tls"]);
    assert.match(error.message, /not today, localhost/);
  });
});

describe("pins", () => {
  const pin = pinOf(good.cert);

  test("a pin is the hash that openssl gives", async () => {
    const hash = await openssl(["x509", "-in", good.certFile, "-pubkey", "-noout"])
      .then((pem) => openssl(["pkey", "-pubin", "-outform", "der"], pem))
      .then((der) => openssl(["dgst", "-sha256", "-binary"], der))
      .then((digest) => digest.toString("base64"));
    assert.equal(pin, `sha256/${hash}`);
  });

  test("one of several is enough; with and without sha256/", async (t) => {
    const peer = await listenTls(t);
    const none = `sha256/${Buffer.alloc(32).toString("base64")}`;
    for (const pins of [[pin], [none, pin], [pin.slice("sha256/".length)]]) {
      const { stream } = await connectTls(peer.port, { pins });
      stream.destroy();
    }
    const error = await failure(peer.port, { pins: [none] });
    assert.deepEqual([error.code, error.step], ["TLS_PIN_MISMATCH", "tls"]);
    assert.ok(error.message.includes(pin), "the error tells the key that came");
  });

  test("a pinned key does not replace a valid certificate", async (t) => {
    const { key, cert } = authority.selfSigned();
    const peer = await listenTls(t, { key, cert });
    assert.equal((await failure(peer.port, { pins: [pinOf(cert)] })).code, "TLS_SELF_SIGNED");
    // This accepts a self-signed certificate, and only that one.
    const { stream } = await connectTls(peer.port, { pins: [pinOf(cert)], ca: cert });
    stream.destroy();
  });

  test("other pins do not find sessions of previous ones", async (t) => {
    const peer = await listenTls(t);
    const sessionCache = new TlsSessionCache();
    const first = await connectTls(peer.port, { sessionCache, pins: [pin] });
    await echoes(first.stream);
    first.stream.destroy();
    assert.ok(sessionCache.size > 0);
    const error = await failure(peer.port, { sessionCache, pins: [Buffer.alloc(32, 1).toString("base64")] });
    assert.equal(error.code, "TLS_PIN_MISMATCH");
    const again = await connectTls(peer.port, { sessionCache, pins: [pin] });
    assert.equal(again.info.resumed, true);
    again.stream.destroy();
  });

  test("no session is kept of a peer whose key is not pinned", async (t) => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const peer = await listenTls(t, { maxVersion });
      const sessionCache = new TlsSessionCache();
      await failure(peer.port, { sessionCache, pins: [Buffer.alloc(32, 1).toString("base64")] });
      await turns(5); // reads everything after the handshake
      assert.equal(sessionCache.size, 0);
    }
  });
});

describe("an incomplete TLS handshake", () => {
  test("a peer that does not use TLS", async (t) => {
    const peer = await listen(t, (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const error = await failure(peer.port);
    assert.deepEqual([error.code, error.step], ["TLS_PROTOCOL", "tls"]);
    assert.match(error.message, /what came is no TLS/);
  });

  test("a peer that closes or resets", async (t) => {
    const closing = await listen(t, (socket) => socket.once("data", () => socket.end()));
    assert.equal((await failure(closing.port)).code, "TLS_CLOSED");
    const resetting = await listen(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
    assert.equal((await failure(resetting.port)).code, "TLS_CLOSED");
    const gone = connect(await closedPort(), "127.0.0.1");
    await assert.rejects(secure(gone, { host: "localhost" }), { step: "tls" });
  });

  test("a peer that never answers", async (t) => {
    const peer = await listen(t);
    const error = await failure(peer.port, { timeout: 20 });
    assert.deepEqual([error.code, error.step], ["TLS_TIMEOUT", "tls"]);
    await peer.idle();
  });

  test("an abort", async (t) => {
    const peer = await listen(t);
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    setImmediate(() => controller.abort(reason));
    const error = await failure(peer.port, { signal: controller.signal });
    assert.deepEqual([error.code, error.step, error.cause], ["ABORTED", "tls", reason]);
    assert.equal((await failure(peer.port, { signal: AbortSignal.abort() })).code, "ABORTED");
    assert.equal((await failure(peer.port, { signal: AbortSignal.timeout(5) })).code, "TIMEOUT");
    await peer.idle();
  });

  test("a server without a common protocol is reported", async (t) => {
    const peer = await listenTls(t, { ALPNProtocols: ["h2"] });
    const error = await failure(peer.port);
    assert.deepEqual([error.code, error.step], ["TLS_ALPN", "tls"]);
  });

  test("over a stream that reports destruction with an error", async (t) => {
    const peer = await listenTls(t);
    const failures: [Partial<SecureOptions>, string][] = [
      [{ ca: undefined }, "TLS_UNKNOWN_AUTHORITY"],
      [{ pins: [Buffer.alloc(32).toString("base64")] }, "TLS_PIN_MISMATCH"],
      [{ host: "other.example" }, "TLS_HOST_MISMATCH"],
      [{ signal: AbortSignal.abort() }, "ABORTED"],
      [{ pins: [] }, "INVALID_ARGUMENT"],
    ];
    for (const [options, code] of failures) {
      const socket = connect(peer.port, "127.0.0.1");
      socket.on("error", () => undefined);
      const stream = Duplex.from({ readable: socket, writable: socket });
      const securing = secure(stream, { host: "localhost", ca: authority.cert, sessionCache: false, ...options });
      await assert.rejects(securing, { code });
      assert.equal(stream.destroyed, true);
      if (!socket.closed) await new Promise((resolve) => socket.on("close", resolve));
    }
  });

  test("invalid options", async () => {
    const wrong = [
      [{ pins: [] }, /pins must be at least one pin/],
      [{ pins: ["sha256/short"] }, /pins must be `sha256\/` and the 44 characters/],
      [{ alpnProtocols: ["h2"] }, /alpnProtocols must be a list with "http\/1\.1", got \["h2"\]/],
      [{ servername: "" }, /servername must be a host name/],
      [{ timeout: -1 }, /timeout must be an integer from 0/],
      [{ host: "" }, /host must be a host name/],
      [{ ca: "nonsense", key: "nonsense" }, /tls has an invalid option/],
      [{ ciphers: "NO-SUCH-CIPHER" }, /tls has an invalid option/],
    ] as const;
    for (const [options, message] of wrong) {
      const stream = connect(9, "127.0.0.1");
      stream.on("error", () => undefined);
      await assert.rejects(secure(stream, { host: "localhost", ...options }), { code: "INVALID_ARGUMENT", message });
      assert.equal(stream.destroyed, true);
    }
  });
});

function openssl(args: readonly string[], input: string | Buffer = ""): Promise<Buffer> {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn("openssl", args, {
    stdio: ["pipe", "pipe", "ignore"],
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  return once(child, "close").then(() => Buffer.concat(chunks));
}

describe("openssl s_server", () => {
  async function serve(
    t: TestContext,
    args: readonly string[],
  ): Promise<{ port: number; child: ChildProcessByStdio<Writable, Readable, Readable> }> {
    const port = await closedPort();
    const child = spawn(
      "openssl",
      ["s_server", "-accept", `127.0.0.1:${port}`, "-key", good.keyFile, "-cert", good.certFile, ...args],
      { stdio: ["pipe", "pipe", "pipe"] },
    );
    const ended = once(child, "exit");
    t.after(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    let said = "";
    while (!said.includes("ACCEPT")) said += String((await once(child.stdout, "data"))[0]);
    return { port, child };
  }

  for (const version of ["-tls1_2", "-tls1_3"]) {
    test(`${version}: a session is resumed`, async (t) => {
      const { port } = await serve(t, [version, "-rev", "-alpn", "http/1.1"]);
      const sessionCache = new TlsSessionCache();
      const resumed: boolean[] = [];
      for (let connection = 0; connection < 3; connection++) {
        const { stream, info } = await connectTls(port, { sessionCache });
        resumed.push(info.resumed);
        assert.equal(info.alpn, "http/1.1");
        stream.write("olleh\n");
        assert.equal(String((await once(stream, "data"))[0]), "hello\n");
        stream.destroy();
      }
      assert.deepEqual(resumed, [false, true, true]);
    });
  }

  test("a client certificate from an unknown authority", async (t) => {
    const { port } = await serve(t, ["-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", authority.certFile]);
    const other = authority.selfSigned();
    const error = await failure(port, { key: other.key, cert: other.cert });
    assert.deepEqual([error.code, error.step, error.fault], ["TLS_CLIENT_CERTIFICATE", "tls", "local"]);
    const none = await failure(port);
    assert.deepEqual([none.code, none.step], ["TLS_PROTOCOL", "tls"]);
    assert.match(none.message, /client certificate/);
  });

  test("its request for renegotiation is rejected, and ends the connection", async (t) => {
    const { port, child } = await serve(t, ["-tls1_2"]);
    const { stream } = await connectTls(port);
    await echo(stream, child);
    child.stdin.write("r\n"); // renegotiate
    const [error] = (await once(stream, "error")) as [NodeJS.ErrnoException];
    assert.match(error.code ?? "", /HANDSHAKE_FAILURE|NO_RENEGOTIATION/);
  });
});

/** Data written on either side of s_server arrives on the other. */
async function echo(stream: Duplex, child: ChildProcessByStdio<Writable, Readable, Readable>): Promise<void> {
  child.stdin.write("hello\n");
  assert.equal(String((await once(stream, "data"))[0]), "hello\n");
}
