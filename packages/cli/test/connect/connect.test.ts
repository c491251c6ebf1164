import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server as NetServer } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type WebSocketConnection, WebSocketServer, type WebSocketServerOptions } from "tungstate";
import { WebSocketServer as WsServer } from "ws";
import { selfSigned } from "../support/certificate.ts";
import { Program, Server } from "../support/program.ts";

/** A server of the test's own, and its URL. */
async function serving(
  onConnection: (connection: WebSocketConnection) => void,
  options: WebSocketServerOptions = {},
): Promise<{ url: string; server: WebSocketServer } & AsyncDisposable> {
  const server = new WebSocketServer(options);
  server.on("connection", onConnection);
  const address = await server.listen({ port: 0 });
  assert.ok(typeof address === "object");
  return {
    url: `ws://127.0.0.1:${address.port}/`,
    server,
    [Symbol.asyncDispose]: () => server.close(1001, "", 100),
  };
}

/** A port that does with its connections what `onData` does. */
async function listening(onData: (write: (text: string) => void, end: () => void) => void): Promise<NetServer> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      onData(
        (text) => socket.write(text),
        () => socket.destroy(),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf(server: NetServer): number {
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

describe("tungstate connect: lines and messages", () => {
  let echo: Server;
  before(async () => (echo = await Server.start("--log-level", "silent")));
  after(() => echo[Symbol.asyncDispose]());

  test("each line is a message, each message a line; end of stdin closes with 1000", async () => {
    await using program = new Program("connect", echo.ws("/echo"));
    const lines = ["hello", "", "Grüße 🌡", "a\rb", "c\u2028d", " spaces \t kept ", "last without an end"];
    assert.deepEqual(await program.run(lines.join("\n")), { code: 0, signal: null });
    assert.equal(program.stdout, lines.map((line) => `${line.replace("\r", "\\r")}\n`).join(""));
    assert.match(program.stderr, /^connected to ws:\/\/127\.0\.0\.1:\d+\/echo, .*\nclosed with 1000\n$/);
  });

  test("CR LF ends a line, too; --quiet says nothing", async () => {
    await using program = new Program("connect", "-q", echo.ws("/echo"));
    assert.deepEqual(await program.run("one\r\ntwo\r\n"), { code: 0, signal: null });
    assert.equal(program.stdout, "one\ntwo\n");
    assert.equal(program.stderr, "");
  });

  test("lines are sent as they are typed", async () => {
    await using program = new Program("connect", echo.ws("/echo"));
    program.child.stdin.write("first\nsec");
    await program.shows(/^first\n$/);
    program.child.stdin.write("ond\n");
    await program.shows(/^first\nsecond\n$/);
    assert.equal((await program.run()).code, 0);
  });

  test("two terminals talk over /ws", async () => {
    await using one = new Program("connect", "-q", echo.ws("/ws"));
    await using other = new Program("connect", echo.ws("/ws"));
    await other.shows(/connected/, "stderr");
    one.child.stdin.write("hello, other\n");
    await other.shows(/^hello, other\n$/);
    await one.shows(/^hello, other\n$/);
    assert.equal((await one.run()).code, 0);
    assert.equal((await other.run()).code, 0);
  });

  test("stdin that is not UTF-8 is an error behind the last good line", async () => {
    await using program = new Program("connect", "-q", "--linger", "1", echo.ws("/echo"));
    program.child.stdin.write(Buffer.from("a\nb\n\xff\nc\n", "latin1"));
    assert.equal((await program.exited).code, 1);
    assert.equal(program.stderr, "tungstate: stdin: line 3 is not UTF-8\n");
    assert.equal(program.stdout, "a\nb\n");
  });

  test("--linger goes on receiving behind the end of stdin", async () => {
    const count = 50_000;
    await using program = new Program("connect", "-q", "--linger", "20", echo.ws("/echo"));
    program.child.stdin.end(Array.from({ length: count }, (_, index) => `${index}\n`).join(""));
    await program.shows(new RegExp(`(^|\n)${count - 1}\n$`));
    assert.equal(program.stdout.split("\n").length, count + 1);
    program.child.kill("SIGINT");
    assert.deepEqual(await program.exited, { code: 0, signal: null });
  });

  test("nobody reads its stdout any more: it ends quietly", async () => {
    await using program = new Program("connect", "-q", echo.ws("/echo"));
    program.child.stdout?.destroy();
    program.child.stdin.write("one\ntwo\n");
    assert.deepEqual(await program.exited, { code: 0, signal: null });
    assert.equal(program.stderr, "");
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal} closes with 1000`, async () => {
      await using program = new Program("connect", echo.ws("/echo"));
      await program.shows(/connected/, "stderr");
      program.child.kill(signal);
      assert.deepEqual(await program.exited, { code: 0, signal: null });
      assert.match(program.stderr, /closed with 1000\n$/);
    });
  }
});

test("binary messages are base64 with a prefix, control characters are escaped", async () => {
  await using here = await serving((connection) => {
    connection.write(Uint8Array.of(0, 1, 254, 255));
    connection.write(new Uint8Array(0));
    connection.write("red \u001b[31m bell \u0007 title \u009d0;x\u009c line\nline\r tab\t end");
    connection.write("left \u202e right \u2066");
    void connection.close(1000, "bye \u001b[2J");
  });
  await using program = new Program("connect", here.url);
  assert.equal((await program.exited).code, 0);
  assert.deepEqual(program.stdout.split("\n"), [
    "base64:AAH+/w==",
    "base64:",
    "red \\x1b[31m bell \\x07 title \\x9d0;x\\x9c line\\nline\\r tab\t end",
    "left \\u202e right \\u2066",
    "",
  ]);
  assert.match(program.stderr, /closed with 1000 bye \\x1b\[2J\n$/);
});

test("--header, --protocol and --origin are in the request; credentials are not shown", async () => {
  let seen: Record<string, string | undefined> = {};
  await using here = await serving(() => undefined, {
    protocols: ["two"],
    origin: "any",
    authorize({ headers, protocols }) {
      const names = ["x-one", "x-two", "origin", "authorization"];
      seen = Object.fromEntries(names.map((name) => [name, headers.get(name)]));
      seen.offered = protocols.join(" ");
      return true;
    },
  });
  const flags = ["-H", "X-One: 1: one", "--header", "X-Two:2", "--protocol", "one", "--protocol", "two"];
  await using program = new Program(
    ...["connect", ...flags, "--origin", "https://a.example"],
    here.url.replace("//", "//user:secret@"),
  );
  assert.equal((await program.run()).code, 0);
  assert.deepEqual(seen, {
    "x-one": "1: one",
    "x-two": "2",
    origin: "https://a.example",
    authorization: `Basic ${Buffer.from("user:secret").toString("base64")}`,
    offered: "one two",
  });
  assert.match(program.stderr, /^connected to ws:\/\/127\.0\.0\.1:\d+\/, subprotocol two, /);
  assert.doesNotMatch(program.stderr, /secret/);
});

describe("the server closes before the end of stdin", () => {
  for (const [code, status] of [
    [1000, 0],
    [undefined, 0],
    [1001, 1],
    [1011, 1],
    [4000, 1],
  ] as const) {
    test(`${code ?? "without a code"}: status ${status}`, async () => {
      // ws sends a Close without a code where it is given none
      const server = new WsServer({ port: 0 });
      server.on("connection", (socket) => socket.close(code, code === undefined ? undefined : "so it is"));
      const { port } = server.address() as AddressInfo;
      await using program = new Program("connect", `ws://127.0.0.1:${port}/`);
      assert.deepEqual(await program.exited, { code: status, signal: null });
      server.close();
      const [, ending] = program.stderr.split("\n");
      const said = code === undefined ? "closed with 1005" : `closed with ${code} so it is`;
      assert.equal(ending, status === 0 ? said : `tungstate: ${said}`);
    });
  }

  test("without a Close (1006): status 1, and why", async () => {
    await using here = await serving((connection) => {
      connection.write("cut");
      void connection.flush().then(() => connection.terminate());
    });
    await using program = new Program("connect", "-q", here.url);
    assert.deepEqual(await program.exited, { code: 1, signal: null });
    assert.match(program.stderr, /^tungstate: closed with 1006: [^\n]+\n$/);
  });
});

test("a line longer than --max-line is cut, and stderr says so; the status stays 0", async () => {
  await using here = await serving((connection) => {
    connection.write("x".repeat(100_001));
    connection.write("\u0001".repeat(100_000));
    connection.write("short");
    void connection.close(1000);
  });
  await using program = new Program("connect", "-q", "--max-line", "100000", here.url);
  assert.deepEqual(await program.exited, { code: 0, signal: null });
  const [first, second, third] = program.stdout.split("\n");
  assert.equal(first, `${"x".repeat(100_000)} [truncated: 1 more bytes]`);
  assert.equal(second, `${"\\x01".repeat(25_000)} [truncated: 75000 more bytes]`);
  assert.equal(third, "short");
  assert.equal(
    program.stderr,
    "tungstate: message 1: printed 100000 of 100001 bytes: --max-line is 100000 bytes\n" +
      "tungstate: message 2: printed 25000 of 100000 bytes: --max-line is 100000 bytes\n",
  );
});

test("a server that does not read makes stdin wait, and gets every line in the end", async () => {
  let accept: (connection: WebSocketConnection) => void = () => undefined;
  const accepted = new Promise<WebSocketConnection>((resolve) => (accept = resolve));
  await using here = await serving((connection) => accept(connection));
  await using program = new Program("connect", "-q", here.url);
  const connection = await accepted; // and nobody reads from it
  const line = `${"x".repeat(9_999)}\n`;
  const count = 5_000; // 50 MB: more than the system and both sides keep
  const chunk = line.repeat(50);
  let written = 0;
  let stuck = false;
  for (; written < count && !stuck; written += 50) {
    if (program.child.stdin.write(chunk)) continue;
    const drained = once(program.child.stdin, "drain").then(() => "drained");
    const late = new Promise((resolve) => setTimeout(resolve, 1_000, "late"));
    stuck = (await Promise.race([drained, late])) === "late";
  }
  assert.ok(stuck, "all of it was taken, though nobody read");
  for (; written < count; written += 50) program.child.stdin.write(chunk);
  program.child.stdin.end();
  let received = 0;
  for await (const message of connection) {
    assert.equal(message.size, line.length - 1);
    received++;
  }
  assert.equal(received, count);
  assert.deepEqual(await program.exited, { code: 0, signal: null });
});

test("--proxy-header goes to the proxy, and nowhere else", async () => {
  const heads: string[] = [];
  const proxy = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => {
      heads.push(bytes.toString("latin1"));
      socket.write(heads.length === 1 ? "HTTP/1.1 200\r\n\r\n" : "HTTP/1.1 403\r\nContent-Length: 0\r\n\r\n");
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const headers = ["--proxy-header", "User-Agent: mine", "--proxy-header", "X-B: c"];
  await using program = new Program(
    "connect",
    ...["--proxy", `http://127.0.0.1:${portOf(proxy)}`],
    ...headers,
    "ws://server.example/",
  );
  assert.equal((await program.run()).code, 1);
  proxy.close();
  assert.match(program.stderr, /^tungstate: handshake: the server answered 403\n$/);
  assert.equal(
    heads[0],
    "CONNECT server.example:80 HTTP/1.1\r\nHost: server.example:80\r\nUser-Agent: mine\r\nX-B: c\r\n\r\n",
  );
  assert.doesNotMatch(heads[1] ?? "", /User-Agent|X-B/);
});

describe("tungstate connect: what failed, in one line", { concurrency: 3 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-cli-"));
  const { certFile, cert, key } = selfSigned(folder);
  const notACertificate = join(folder, "text.pem");
  writeFileSync(notACertificate, "nothing\n");
  let plain: Server;
  let closed = 0; // a port where nobody listens
  let silent: NetServer;
  let http: NetServer;
  let moved: NetServer;
  let rude: NetServer;
  let tls: WebSocketServer;
  let wss = "";
  before(async () => {
    plain = await Server.start("--log-level", "silent");
    const unused = await listening(() => undefined);
    closed = portOf(unused);
    unused.close();
    silent = await listening(() => undefined);
    rude = await listening((_write, end) => end());
    http = await listening((write, end) => {
      write("HTTP/1.1 302 Found\r\nLocation: /else\u001b\r\nContent-Length: 0\r\n\r\n");
      end();
    });
    moved = await listening((write) => write("HTTP/1.1 302\r\nLocation:\r\n /caf\u00e9\r\nContent-Length: 0\r\n\r\n"));
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
      /^usage: .*proxyHeaders: expected a token/,
    ],
    [
      "proxy, headers for SOCKS",
      () => ["--proxy", `socks://127.0.0.1:${closed}`, "--proxy-header", "A: b", plain.ws("/")],
      /^usage: .*proxyHeaders need an http: or https: proxy/,
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
      /^handshake: the connection was not there in time: timeout is 4000 ms, to 127\.0\.0\.1:\d+ .*\(TIMEOUT\)$/,
    ],
    [
      "--simulate, a typo",
      () => ["--simulate", "lateny=1ms", plain.ws("/ws")],
      /^usage: --simulate: .*expected some of latency/,
    ],
    [
      "--simulate, a value",
      () => ["--simulate", "latency=soon", plain.ws("/ws")],
      /^usage: --simulate: .*latency: .*"soon"/,
    ],
    ["a network that breaks", () => ["--simulate", "reset=40", plain.ws("/ws")], /^handshake: .*closed/],
    [
      "proxy, no answer",
      () => ["--timeout", "4", "--proxy", `http://127.0.0.1:${portOf(silent)}`, plain.ws("/echo")],
      /^proxy: the connection was not there in time: timeout is 4000 ms, to 127\.0\.0\.1:\d+ .*through http:.*\(TIMEOUT\)$/,
    ],
    [
      "TLS, no answer",
      () => ["--timeout", "4", `wss://127.0.0.1:${portOf(silent)}/`],
      /^TLS: the connection was not there in time: timeout is 4000 ms, to 127\.0\.0\.1:\d+ .*\(TIMEOUT\)$/,
    ],
    ["a header that is none", () => ["-H", "na me: x", plain.ws("/ws")], /^usage: /],
    ["a header with a line break", () => ["-H", "name: a\r\nb: c", plain.ws("/ws")], /^usage: /],
    ["a subprotocol that is no token", () => ["--protocol", "a,b", plain.ws("/ws")], /^usage: .*token/],
  ];
  for (const [title, args, line] of cases) {
    test(title, async () => {
      await using program = new Program("connect", ...args());
      // stdin stays open: it is not what ends the program
      assert.deepEqual(await program.exited, { code: 1, signal: null }, program.stderr);
      assert.equal(program.stdout, "");
      const [first = "", ...rest] = program.stderr.split("\n");
      assert.deepEqual(rest, [""], program.stderr);
      assert.ok(first.startsWith("tungstate: "), first);
      assert.match(first.slice("tungstate: ".length), line);
      assert.doesNotMatch(first, /[\u0000-\u001f\u007f-\u009f]/);
    });
  }

  test("--ca trusts the file's certificate, --insecure any", async () => {
    await using trusting = new Program("connect", "-q", "--ca", certFile, wss);
    await using insecure = new Program("connect", "-q", "--insecure", wss);
    for (const program of [trusting, insecure]) {
      assert.deepEqual(await program.exited, { code: 0, signal: null }, program.stderr);
    }
  });

  test("--interface and --local-address choose where from", async () => {
    await using byName = new Program("connect", "--interface", "lo", plain.ws("/echo"));
    assert.equal((await byName.run("x\n")).code, 0);
    assert.equal(byName.stdout, "x\n");
    assert.match(byName.stderr, /^connected to [^,]+, via lo, from 127\.0\.0\.1\n/);
    await using byAddress = new Program("connect", "--local-address", "127.0.0.9", plain.ws("/echo"));
    assert.equal((await byAddress.run()).code, 0);
    assert.match(byAddress.stderr, /from 127\.0\.0\.9\n/);
  });

  test("--simulate puts a bad network in between, for wss: too", async () => {
    await using slow = new Program("connect", "--simulate", "latency=150ms,chunk=1-3,seed=7", plain.ws("/echo"));
    const from = performance.now();
    assert.equal((await slow.run("x\n")).code, 0);
    assert.equal(slow.stdout, "x\n");
    // there and back: the handshake, then the message with the Close behind it
    assert.ok(performance.now() - from >= 2 * 300, "it takes its time");
    await using tlsToo = new Program("connect", "--insecure", "--simulate", "chunk=1", wss);
    assert.deepEqual(await tlsToo.exited, { code: 0, signal: null }, tlsToo.stderr);
  });

  test("wrong flags are refused with what was expected", async () => {
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
