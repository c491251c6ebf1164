// What a process that uses the package does as a whole: each test runs a program of its own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { load, onEach, test } from "./support/implementations.ts";
import { listen } from "./support/pairs.ts";

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs CommonJS source that requires the implementation as `name`. */
function run(t: TestContext, name: string, source: string, args: readonly string[] = []): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--input-type=commonjs", "-e", `const WebSocket = require(${JSON.stringify(name)});\n${source}`, "--", ...args],
      { cwd: fileURLToPath(new URL(".", import.meta.url)) },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : ((error.code as number | undefined) ?? null), stdout, stderr }),
    );
    t.after(() => child.kill("SIGKILL"));
  });
}

onEach("process", (_ws, name) => {
  for (const [title, options, count] of [
    ["without compression", { perMessageDeflate: false }, 1],
    ["of many messages", { perMessageDeflate: false }, 50],
  ] as const) {
    test(`send() before process.exit() delivers, ${title}`, async (t) => {
      const { server, url } = await listen(t, load("ws"));
      const received: string[] = [];
      const closed = new Promise<void>((resolve) =>
        server.on("connection", (peer) => {
          peer.on("message", (data: Buffer) => received.push(data.toString()));
          peer.on("error", () => {}).on("close", () => resolve());
        }),
      );
      const source = `
        const client = new WebSocket(process.argv[1], ${JSON.stringify(options)});
        client.on("open", () => {
          for (let at = 0; at < ${count}; at++) client.send("message " + at);
          process.exit(0);
        });`;
      const { code, stderr } = await run(t, name, source, [url]);
      assert.deepEqual([code, stderr], [0, ""]);
      await closed;
      assert.deepEqual(
        received,
        Array.from({ length: count }, (_, at) => `message ${at}`),
      );
    });
  }

  test("a server's send() before process.exit() delivers", async (t) => {
    const source = `
      const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" }, () => {
        const client = require("node:net").connect(server.address().port, "127.0.0.1");
        client.write("GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n");
      });
      server.on("connection", (peer) => {
        peer.send("last words");
        process.stdout.write(String(peer._socket.bytesWritten > 100 && peer.bufferedAmount === 0));
        process.exit(0);
      });`;
    const { code, stdout } = await run(t, name, source);
    assert.deepEqual([code, stdout], [0, "true"]);
  });

  test("an error without a listener ends the process", async (t) => {
    const source = `
      const server = require("node:http").createServer((request, response) => response.writeHead(400).end());
      server.listen(0, "127.0.0.1", () => new WebSocket("ws://127.0.0.1:" + server.address().port));`;
    const { code, stderr } = await run(t, name, source);
    assert.equal(code, 1);
    assert.match(stderr, /Unhandled 'error' event/);
    assert.match(stderr, /Unexpected server response: 400/);
  });

  test("a violation of the peer without a listener for errors ends the process", async (t) => {
    const source = `
      const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" }, () => {
        const client = new WebSocket("ws://127.0.0.1:" + server.address().port);
        client.on("error", () => {}).on("open", () => client._socket.write(Buffer.from([0x81, 0x00])));
      });`;
    const { code, stderr } = await run(t, name, source);
    assert.equal(code, 1);
    assert.match(stderr, /WS_ERR_EXPECTED_MASK/);
  });

  test("a listener that throws ends the process with its error", async (t) => {
    const source = `
      const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" }, () => {
        const client = new WebSocket("ws://127.0.0.1:" + server.address().port);
        client.on("open", () => client.send("x"));
      });
      server.on("connection", (peer) => peer.on("message", () => { throw new Error("thrown by the listener"); }));`;
    const { code, stderr } = await run(t, name, source);
    assert.equal(code, 1);
    assert.match(stderr, /Error: thrown by the listener/);
  });

  test("a callback of send that throws does not keep the callbacks behind it from being called", async (t) => {
    const source = `
      process.on("uncaughtException", (error) => process.stdout.write(error.message + " "));
      const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" }, () => {
        const client = new WebSocket("ws://127.0.0.1:" + server.address().port);
        client.on("open", () => {
          client.send("1", () => { throw new Error("first"); });
          client.send("2", () => { throw new Error("second"); });
          client.send("3", () => { process.stdout.write("third"); client.close(); server.close(); });
        });
      });`;
    const { code, stdout } = await run(t, name, source);
    assert.deepEqual([code, stdout], [0, "first second third"]);
  });

  test("the process ends by itself when its connections and servers are closed", async (t) => {
    const source = `
      const server = new WebSocket.Server({ port: 0, host: "127.0.0.1" }, () => {
        const client = new WebSocket("ws://127.0.0.1:" + server.address().port);
        client.on("open", () => client.close(1000)).on("close", (code) => {
          server.close(() => process.stdout.write("closed " + code));
        });
      });`;
    const { code, stdout, stderr } = await run(t, name, source);
    assert.deepEqual([code, stdout, stderr], [0, "closed 1000", ""]);
  });

  test("an open connection keeps the process, an unreferenced one does not", async (t) => {
    const { server, url } = await listen(t, load("ws"));
    const source = `
      const client = new WebSocket(process.argv[1]);
      client.on("open", () => { client._socket.unref(); process.stdout.write("open"); });`;
    const { code, stdout } = await run(t, name, source, [url]);
    assert.deepEqual([code, stdout], [0, "open"]);
    const held = `
      const client = new WebSocket(process.argv[1]);
      client.on("message", (data) => { process.stdout.write(data.toString()); client.close(); });`;
    server.once("connection", (peer) => setImmediate(() => setImmediate(() => peer.send("kept"))));
    assert.equal((await run(t, name, held, [url])).stdout, "kept");
  });

  test("no warning is printed, and requiring the package opens nothing", async (t) => {
    const { code, stdout, stderr } = await run(t, name, "process.stdout.write(typeof WebSocket);");
    assert.deepEqual([code, stdout, stderr], [0, "function", ""]);
  });

  test("works with --throw-deprecation and --disallow-code-generation-from-strings", async (t) => {
    const child = execFile(
      process.execPath,
      [
        "--throw-deprecation",
        "--disallow-code-generation-from-strings",
        "-e",
        `const { WebSocket, WebSocketServer } = require(${JSON.stringify(name)});
         const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true }, () => {
           const client = new WebSocket("ws://127.0.0.1:" + server.address().port);
           client.on("message", (data) => { console.log(String(data)); client.close(); server.close(); });
         });
         server.on("connection", (peer) => peer.send("x".repeat(3)));`,
      ],
      { cwd: fileURLToPath(new URL(".", import.meta.url)) },
    );
    t.after(() => child.kill("SIGKILL"));
    let output = "";
    child.stdout?.on("data", (chunk: string) => (output += chunk));
    child.stderr?.on("data", (chunk: string) => (output += chunk));
    const [code] = (await once(child, "close")) as [number];
    assert.deepEqual([code, output], [0, "xxx\n"]);
  });
});
