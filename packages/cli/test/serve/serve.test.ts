import assert from "node:assert/strict";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { connect, ConnectError, HandshakeRejectedError, type WebSocketConnection } from "tungstate";
import { neverCloses } from "../support/clients.ts";
import { Program, Server } from "../support/program.ts";

/** The status line and headers that the server answers with to these bytes, and what follows in the same breath. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connectTcp(port, "127.0.0.1");
  socket.end(text);
  let answer = "";
  for await (const chunk of socket.setEncoding("latin1")) answer += chunk;
  return answer;
}

async function nextText(connection: WebSocketConnection): Promise<string> {
  for await (const message of connection) return message.text;
  throw new Error("the connection has ended");
}

describe("tungstate serve", () => {
  let server: Server;
  before(async () => (server = await Server.start()));
  after(() => server[Symbol.asyncDispose]());

  test("prints one line on stdout when it is ready, and nothing more", async () => {
    await fetch(`${server.url}/health`);
    assert.match(server.stdout, /^listening on http:\/\/127\.0\.0\.1:\d+\n$/);
  });

  test("takes handshakes whose lists of subprotocols and extensions are empty, on every WebSocket route", async () => {
    const fields = [
      "Host: localhost",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Protocol:",
      "Sec-WebSocket-Extensions: ",
      "Sec-WebSocket-Extensions: ,",
    ];
    for (const path of ["/ws", "/echo", "/connection/websocket"]) {
      const answer = await raw(server.port, `GET ${path} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 101 /, path);
    }
  });

  test("serves the page with a policy that allows nothing inline", async () => {
    const response = await fetch(server.url);
    const html = await response.text();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(response.headers.get("cache-control"), "no-cache");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.match(policy, /require-trusted-types-for 'script'/);
    assert.doesNotMatch(policy, /unsafe|\*|data:/);
    const again = await fetch(server.url, { headers: { "if-none-match": response.headers.get("etag") ?? "" } });
    assert.equal(again.status, 304);
    assert.equal(await again.text(), "");

    const assets = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path = ""]) => path);
    assert.ok(assets.length >= 3, html);
    for (const path of assets) {
      const asset = await fetch(server.url + path);
      assert.equal(asset.status, 200, path);
      if (path.startsWith("/assets/")) assert.match(asset.headers.get("cache-control") ?? "", /immutable/);
      await asset.arrayBuffer();
    }
  });

  test("/metrics has what all connections together hold, and may hold", async () => {
    assert.ok((await server.metric("tungstate_memory_limit_bytes")) > 1024 * 1024);
    for (const name of ["held_bytes", "short", "ended"])
      assert.equal(await server.metric(`tungstate_memory_${name}`), 0);
    assert.equal(await server.metric('tungstate_handshakes{path="/ws"}'), 0);
  });

  test("/health and /metrics", async () => {
    const open = await connect(server.ws("/ws"));
    const health = await fetch(`${server.url}/health`);
    assert.match(health.headers.get("content-type") ?? "", /^application\/json\b/);
    const told = (await health.json()) as { status: string; connections: Record<string, number> };
    assert.equal(told.status, "ok");
    assert.ok((told.connections.ws ?? 0) >= 1);

    const sentBefore = await server.metric('tungstate_messages_received_total{path="/ws"}');
    await open.send("counted");
    await nextText(open);
    await open.close(4321);
    await (await connect(server.ws("/ws"))).close(3999);
    await (await connect(server.ws("/ws"))).close(1000);
    await (await connect(server.ws("/ws"))).close(3500);
    const metrics = await fetch(`${server.url}/metrics`);
    assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.equal(await server.metric('tungstate_messages_received_total{path="/ws"}'), sentBefore + 1);
    // codes that a peer makes up are one label; a connection counts when its stream has ended
    const wanted = [
      ["1000", 1],
      ["3500", 1],
      ["other", 2],
    ] as const;
    for (let isThere = false; !isThere;) {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      assert.doesNotMatch(text, /code="(4321|3999)"/);
      isThere = wanted.every(([code, count]) =>
        text.includes(`tungstate_closes_total{path="/ws",code="${code}"} ${count}\n`),
      );
    }
  });

  test("answers with 404, 405, 426 and 400, and with nothing else", async () => {
    const status = async (path: string, init?: RequestInit): Promise<Response> => {
      const response = await fetch(server.url + path, init);
      await response.arrayBuffer();
      return response;
    };
    assert.equal((await status("/nothing")).status, 404);
    assert.equal((await status("/assets/../../package.json")).status, 404);
    assert.equal((await status("/..%2fpackage.json")).status, 404);
    assert.equal((await status("/__proto__")).status, 404);
    assert.equal((await status("/health?with=query")).status, 200);
    for (const path of ["/", "/health", "/health/ready", "/metrics", "/ws", "/echo"]) {
      const response = await status(path, { method: "POST", body: "x" });
      assert.equal(response.status, 405, path);
      assert.equal(response.headers.get("allow"), "GET, HEAD");
    }
    for (const type of ["application/json", "application/xml", "text/plain"]) {
      for (const path of ["/nothing", "/api/publish", "/api"]) {
        const response = await status(path, { method: "POST", body: "{", headers: { "content-type": type } });
        assert.equal(response.status, 404, `${path}, ${type}`);
      }
    }
    for (const path of ["/ws", "/echo", "/ws?a=b"]) {
      const response = await status(path);
      assert.equal(response.status, 426, path);
      assert.equal(response.headers.get("sec-websocket-version"), "13");
      assert.equal(response.headers.get("upgrade"), "websocket");
    }
    const head = await fetch(server.url, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");

    const end = "Host: a\r\nConnection: close\r\n\r\n";
    assert.match(await raw(server.port, `GET // HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 404 /);
    assert.match(await raw(server.port, `GET nonsense HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 400 /);
    assert.match(await raw(server.port, `OPTIONS * HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 40[05] /);
    assert.match(await raw(server.port, `GET http://a/health HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 200 /);
    assert.match(await raw(server.port, `GET http://[ HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 400 /);
  });

  test("a WebSocket of a wrong version, path or origin is refused", async () => {
    const upgrade =
      "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    const wrong = await raw(server.port, `GET /ws HTTP/1.1\r\n${upgrade}Sec-WebSocket-Version: 12\r\n\r\n`);
    assert.match(wrong, /^HTTP\/1\.1 426 [^]*sec-websocket-version: 13\r\n/i);
    const rejected = (status: number) => (error: unknown) =>
      error instanceof HandshakeRejectedError && error.response.status === status;
    await assert.rejects(connect(server.ws("/nothing")), rejected(404));
    await assert.rejects(connect(server.ws("/ws"), { origin: "http://elsewhere.example" }), rejected(403));
    const own = await connect(server.ws("/ws"), { origin: server.url });
    await own.close();
  });

  test("/ws gives every message to everybody, the sender included", async () => {
    const everybody = await Promise.all([1, 2, 3].map(() => connect(server.ws("/ws"))));
    const [first] = everybody;
    assert.ok(first !== undefined);
    const seen = everybody.map(async (connection) => {
      const messages: (string | Uint8Array)[] = [];
      for await (const message of connection) {
        messages.push(message.type === "text" ? message.text : Uint8Array.from(message.bytes));
        if (messages.length === 3) return messages;
      }
      return messages;
    });
    first.write("text: Grüße 🌡");
    first.write(Uint8Array.of(0, 255, 1));
    first.write("");
    for (const messages of await Promise.all(seen)) {
      assert.deepEqual(messages, ["text: Grüße 🌡", Uint8Array.of(0, 255, 1), ""]);
    }
    await Promise.all(everybody.map((connection) => connection.close()));
  });

  test("/echo gives everything back, at the pace of who reads it", async () => {
    const connection = await connect(server.ws("/echo"));
    const big = new Uint8Array(1024 * 1024).fill(7);
    const all = (async () => {
      for (let sent = 0; sent < 40; sent++) await connection.send(big);
    })();
    let received = 0;
    for await (const message of connection) {
      assert.equal(message.size, big.length);
      if (++received === 40) break;
    }
    await all;
    const info = await connection.close();
    assert.equal(info.code, 1000);
  });

  test("a message that is too large ends its sender's connection with 1009, and nobody else's", async () => {
    const other = await connect(server.ws("/ws"));
    const sender = await connect(server.ws("/ws"));
    sender.write(new Uint8Array(1024 * 1024 + 1));
    sender.on("message", () => assert.fail("it came back"));
    assert.equal((await sender.closed).code, 1009);
    await other.send("still here");
    assert.equal(await nextText(other), "still here");
    await other.close();
  });

  test("who reads too slowly is closed with 1013, and what waits stays bounded", async () => {
    const slow = await connect(server.ws("/ws"), { receiveQueueSize: 1 });
    const sender = await connect(server.ws("/ws"));
    const payload = new Uint8Array(256 * 1024);
    const count = 200; // 50 MiB, of which the system keeps some and the server 8 at most
    let most = 0;
    let received = 0;
    for (let sent = 0; sent < count; sent += 10) {
      for (let each = 0; each < 10; each++) sender.write(payload);
      for await (const message of sender) {
        assert.equal(message.size, payload.length);
        if (++received === sent + 10) break;
      }
      most = Math.max(most, await server.metric('tungstate_buffered_bytes{path="/ws"}'));
    }
    assert.ok(most > 1024 * 1024, `the slow one was kept waiting: ${most} bytes`);
    assert.ok(most <= 9 * 1024 * 1024, `${most} bytes waited`);
    let got = 0;
    for await (const message of slow) got += message.size;
    const { code } = await slow.closed;
    assert.equal(code, 1013);
    assert.ok(got < count * payload.length);
    const { code: own } = await sender.close();
    assert.equal(own, 1000);
  });
});

test("a name is listened on at all of its addresses", async () => {
  await using server = await Server.start("--host", "localhost");
  for (const { address, family } of await lookup("localhost", { all: true })) {
    const host = `${family === 6 ? `[${address}]` : address}:${server.port}`;
    assert.equal((await fetch(`http://${host}/health`)).status, 200);
    const connection = await connect(`ws://${host}/echo`);
    await connection.send("hello");
    assert.equal(await nextText(connection), "hello");
    await connection.close();
  }
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test("--max-connections: one more gets 503", async () => {
  await using server = await Server.start("--max-connections", "1");
  const first = await connect(server.ws("/ws"));
  await assert.rejects(connect(server.ws("/ws")), (error) => {
    return error instanceof HandshakeRejectedError && error.response.status === 503;
  });
  await first.close();
});

test("--max-connections-per-address: one more gets 429; behind --trust-proxy it is the client's address that counts", async () => {
  await using server = await Server.start("--max-connections-per-address", "1", "--trust-proxy", "loopback");
  const from = (address: string): Promise<WebSocketConnection> =>
    connect(server.ws("/ws"), { headers: { "X-Forwarded-For": address } });
  const open = [await from("192.0.2.1"), await from("192.0.2.2")];
  await assert.rejects(from("192.0.2.1"), (error) => {
    return error instanceof HandshakeRejectedError && error.response.status === 429;
  });
  await Promise.all(open.map((connection) => connection.close()));
  await using wrong = new Program("serve", "--port", "0", "--trust-proxy", "nobody");
  assert.deepEqual(await wrong.run(), { code: 1, signal: null });
  assert.match(wrong.stderr, /^tungstate: --trust-proxy: .*nobody.*\n$/);
});

test("--origin lets other pages in, any all", async () => {
  await using some = await Server.start("--origin", "https://a.example", "--origin", "https://b.example");
  for (const origin of ["https://a.example", "https://b.example"]) {
    await (await connect(some.ws("/ws"), { origin })).close();
  }
  await assert.rejects(connect(some.ws("/ws"), { origin: "https://c.example" }));
  await using any = await Server.start("--origin", "any");
  await (await connect(any.ws("/ws"), { origin: "https://c.example" })).close();
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} drains: Close 1001 to all, nobody new, exit 0 in time`, async () => {
    await using server = await Server.start("--drain", "4");
    const clients = await Promise.all(["/ws", "/echo"].map((path) => connect(server.ws(path))));
    const idle = await keptAlive(server.port);
    const stubborn = await neverCloses(server.port);
    const started = performance.now();
    server.child.kill(signal);
    // Ctrl+C through npm comes twice
    server.child.kill(signal);
    const infos = await Promise.all(clients.map((client) => client.closed));
    assert.deepEqual(
      infos.map(({ code, clean }) => ({ code, clean })),
      [
        { code: 1001, clean: true },
        { code: 1001, clean: true },
      ],
    );
    await assert.rejects(
      connect(server.ws("/ws")),
      (error) => error instanceof ConnectError && error.code === "REFUSED",
    );
    assert.deepEqual(await server.exited, { code: 0, signal: null });
    const took = performance.now() - started;
    assert.ok(took >= 3_900, `the one that does not answer had its time: ${took}`);
    assert.ok(took < 60_000, `${took} ms`);
    assert.match(server.stdout, /^listening on \S+\n$/);
    idle.destroy();
    stubborn.destroy();
  });
}

for (const workers of ["1", "2"]) {
  for (const signals of [
    ["SIGTERM", "SIGTERM"],
    ["SIGINT", "SIGINT"],
    ["SIGINT", "SIGTERM"],
  ] as const) {
    test(`${signals.join(", then ")} with --workers ${workers}: the second one ends the drain, with status 0`, async () => {
      await using server = await Server.start("--drain", "3600", "--workers", workers);
      const stubborn = await neverCloses(server.port);
      server.child.kill(signals[0]);
      await server.shows(/"draining"/, "stderr");
      // within a second it would be the same signal
      const again = setInterval(() => server.child.kill(signals[1]), 100);
      assert.deepEqual(await server.exited, { code: 0, signal: null });
      clearInterval(again);
      assert.match(server.stderr, /"a second signal ended the drain"/);
      stubborn.destroy();
    });
  }
}

test("--drain 0: nobody is waited for", async () => {
  await using server = await Server.start("--drain", "0");
  const stubborn = await neverCloses(server.port);
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  stubborn.destroy();
});

test("without clients it ends at once", async () => {
  await using server = await Server.start("--drain", "3600");
  server.child.kill("SIGTERM");
  assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test("what it cannot listen on is told in one line, with status 1", async () => {
  await using server = await Server.start("--log-level", "silent");
  const cases: [string[], RegExp][] = [
    [["--port", String(server.port)], /^tungstate: cannot serve on 127\.0\.0\.1 port \d+: the port is in use\n$/],
    [["--port", "0", "--host", "192.0.2.200"], /^tungstate: .*this machine does not have the address\n$/],
    [["--port", "0", "--host", "nothing.invalid"], /^tungstate: .*no such host\n$/],
  ];
  for (const [args, line] of cases) {
    await using program = new Program("serve", ...args);
    assert.deepEqual(await program.run(), { code: 1, signal: null });
    assert.match(program.stderr, line);
    assert.equal(program.stdout, "");
  }
});

test("wrong flags are refused with what was expected", async () => {
  const cases: [string[], RegExp][] = [
    [["--port", "65536"], /^tungstate: --port must be an integer from 0 to 65535, got "65536"\n$/],
    [["--nonsense"], /unknown option[^]*--help/],
    [["more"], /too many arguments[^]*--help/],
  ];
  await Promise.all(
    cases.map(async ([args, expected]) => {
      await using program = new Program("serve", ...args);
      assert.equal((await program.run()).code, 1, args.join(" "));
      assert.match(program.stderr, expected);
      assert.equal(program.stdout, "");
    }),
  );
});

/** An HTTP connection that stays open behind its answer. */
async function keptAlive(port: number): Promise<Socket> {
  const asked = request({ port, host: "127.0.0.1", path: "/health", headers: { connection: "keep-alive" } });
  asked.on("error", () => undefined);
  asked.end();
  const [response] = (await once(asked, "response")) as [{ resume(): void; socket: Socket }];
  const { socket } = response;
  socket.on("error", () => undefined);
  response.resume();
  return socket;
}
