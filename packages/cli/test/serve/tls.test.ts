import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from "node:http2";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { connect, TlsSessionCache, type WebSocketConnection } from "tungstate";
import { selfSigned } from "../support/certificate.ts";
import { Program, Server } from "../support/program.ts";
import { until } from "../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "tungstate-tls-"));
/** Creates two certificates with their keys, and a file without any. */
const files = { cert: "", key: "", otherCert: "", otherKey: "", nothing: join(folder, "nothing.pem") };
let first: X509Certificate;
let second: X509Certificate;

before(() => {
  selfSigned(folder);
  files.cert = join(folder, "a-cert.pem");
  files.key = join(folder, "a-key.pem");
  cpSync(join(folder, "cert.pem"), files.cert);
  cpSync(join(folder, "key.pem"), files.key);
  selfSigned(folder);
  files.otherCert = join(folder, "cert.pem");
  files.otherKey = join(folder, "key.pem");
  writeFileSync(files.nothing, "nothing\n");
  first = new X509Certificate(readFileSync(files.cert));
  second = new X509Certificate(readFileSync(files.otherCert));
});
after(() => rmSync(folder, { recursive: true }));

function get(url: string): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca: first.toString(), agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    asked.on("error", reject).end();
  });
}

/** Returns the certificate that the port presents. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function echo(connection: WebSocketConnection, text: string): Promise<string> {
  await connection.send(text);
  for await (const message of connection) return message.text;
  throw new Error("it has ended");
}

for (const workers of ["1", "2"]) {
  describe(`serve --tls-cert --tls-key --workers ${workers}`, () => {
    // copies that are replaced while the server runs
    const cert = join(folder, `cert-${workers}.pem`);
    const key = join(folder, `key-${workers}.pem`);
    let server: Server;
    const show = (certFile: string, keyFile: string): void => {
      cpSync(certFile, cert);
      cpSync(keyFile, key);
    };
    before(async () => {
      show(files.cert, files.key);
      server = await Server.start("--tls-cert", cert, "--tls-key", key, "--workers", workers);
    });
    after(() => server[Symbol.asyncDispose]());

    test("serves the page over https: and WebSockets over wss:", async () => {
      assert.match(server.url, /^https:\/\//);
      assert.equal((await get(server.url)).status, 200);
      assert.equal((await get(`${server.url}/echo`)).status, 426);
      assert.match((await get(`${server.url}/health`)).body, /"status":"ok"/);
      for (const path of ["/ws", "/echo"]) {
        const connection = await connect(server.ws(path), { tls: { ca: first.toString() } });
        assert.equal(await echo(connection, "hello"), "hello");
        assert.deepEqual([connection.tls?.protocol, connection.tls?.alpn], ["TLSv1.3", "http/1.1"]);
        await connection.close();
      }
      await assert.rejects(connect(server.ws("/ws")), { code: "TLS_SELF_SIGNED" });
    });

    test("tungstate connect --ca connects", async () => {
      await using program = new Program("connect", "--ca", files.cert, server.ws("/echo"));
      assert.equal((await program.run("over TLS\n")).code, 0, program.stderr);
      assert.equal(program.stdout, "over TLS\n");
    });

    test("resumes sessions in any worker", async () => {
      const tls = { ca: first.toString(), sessionCache: new TlsSessionCache() };
      const resumed: (boolean | undefined)[] = [];
      for (let i = 0; i < 5; i++) {
        const connection = await connect(server.ws("/echo"), { tls });
        await echo(connection, "x"); // the ticket arrives after the handshake
        resumed.push(connection.tls?.resumed);
        await connection.close();
      }
      assert.deepEqual(resumed, [false, true, true, true, true]);
    });

    test("SIGHUP replaces the certificate without dropping connections; invalid files change nothing", async () => {
      assert.equal(await shown(server.port), first.fingerprint256);
      const open = await connect(server.ws("/echo"), { tls: { ca: first.toString() } });
      show(files.otherCert, files.otherKey);
      server.child.kill("SIGHUP");
      await server.shows(/"msg":"certificate replaced"/, "stderr");
      await until("the other certificate", async () => (await shown(server.port)) === second.fingerprint256);
      assert.equal(await echo(open, "still here"), "still here");

      cpSync(files.key, key);
      server.child.kill("SIGHUP");
      await server.shows(
        /the private key does not match the certificate in .*"msg":"the new certificate is invalid; the current one is kept"/,
        "stderr",
      );
      assert.equal(await shown(server.port), second.fingerprint256);
      await open.close();
    });

    test("drains on SIGTERM", async () => {
      const open = await connect(server.ws("/ws"), { tls: { ca: second.toString() } });
      server.child.kill("SIGTERM");
      assert.equal((await open.closed).code, 1001);
      assert.deepEqual(await server.exited, { code: 0, signal: null });
    });
  });
}

test("serve --http2 has the page and all WebSockets over HTTP/2", async (t) => {
  const { cert, key } = files;
  await using server = await Server.start("--tls-cert", cert, "--tls-key", key, "--http2");
  const tls = { ca: first.toString() };
  const session = connectHttp2(server.url, tls);
  t.after(() => session.destroy());
  const status = async (fields: OutgoingHttpHeaders): Promise<number | undefined> => {
    const request = session.request(fields).resume();
    const [{ ":status": code }] = (await once(request, "response")) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
    return code;
  };
  assert.equal(await status({ ":path": "/" }), 200);
  assert.equal(await status({ ":path": "/health" }), 200);
  assert.equal(await status({ ":path": "/echo" }), 426);
  assert.equal(await status({ ":path": "/", ":authority": "evil.example" }), 421);
  for (const path of ["/ws", "/echo"]) {
    const connection = await connect(server.ws(path), { tls, httpVersion: "2" });
    assert.equal(await echo(connection, "hello"), "hello");
    await connection.close();
  }
  const old = await connect(server.ws("/echo"), { tls });
  assert.equal(await echo(old, "hello"), "hello");
  session.close();
  server.child.kill("SIGTERM");
  assert.equal((await old.closed).code, 1001);
  assert.deepEqual(await server.exited, { code: 0, signal: null });
});

test("prints all problems of the certificate files", async () => {
  const { cert, key, otherKey, nothing } = files;
  const missing = join(folder, "missing.pem");
  const cases: [args: string[], lines: string[]][] = [
    [["--tls-cert", cert], ["--tls-cert requires --tls-key, the private key of the certificate"]],
    [["--tls-key", key], ["--tls-key requires --tls-cert, the certificate of the key"]],
    [["--http2"], ["--http2 requires --tls-cert and --tls-key"]],
    [
      ["--http2", "--workers", "2", "--tls-cert", cert, "--tls-key", key],
      ["--http2 requires --workers 1: workers speak HTTP/1.1 only"],
    ],
    [
      ["--tls-cert", missing, "--tls-key", nothing],
      [`--tls-cert ${missing}: no such file`, `--tls-key ${nothing}: expected a private key in PEM, found none`],
    ],
    [
      ["--tls-cert", nothing, "--tls-key", folder],
      [`--tls-cert ${nothing}: expected a certificate in PEM, found none`, `--tls-key ${folder}: it is a directory`],
    ],
    [
      ["--tls-cert", cert, "--tls-key", otherKey],
      [`--tls-key ${otherKey}: the private key does not match the certificate in ${cert}`],
    ],
  ];
  await Promise.all(
    cases.map(async ([args, lines]) => {
      await using program = new Program("serve", "--port", "0", ...args);
      assert.deepEqual(await program.run(), { code: 1, signal: null });
      assert.equal(program.stderr, lines.map((line) => `tungstate: ${line}\n`).join(""));
      assert.equal(program.stdout, "");
    }),
  );
});
