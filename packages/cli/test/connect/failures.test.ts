import assert from "node:assert/strict";
import { type Server as NetServer } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { WebSocketServer } from "tungstate";
import { selfSigned } from "../support/certificate.ts";
import { Program, Server } from "../support/program.ts";
import { listen, portOf } from "../support/servers.ts";

describe("tungstate connect prints the failed step in one line", { concurrency: 3 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-cli-"));
  const { certFile, cert, key } = selfSigned(folder);
  const notACertificate = join(folder, "text.pem");
  writeFileSync(notACertificate, "nothing\n");
  let plain: Server;
  let closed = 0; // a port without a listener
  let silent: NetServer;
  let http: NetServer;
  let moved: NetServer;
  let rude: NetServer;
  let tls: WebSocketServer;
  let wss = "";
  before(async () => {
    plain = await Server.start("--log-level", "silent");
    const unused = await listen(() => undefined);
    closed = portOf(unused);
    unused.close();
    silent = await listen(() => undefined);
    rude = await listen((_write, end) => end());
    http = await listen((write, end) => {
      write("HTTP/1.1 302 Found\r\nLocation: /else\u001b\r\nContent-Length: 0\r\n\r\n");
      end();
    });
    moved = await listen((write) => write("HTTP/1.1 302\r\nLocation:\r\n /caf\u00e9\r\nContent-Length: 0\r\n\r\n"));
    tls = new WebSocketServer();
    tls.on("connection", (connection) => void connection.close(1000));
    const address = await tls.listen({ port: 0, tls: { cert, key } });
    wss = `wss://localhost:${typeof address === "object" ? address.port : 0}/`;
  });
  after(async () => {
    await plain[Symbol.asyncDispose]();
    for (const server of [silent, http, moved, rude]) server.close();
    await tls.close();
    rmSync(folder, { recursive: true });
  });

  const cases: [title: string, args: () => string[], line: RegExp][] = [
    ["no URL", () => ["nonsense"], /^usage: .*expected something like wss:.* got "nonsense"/],
    ["a scheme of something else", () => ["ftp://localhost/"], /^usage: .*got ftp:/],
    ["a fragment", () => ["ws://localhost/#a"], /^usage: .*fragment/],
    ["resolve", () => ["ws://nothing.invalid/"], /^resolve: /],
    ["bind, an interface", () => ["--interface", "nope0", plain.ws("/echo")], /^bind: .*"nope0"; there are .*\blo\b/],
    ["bind, an address", () => ["--local-address", "192.0.2.250", plain.ws("/echo")], /^bind: .*192\.0\.2\.250/],
    ["bind, a wrong address", () => ["--local-address", "me", plain.ws("/echo")], /^usage: .*localAddress/],
    ["bind, a device without its name", () => ["--bind-device", plain.ws("/echo")], /^usage: --bind-device requires/],
    ["HTTP/2 of a server without it", () => ["--http2", "--ca", certFile, wss], /^TLS: .*\(HTTP2_NOT_SUPPORTED\)/],
    ["HTTP/2 of a port without TLS", () => ["--http2", plain.ws("/echo")], /^settings: .*\(HTTP2_NOT_SUPPORTED\)/],
    ["connect", () => [`ws://127.0.0.1:${closed}/`], /^connect: .*refused/],
    ["proxy", () => ["--proxy", `http://127.0.0.1:${portOf(rude)}`, plain.ws("/echo")], /^proxy: /],
    [
      "proxy, SOCKS4a",
      () => ["--proxy", `socks4a://me@127.0.0.1:${portOf(rude)}`, plain.ws("/echo")],
      /^proxy: .*closed/,
    ],
    ["proxy, SOCKS4 and IPv6", () => ["--proxy", "socks4://127.0.0.1", "ws://[::1]/"], /^proxy: .*no IPv6/],
    ["proxy, a header without it", () => ["--proxy-header", "A: b", plain.ws("/")], /^usage: --proxy-header requires/],
    [
      "proxy, a header that cannot be sent",
      () => ["--proxy", `http://127.0.0.1:${closed}`, "--proxy-header", "A b: c", plain.ws("/")],
      /^usage: .*each name of proxyHeaders must be a token/,
    ],
    [
      "proxy, headers for SOCKS",
      () => ["--proxy", `socks://127.0.0.1:${closed}`, "--proxy-header", "A: b", plain.ws("/")],
      /^usage: .*proxyHeaders need a proxy with http: or https:/,
    ],
    ["proxy, a wrong one", () => ["--proxy", "gopher://a", plain.ws("/echo")], /^proxy: .*gopher/],
    ["TLS, a plain port", () => [plain.ws("/echo").replace("ws:", "wss:")], /^TLS: /],
    ["TLS, an unknown authority", () => [wss], /^TLS: .*self-signed/],
    ["TLS, another authority", () => ["--ca", "/etc/ssl/certs/missing.pem", wss], /^usage: --ca .*no such file/],
    ["TLS, a file without certificates", () => ["--ca", notACertificate, wss], /^usage: --ca .*a certificate in PEM/],
    ["handshake, 404", () => [plain.ws("/nope")], /^handshake: the server answered 404 Not Found/],
    ["handshake, 403", () => ["--origin", "http://b.example", plain.ws("/ws")], /^handshake: .* 403 Forbidden/],
    ["handshake, a redirect", () => [`ws://127.0.0.1:${portOf(http)}/`], /^handshake: /],
    [
      "handshake, a redirect to UTF-8",
      () => [`ws://127.0.0.1:${portOf(moved)}/`],
      /^handshake: the server answered 302: Location \/caf\u00e9$/,
    ],
    ["handshake, closed", () => [`ws://127.0.0.1:${portOf(rude)}/`], /^handshake: /],
    [
      "handshake, no answer",
      () => ["--timeout", "4", `ws://127.0.0.1:${portOf(silent)}/`],
      /^handshake: the connection was not established in time: timeout is 4000 ms, to 127\.0\.0\.1:\d+ .*\(TIMEOUT\)$/,
    ],
    [
      "--simulate, a typo",
      () => ["--simulate", "lateny=1ms", plain.ws("/ws")],
      /^usage: --simulate: .*must be one of latency/,
    ],
    [
      "--simulate, a value",
      () => ["--simulate", "latency=soon", plain.ws("/ws")],
      /^usage: --simulate: .*latency must be .*"soon"/,
    ],
    ["a network that breaks", () => ["--simulate", "reset=40", plain.ws("/ws")], /^handshake: .*closed/],
    [
      "proxy, no answer",
      () => ["--timeout", "4", "--proxy", `http://127.0.0.1:${portOf(silent)}`, plain.ws("/echo")],
      /^proxy: the connection was not established in time: timeout is 4000 ms, to 127\.0\.0\.1:\d+ .*through http:.*\(TIMEOUT\)$/,
    ],
    [
      "TLS, no answer",
      () => ["--timeout", "4", `wss://127.0.0.1:${portOf(silent)}/`],
      /^TLS: the connection was not established in time: timeout is 4000 ms, to 127\.0\.0\.1:\d+ .*\(TIMEOUT\)$/,
    ],
    ["a header that is none", () => ["-H", "na me: x", plain.ws("/ws")], /^usage: /],
    ["a header with a line break", () => ["-H", "name: a\r\nb: c", plain.ws("/ws")], /^usage: /],
    ["a subprotocol that is no token", () => ["--protocol", "a,b", plain.ws("/ws")], /^usage: .*token/],
  ];
  for (const [title, args, line] of cases) {
    test(title, async () => {
      await using program = new Program("connect", ...args());
      // stdin stays open, so its end does not end the program
      assert.deepEqual(await program.exited, { code: 1, signal: null }, program.stderr);
      assert.equal(program.stdout, "");
      const [first = "", ...rest] = program.stderr.split("\n");
      assert.deepEqual(rest, [""], program.stderr);
      assert.ok(first.startsWith("tungstate: "), first);
      assert.match(first.slice("tungstate: ".length), line);
      assert.doesNotMatch(first, /[\u0000-\u001f\u007f-\u009f]/);
    });
  }

  test("--ca trusts the certificate in the file, --insecure any certificate", async () => {
    await using trusting = new Program("connect", "-q", "--ca", certFile, wss);
    await using insecure = new Program("connect", "-q", "--insecure", wss);
    for (const program of [trusting, insecure]) {
      assert.deepEqual(await program.exited, { code: 0, signal: null }, program.stderr);
    }
  });

  test("--interface and --local-address select the source address", async () => {
    await using byName = new Program("connect", "--interface", "lo", plain.ws("/echo"));
    assert.equal((await byName.run("x\n")).code, 0);
    assert.equal(byName.stdout, "x\n");
    assert.match(byName.stderr, /^connected to [^,]+, via lo, from 127\.0\.0\.1\n/);
    await using byAddress = new Program("connect", "--local-address", "127.0.0.9", plain.ws("/echo"));
    assert.equal((await byAddress.run()).code, 0);
    assert.match(byAddress.stderr, /from 127\.0\.0\.9\n/);
  });

  test("--simulate delays messages, for wss: too", async () => {
    await using slow = new Program("connect", "--simulate", "latency=150ms,chunk=1-3,seed=7", plain.ws("/echo"));
    const from = performance.now();
    assert.equal((await slow.run("x\n")).code, 0);
    assert.equal(slow.stdout, "x\n");
    // two round trips: the handshake, then the message and the Close
    assert.ok(performance.now() - from >= 2 * 300, "it takes its time");
    await using tlsToo = new Program("connect", "--insecure", "--simulate", "chunk=1", wss);
    assert.deepEqual(await tlsToo.exited, { code: 0, signal: null }, tlsToo.stderr);
  });

  test("invalid flags fail with the expected value", async () => {
    const wrong: [string[], RegExp][] = [
      [[], /missing required argument 'url'/],
      [["-H", "no colon", wss], /a name, a colon and a value/],
      [["--timeout", "0", wss], /integer from 1 to 86400/],
      [["a", "b"], /too many arguments/],
    ];
    for (const [args, expected] of wrong) {
      await using program = new Program("connect", ...args);
      assert.equal((await program.run()).code, 1);
      assert.match(program.stderr, expected);
    }
  });
});
