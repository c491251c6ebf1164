// Other implementations of TLS and WebSocket: openssl s_client, and Python's websockets in both
// roles. (openssl s_server is in secure.test.ts.)
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { after, afterEach, before, describe, test } from "node:test";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { take } from "../support/connected.ts";
import { CLOSE, frame, TEXT, upgradeRequest } from "../support/raw.ts";
import { Authority, type Certificate } from "./support/certificates.ts";

let authority: Authority;
let certificate: Certificate;
before(() => {
  authority = new Authority();
  certificate = authority.issue();
});
after(() => authority.remove());

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** An echo server. */
async function serve(): Promise<number> {
  const server = new WebSocketServer();
  server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
  ending.push(() => server.close(1001, "", 100));
  return ((await server.listen({ tls: certificate })) as AddressInfo).port;
}

class Program {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  said = Buffer.alloc(0);
  private received = (): void => undefined;

  constructor(command: string, ...args: readonly string[]) {
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdin.on("error", () => undefined);
    const hear = (chunk: Buffer): void => {
      this.said = Buffer.concat([this.said, chunk]);
      this.received();
    };
    this.child.stdout.on("data", hear);
    this.child.stderr.on("data", hear);
    const ended = once(this.child, "close").then(() => this.received());
    ending.push(() => {
      this.child.kill("SIGKILL");
      return ended;
    });
  }

  /** Waits until it has printed this. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.said.toString("latin1"))) {
      const { exitCode } = this.child;
      assert.equal(exitCode, null, `it ended with ${exitCode}: ${this.said.toString("latin1")}`);
      await new Promise<void>((resolve) => (this.received = resolve));
    }
  }
}

function sClient(port: number, ...args: readonly string[]): Program {
  const where = ["-connect", `127.0.0.1:${port}`, "-servername", "localhost", "-alpn", "http/1.1"];
  const trust = ["-CAfile", authority.certFile, "-verify_return_error", "-verify_hostname", "localhost"];
  return new Program("openssl", "s_client", ...where, ...trust, ...args);
}

describe("openssl s_client", () => {
  for (const version of ["-tls1_2", "-tls1_3"]) {
    test(`${version}: exchanges data and resumes a session`, async () => {
      const port = await serve();
      const session = join(authority.folder, `session${version}.pem`);
      for (const [keep, expected] of [
        ["-sess_out", /New, TLSv1\.[23], Cipher is/],
        ["-sess_in", /Reused, TLSv1\.[23], Cipher is/],
      ] as const) {
        const program = sClient(port, version, "-ign_eof", keep, session);
        await program.says(expected);
        await program.says(/ALPN protocol: http\/1\.1/);
        program.child.stdin.write(upgradeRequest("/"));
        await program.says(/HTTP\/1\.1 101 Switching Protocols\r\n[^]*\r\n\r\n/);
        program.child.stdin.write(frame(TEXT, "hello"));
        await program.says(/\x81\x05hello/);
        program.child.stdin.write(frame(CLOSE, ""));
        await once(program.child, "close");
      }
    });
  }

  test("its request for renegotiation is rejected", async () => {
    const program = sClient(await serve(), "-tls1_2");
    await program.says(/Secure Renegotiation IS supported[^]*---\n$/);
    program.child.stdin.write("R\n");
    await program.says(/no renegotiation/i);
  });
});

const PYTHON_CLIENT = `
import asyncio, ssl, sys, websockets
async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    async with websockets.connect(sys.argv[1], ssl=context, server_hostname="localhost") as socket:
        await socket.send("x" * 100000)
        assert await socket.recv() == "x" * 100000
        print(socket.transport.get_extra_info("ssl_object").version(), flush=True)
asyncio.run(main())
`;

const PYTHON_SERVER = `
import asyncio, ssl, sys, websockets
async def echo(socket, path=None):
    async for message in socket:
        await socket.send(message)
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    async with websockets.serve(echo, "127.0.0.1", 0, ssl=context) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`;

describe("Python's websockets over TLS", () => {
  test("as client", async () => {
    const url = `wss://127.0.0.1:${await serve()}/`;
    const program = new Program("/usr/bin/python3", "-c", PYTHON_CLIENT, url, authority.certFile);
    await program.says(/^TLSv1\.3\n$/);
    assert.deepEqual(await once(program.child, "exit"), [0, null]);
  });

  test("as server, whose sessions are resumed", async () => {
    const { certFile, keyFile } = certificate;
    const { child } = new Program("/usr/bin/python3", "-c", PYTHON_SERVER, certFile, keyFile);
    const [port] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const resumed: (boolean | undefined)[] = [];
    for (let i = 0; i < 2; i++) {
      const connection = await connect(`wss://localhost:${port}/`, { family: 4, tls: { ca: authority.cert } });
      await connection.send("x".repeat(100_000));
      assert.deepEqual(await take(connection, 1), ["x".repeat(100_000)]);
      resumed.push(connection.tls?.resumed);
      assert.equal((await connection.close()).clean, true);
    }
    assert.deepEqual(resumed, [false, true]);
  });
});
