// wss: a server on node:https, and TLS options of the client.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import type { TLSSocket } from "node:tls";
import {
  type Implementation,
  onEach,
  type Options,
  type Server,
  type Socket,
  test,
} from "./support/implementations.ts";
import { closing, event, message, messages, terminateAfter } from "./support/pairs.ts";

const folder = mkdtempSync(join(tmpdir(), "tungstate-ws-tls-"));
after(() => rmSync(folder, { recursive: true }));
const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
execFileSync(
  "openssl",
  ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"].concat(
    ["-keyout", keyFile, "-out", certFile, "-subj", "/CN=localhost"],
    ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
  ),
  { stdio: "ignore" },
);
const [key, cert] = [readFileSync(keyFile, "utf8"), readFileSync(certFile, "utf8")];

interface Secure {
  readonly server: Server;
  readonly url: string;
}

async function listenSecure(
  t: TestContext,
  ws: Implementation,
  options: Options = {},
  tls: Options = {},
): Promise<Secure> {
  const https = createServer({ key, cert, ...tls });
  const server = new ws.WebSocketServer({ server: https, ...options });
  https.listen(0, "127.0.0.1");
  await once(https, "listening");
  t.after(() => {
    for (const client of server.clients ?? []) client.terminate();
    https.close();
    https.closeAllConnections();
  });
  return { server, url: `wss://127.0.0.1:${(https.address() as AddressInfo).port}` };
}

async function pairSecure(
  t: TestContext,
  ws: Implementation,
  options: Options = {},
): Promise<{ client: Socket; peer: Socket; request: IncomingMessage }> {
  const { server, url } = await listenSecure(t, ws, options);
  const client = new ws.WebSocket(url, { ca: cert });
  terminateAfter(t, client);
  const [[peer, request]] = await Promise.all([
    event(server, "connection") as Promise<[Socket, IncomingMessage]>,
    event(client, "open"),
  ]);
  return { client, peer, request };
}

onEach("wss", (ws) => {
  for (const size of [0, 10, 70_000, 2_000_000]) {
    test(`messages of ${size} bytes in both directions`, async (t) => {
      const { client, peer } = await pairSecure(t, ws);
      const data = Buffer.alloc(size, 7);
      for (const [from, to] of [
        [client, peer],
        [peer, client],
      ] as const) {
        const received = message(to);
        from.send(data);
        assert.ok(data.equals((await received).data as Buffer));
      }
    });
  }

  test("many messages keep their order, with and without compression", async (t) => {
    for (const perMessageDeflate of [false, { threshold: 0 }]) {
      const { client, peer } = await pairSecure(t, ws, { perMessageDeflate });
      const sent = Array.from({ length: 200 }, (_, at) => `${at} ${"x".repeat(at * 20)}`);
      const received = messages(client, sent.length);
      for (const text of sent) peer.send(text);
      assert.deepEqual(await received, sent);
    }
  });

  test("_socket is the TLS socket", async (t) => {
    const { client, peer, request } = await pairSecure(t, ws);
    const [ours, theirs] = [client._socket as TLSSocket, peer._socket as TLSSocket];
    assert.equal(ours.getPeerCertificate().subject.CN, "localhost");
    assert.equal(ours.authorized, true);
    assert.equal(ours.encrypted, true);
    assert.equal(theirs.encrypted, true);
    assert.equal(theirs, request.socket);
    assert.equal(theirs.remoteAddress, "127.0.0.1");
    assert.match(String(ours.getProtocol()), /^TLSv1/);
  });

  test("writes of _socket come after those of send", async (t) => {
    const { client, peer } = await pairSecure(t, ws);
    const received = messages(client, 3);
    peer.send("1");
    peer._socket?.write(Buffer.from([0x81, 1, 0x32]));
    peer.send("3");
    assert.deepEqual(await received, ["1", "2", "3"]);
  });

  test("verifyClient has secure: true", async (t) => {
    const seen: unknown[] = [];
    await pairSecure(t, ws, { verifyClient: ({ secure }: { secure: unknown }) => seen.push(secure) > 0 });
    assert.deepEqual(seen, [true]);
  });

  test("an unknown certificate is an error of the client", async (t) => {
    const { url } = await listenSecure(t, ws);
    const { code, errors } = await closing(new ws.WebSocket(url));
    assert.equal(code, 1006);
    assert.equal(errors[0]?.code, "DEPTH_ZERO_SELF_SIGNED_CERT");
  });

  test("rejectUnauthorized: false accepts it", async (t) => {
    const { url } = await listenSecure(t, ws);
    const client = new ws.WebSocket(url, { rejectUnauthorized: false });
    terminateAfter(t, client);
    await event(client, "open");
  });

  test("checkServerIdentity and servername are used", async (t) => {
    const { url } = await listenSecure(t, ws);
    const names: string[] = [];
    const client = new ws.WebSocket(url, {
      ca: cert,
      servername: "localhost",
      checkServerIdentity: (name: string) => void names.push(name),
    });
    terminateAfter(t, client);
    await event(client, "open");
    assert.deepEqual(names, ["localhost"]);
  });

  test("a client certificate is requested and sent", async (t) => {
    const { server, url } = await listenSecure(t, ws, {}, { requestCert: true, ca: cert, rejectUnauthorized: true });
    const connected = event(server, "connection");
    const client = new ws.WebSocket(url, { ca: cert, key, cert });
    terminateAfter(t, client);
    const [peer] = (await connected) as [Socket];
    assert.equal((peer._socket as TLSSocket).getPeerCertificate().subject.CN, "localhost");
    assert.equal((peer._socket as TLSSocket).authorized, true);
  });

  test("an https agent is used", async (t) => {
    const { url } = await listenSecure(t, ws);
    const agent = new Agent({ ca: cert });
    t.after(() => agent.destroy());
    const client = new ws.WebSocket(url, { agent });
    terminateAfter(t, client);
    await event(client, "open");
  });

  test("close and terminate", async (t) => {
    for (const [act, code] of [
      ["close", 1005],
      ["terminate", 1006],
    ] as const) {
      const { client, peer } = await pairSecure(t, ws);
      const done = Promise.all([closing(client), closing(peer)]);
      client[act]();
      for (const closed of await done) assert.deepEqual(closed, { code, reason: "", errors: [] });
    }
  });

  test("pause and resume, with bufferedAmount", async (t) => {
    const { client, peer } = await pairSecure(t, ws);
    client.pause();
    const chunk = Buffer.alloc(256 * 1024, 1);
    let count = 0;
    while (peer.bufferedAmount < 4 * chunk.length) {
      assert.ok(count < 256, "bufferedAmount does not grow");
      peer.send(chunk);
      count++;
    }
    const received = messages(client, count);
    client.resume();
    await received;
    assert.equal(peer.bufferedAmount, 0);
  });
});
