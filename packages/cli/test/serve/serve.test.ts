import assert from "node:assert/strict";
import { lookup } from "node:dns/promises";
import { connect as connectTcp } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect, HandshakeRejectedError, type WebSocketConnection } from "tungstate";
import { Program, Server } from "../support/program.ts";

/** Sends bytes and returns the response head, and the bytes received with it. */
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

  test("prints exactly one line on stdout when it is ready", async () => {
    await fetch(`${server.url}/health`);
    assert.match(server.stdout, /^listening on http:\/\/127\.0\.0\.1:\d+\n$/);
  });

  test("accepts handshakes with empty lists of subprotocols and extensions, on every WebSocket path", async () => {
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

  test("serves the web page with a policy that forbids inline scripts and styles", async () => {
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

  test("/metrics reports the memory budget and its use", async () => {
    assert.ok((await server.metric("tungstate_memory_limit_bytes")) > 1024 * 1024);
    for (const name of ["held_bytes", "under_pressure", "ended"])
      assert.equal(await server.metric(`tungstate_memory_${name}`), 0);
    assert.equal(await server.metric('tungstate_handshakes{path="/ws"}'), 0);
  });

  test("/health and /metrics report connections, messages and closes", async () => {
    const open = await connect(server.ws("/ws"));
    const health = await fetch(`${server.url}/health`);
    assert.match(health.headers.get("content-type") ?? "", /^application\/json\b/);
    const body = (await health.json()) as { status: string; connections: Record<string, number> };
    assert.equal(body.status, "ok");
    assert.ok((body.connections.ws ?? 0) >= 1);

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
    // unregistered codes share one label; a connection is counted when its stream has ended
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

  test("answers 404, 405, 426 and 400 to other requests", async () => {
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

    const end = "Host: localhost\r\nConnection: close\r\n\r\n";
    assert.match(await raw(server.port, `GET // HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 404 /);
    assert.match(await raw(server.port, `GET nonsense HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 400 /);
    assert.match(await raw(server.port, `OPTIONS * HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 40[05] /);
    assert.match(await raw(server.port, `GET http://localhost/health HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 200 /);
    assert.match(await raw(server.port, `GET http://[ HTTP/1.1\r\n${end}`), /^HTTP\/1\.1 400 /);
  });

  test("rejects a WebSocket handshake with a wrong version, path or origin", async () => {
    const upgrade =
      "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    const wrong = await raw(server.port, `GET /ws HTTP/1.1\r\n${upgrade}Sec-WebSocket-Version: 12\r\n\r\n`);
    assert.match(wrong, /^HTTP\/1\.1 426 [^]*sec-websocket-version: 13\r\n/i);
    const rejected = (status: number) => (error: unknown) =>
      error instanceof HandshakeRejectedError && error.response.status === status;
    await assert.rejects(connect(server.ws("/nothing")), rejected(404));
    await assert.rejects(connect(server.ws("/ws"), { origin: "http://elsewhere.example" }), rejected(403));
    const own = await connect(server.ws("/ws"), { origin: server.url });
    await own.close();
  });

  test("/ws sends every message to all clients, including the sender", async () => {
    const allClients = await Promise.all([1, 2, 3].map(() => connect(server.ws("/ws"))));
    const [first] = allClients;
    assert.ok(first !== undefined);
    const seen = allClients.map(async (connection) => {
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
    await Promise.all(allClients.map((connection) => connection.close()));
  });

  test("/echo returns every message, no faster than its client reads", async () => {
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

  test("closes only the sender of a message that is too large, with 1009", async () => {
    const other = await connect(server.ws("/ws"));
    const sender = await connect(server.ws("/ws"));
    sender.write(new Uint8Array(1024 * 1024 + 1));
    sender.on("message", () => assert.fail("it came back"));
    assert.equal((await sender.closed).code, 1009);
    await other.send("still here");
    assert.equal(await nextText(other), "still here");
    await other.close();
  });
});

test("closes a slow client with 1013, and bounds what is queued for it", async () => {
  // a server of its own: its first 20 requests for metrics get current values
  await using server = await Server.start();
  const slow = await connect(server.ws("/ws"), { receiveQueueSize: 1, readAheadSize: 0 });
  const sender = await connect(server.ws("/ws"));
  const payload = new Uint8Array(256 * 1024);
  const count = 200; // 50 MiB, of which the system buffers some and the server at most 8 MiB
  let most = 0;
  let received = 0;
  while (received < count) {
    const batch = received + 10;
    for (let each = 0; each < 10; each++) sender.write(payload);
    for await (const message of sender) {
      assert.equal(message.size, payload.length);
      if (++received === batch) break;
    }
    const queued = await server.metric('tungstate_buffered_bytes{path="/ws"}');
    // a queue that does not grow is closing: a client that read nothing for 5 s now would be
    // terminated
    if (most > 1024 * 1024 && queued <= most) break;
    most = Math.max(most, queued);
  }
  assert.ok(most > 1024 * 1024, `the slow one was kept waiting: ${most} bytes`);
  assert.ok(most <= 9 * 1024 * 1024, `${most} bytes waited`);
  assert.ok(received < count, "the queue grew with every message");
  let got = 0;
  for await (const message of slow) got += message.size;
  const { code } = await slow.closed;
  assert.equal(code, 1013);
  assert.ok(got < received * payload.length);
  await sender.send("still here");
  assert.equal(await nextText(sender), "still here");
  const { code: own } = await sender.close();
  assert.equal(own, 1000);
});

test("listens on all addresses of a host name", async () => {
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

test("--max-connections: one more handshake gets 503", async () => {
  await using server = await Server.start("--max-connections", "1");
  const first = await connect(server.ws("/ws"));
  await assert.rejects(connect(server.ws("/ws")), (error) => {
    return error instanceof HandshakeRejectedError && error.response.status === 503;
  });
  await first.close();
});

test("--max-connections-per-address: one more handshake gets 429, counted by client address behind --trust-proxy", async () => {
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

test("--origin admits pages of other origins, or any", async () => {
  await using some = await Server.start("--origin", "https://a.example", "--origin", "https://b.example");
  for (const origin of ["https://a.example", "https://b.example"]) {
    await (await connect(some.ws("/ws"), { origin })).close();
  }
  await assert.rejects(connect(some.ws("/ws"), { origin: "https://c.example" }));
  await using any = await Server.start("--origin", "any");
  await (await connect(any.ws("/ws"), { origin: "https://c.example" })).close();
});

describe("hosts of requests to a server on a loopback address", () => {
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
  const get = (path: string, host: string): string => `GET ${path} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;
  const handshake = (path: string, host: string): string => `GET ${path} HTTP/1.1\r\n${host}${upgrade}${key}\r\n`;
  const WEBSOCKETS = ["/ws", "/echo", "/connection/websocket"];
  const PAGES = ["/", "/health", "/nothing", "/api/info"];
  const statusOf = async (port: number, request: string): Promise<number> =>
    Number((await raw(port, request)).split(" ")[1]);

  for (const workers of ["1", "2"]) {
    test(`other names get 421, on every route, with --workers ${workers}`, async () => {
      await using server = await Server.start("--workers", workers, "--api-key", "a key of sixteen characters or more");
      const { port } = server;
      for (const host of [
        "evil.example",
        `evil.example:${port}`,
        "localhost.evil.example",
        "192.0.2.1",
        "[::2]",
        "127.0.0.1.nip.io",
        "notlocalhost",
      ]) {
        for (const path of PAGES)
          assert.equal(await statusOf(port, get(path, `Host: ${host}\r\n`)), 421, `${host} ${path}`);
        for (const path of WEBSOCKETS) {
          const origin = `Origin: http://${host}\r\n`; // of the same host, as a page of that name sends it
          assert.equal(await statusOf(port, handshake(path, `Host: ${host}\r\n${origin}`)), 421, `${host} ${path}`);
        }
      }
      assert.match(
        await raw(port, get("/", "Host: evil.example\r\n")),
        /\r\n\r\nthis server does not serve the host .*\n$/,
      );
      assert.equal(await statusOf(port, `GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n`), 421);
    });
  }

  test("localhost names and loopback addresses pass, with any port", async () => {
    await using server = await Server.start();
    for (const host of [
      "localhost",
      "LOCALHOST:1",
      "app.localhost:8000",
      "localhost.",
      "127.0.0.1",
      "127.1.2.3:80",
      "[::1]",
      "[::1]:8000",
    ]) {
      assert.equal(await statusOf(server.port, get("/health", `Host: ${host}\r\n`)), 200, host);
      for (const path of WEBSOCKETS) {
        assert.equal(await statusOf(server.port, handshake(path, `Host: ${host}\r\n`)), 101, `${host} ${path}`);
      }
    }
    assert.equal(await statusOf(server.port, "GET /health HTTP/1.0\r\n\r\n"), 200);
  });

  test("--allowed-host adds names, or admits any", async () => {
    await using some = await Server.start("--allowed-host", "chat.example", "--allowed-host", ".sub.example");
    const status = (host: string): Promise<number> => statusOf(some.port, handshake("/ws", `Host: ${host}\r\n`));
    for (const host of ["chat.example", "a.sub.example:1", "sub.example", "localhost"])
      assert.equal(await status(host), 101);
    for (const host of ["a.chat.example", "evil.example", "xsub.example"]) assert.equal(await status(host), 421);
    await using any = await Server.start("--allowed-host", "any");
    assert.equal(await statusOf(any.port, get("/health", "Host: evil.example\r\n")), 200);
    await using all = await Server.start("--host", "0.0.0.0");
    assert.equal(await statusOf(all.port, get("/health", "Host: evil.example\r\n")), 200);
    await using wrong = new Program("serve", "--port", "0", "--allowed-host", "http://a.example");
    assert.deepEqual(await wrong.run(), { code: 1, signal: null });
    assert.match(wrong.stderr, /^tungstate: --allowed-host: .*a\.example.*\n$/);
  });
});

test("prints in one line why it cannot listen, and exits with 1", async () => {
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

test("rejects invalid flags with the expected value", async () => {
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
