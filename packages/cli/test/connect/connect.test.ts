import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { type WebSocketConnection } from "tungstate";
import { WebSocketServer as WsServer } from "ws";
import { Program, Server } from "../support/program.ts";
import { portOf, serve } from "../support/servers.ts";

describe("tungstate connect: lines and messages", () => {
  let echo: Server;
  before(async () => (echo = await Server.start("--log-level", "silent")));
  after(() => echo[Symbol.asyncDispose]());

  test("sends each line as a message, prints each message as a line, and closes with 1000 at the end of stdin", async () => {
    await using program = new Program("connect", echo.ws("/echo"));
    const lines = ["hello", "", "Grüße 🌡", "a\rb", "c\u2028d", " spaces \t kept ", "last without an end"];
    assert.deepEqual(await program.run(lines.join("\n")), { code: 0, signal: null });
    assert.equal(program.stdout, lines.map((line) => `${line.replace("\r", "\\r")}\n`).join(""));
    assert.match(program.stderr, /^connected to ws:\/\/127\.0\.0\.1:\d+\/echo, .*\nclosed with 1000\n$/);
  });

  test("--http2 connects over HTTP/2", async () => {
    const server = createHttp2Server({ settings: { enableConnectProtocol: true } });
    server.on("stream", (stream, headers) => {
      stream.on("error", () => undefined);
      stream.respond({ ":status": 200 });
      const text = `${headers[":protocol"]} at ${headers[":path"]}`;
      // a text message, and a Close with 1000
      stream.end(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text), Buffer.from([0x88, 2, 3, 0xe8])]));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await using program = new Program(
      "connect",
      "--http2",
      `ws://127.0.0.1:${(server.address() as AddressInfo).port}/a`,
    );
    assert.equal((await program.exited).code, 0);
    assert.equal(program.stdout, "websocket at /a\n");
    assert.match(program.stderr, /^connected to ws:.*, HTTP\/2, via /);
    server.close();
  });

  test("accepts CR LF as a line ending; --quiet prints nothing to stderr", async () => {
    await using program = new Program("connect", "-q", echo.ws("/echo"));
    assert.deepEqual(await program.run("one\r\ntwo\r\n"), { code: 0, signal: null });
    assert.equal(program.stdout, "one\ntwo\n");
    assert.equal(program.stderr, "");
  });

  test("sends each line as soon as it is complete", async () => {
    await using program = new Program("connect", echo.ws("/echo"));
    program.child.stdin.write("first\nsec");
    await program.shows(/^first\n$/);
    program.child.stdin.write("ond\n");
    await program.shows(/^first\nsecond\n$/);
    assert.equal((await program.run()).code, 0);
  });

  test("two clients exchange messages over /ws", async () => {
    await using one = new Program("connect", "-q", echo.ws("/ws"));
    await using other = new Program("connect", echo.ws("/ws"));
    await other.shows(/connected/, "stderr");
    one.child.stdin.write("hello, other\n");
    await other.shows(/^hello, other\n$/);
    await one.shows(/^hello, other\n$/);
    assert.equal((await one.run()).code, 0);
    assert.equal((await other.run()).code, 0);
  });

  test("sends the lines before invalid UTF-8, then fails", async () => {
    await using program = new Program("connect", "-q", "--linger", "1", echo.ws("/echo"));
    program.child.stdin.write(Buffer.from("a\nb\n\xff\nc\n", "latin1"));
    assert.equal((await program.exited).code, 1);
    assert.equal(program.stderr, "tungstate: stdin: line 3 is not UTF-8\n");
    assert.equal(program.stdout, "a\nb\n");
  });

  test("--linger keeps receiving after the end of stdin", async () => {
    const count = 50_000;
    await using program = new Program("connect", "-q", "--linger", "20", echo.ws("/echo"));
    program.child.stdin.end(Array.from({ length: count }, (_, index) => `${index}\n`).join(""));
    await program.shows(new RegExp(`(^|\n)${count - 1}\n$`));
    assert.equal(program.stdout.split("\n").length, count + 1);
    program.child.kill("SIGINT");
    assert.deepEqual(await program.exited, { code: 0, signal: null });
  });

  test("exits quietly when its stdout is closed", async () => {
    await using program = new Program("connect", "-q", echo.ws("/echo"));
    program.child.stdout?.destroy();
    program.child.stdin.write("one\ntwo\n");
    assert.deepEqual(await program.exited, { code: 0, signal: null });
    assert.equal(program.stderr, "");
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`closes with 1000 on ${signal}`, async () => {
      await using program = new Program("connect", echo.ws("/echo"));
      await program.shows(/connected/, "stderr");
      program.child.kill(signal);
      assert.deepEqual(await program.exited, { code: 0, signal: null });
      assert.match(program.stderr, /closed with 1000\n$/);
    });
  }
});

test("prints binary messages as base64 with a prefix, and escapes control characters in text", async () => {
  await using here = await serve((connection) => {
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

test("--header, --protocol and --origin are sent in the request; the output hides credentials", async () => {
  let seen: Record<string, string | undefined> = {};
  await using here = await serve(() => undefined, {
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

describe("when the server closes before the end of stdin", () => {
  for (const [code, status] of [
    [1000, 0],
    [undefined, 0],
    [1001, 1],
    [1011, 1],
    [4000, 1],
  ] as const) {
    test(`exits with ${status} on a Close ${code === undefined ? "without a code" : `with ${code}`}`, async () => {
      // ws sends a Close without a code if none is given
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

  test("exits with 1 and prints the reason if no Close arrives (1006)", async () => {
    await using here = await serve((connection) => {
      connection.write("cut");
      void connection.flush().then(() => connection.terminate());
    });
    await using program = new Program("connect", "-q", here.url);
    assert.deepEqual(await program.exited, { code: 1, signal: null });
    assert.match(program.stderr, /^tungstate: closed with 1006: [^\n]+\n$/);
  });
});

test("truncates lines longer than --max-line, reports it on stderr and exits with 0", async () => {
  await using here = await serve((connection) => {
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

test("reads stdin no faster than the server accepts messages, and delivers every line", async () => {
  let accept: (connection: WebSocketConnection) => void = () => undefined;
  const accepted = new Promise<WebSocketConnection>((resolve) => (accept = resolve));
  await using here = await serve((connection) => accept(connection), { readAheadSize: 0 });
  await using program = new Program("connect", "-q", here.url);
  const connection = await accepted; // the test does not read from it
  const line = `${"x".repeat(9_999)}\n`;
  const count = 5_000; // 50 MB: Linux buffers up to 36 MiB for both sockets
  const chunk = line.repeat(50);
  let written = 0;
  let isFull = false;
  for (; written < count && !isFull; written += 50) {
    if (!program.child.stdin.write(chunk)) isFull = await program.leavesInput();
  }
  assert.ok(isFull, "the program read everything although the server did not");
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

test("--proxy-header is sent to the proxy only", async () => {
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
