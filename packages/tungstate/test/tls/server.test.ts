import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { connect as connectTls, type SecureContextOptions, type TlsOptions } from "node:tls";
import { fileURLToPath } from "node:url";
import { platform } from "../../src/native/platform.ts";
import { client } from "../../src/client/client.ts";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { secure } from "../../src/tls/secure.ts";
import { TlsSessionCache } from "../../src/tls/session-cache.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";
import { temporaryFolder } from "../dial/support/peers.ts";
import { until } from "../support/until.ts";
import { Authority, type Certificate } from "./support/certificates.ts";
import type { ServeMessage } from "./support/serve.ts";

let authority: Authority;
let first: Certificate;
let second: Certificate;
before(() => {
  authority = new Authority();
  first = authority.issue();
  second = authority.issue();
});
after(() => authority.remove());

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** An echo server. */
async function serve(tls: TlsOptions): Promise<{ server: WebSocketServer; port: number }> {
  const server = new WebSocketServer();
  server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
  ending.push(() => server.close());
  const address = await server.listen({ tls });
  return { server, port: (address as AddressInfo).port };
}

/** The same in another process, with another command line. */
async function serveElsewhere(message: ServeMessage, name: string): Promise<number> {
  const script = fileURLToPath(new URL("support/serve.ts", import.meta.url));
  const child: ChildProcess = fork(script, [name]);
  ending.push(async () => {
    child.disconnect();
    await once(child, "exit");
  });
  child.send(message);
  const [port] = (await once(child, "message")) as [number];
  assert.equal(typeof port, "number", String(port));
  return port;
}

/** Connects as to one server at one address, whichever of several answers. */
async function connectBalanced(
  port: number,
  sessionCache: TlsSessionCache,
): Promise<WebSocketConnection & { resumed: boolean }> {
  const { stream, info } = await secure(connectTcp(port, "127.0.0.1"), {
    host: "localhost",
    port: 443,
    ca: authority.cert,
    sessionCache,
  });
  return Object.assign(await client("wss://localhost/", stream), { resumed: info.resumed });
}

async function echo(connection: WebSocketConnection, text: string): Promise<string> {
  await connection.send(text);
  for await (const message of connection) return message.text;
  throw new Error("it has ended");
}

/** The name of the key that a port presents. */
async function shows(port: number, certificate: Certificate): Promise<boolean> {
  const socket = connectTls({ port, host: "127.0.0.1", servername: "localhost", ca: authority.cert });
  await once(socket, "secureConnect");
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return Buffer.from(raw).equals(new X509Certificate(certificate.cert).raw); // Deno: no Buffer
}

describe("tickets", () => {
  test("of one process are accepted by another one with the same ticketKeys", async () => {
    const message = { key: first.key, cert: first.cert, ticketKeys: randomBytes(48).toString("base64") };
    const [one, two] = await Promise.all([serveElsewhere(message, "one"), serveElsewhere(message, "two")]);
    const sessionCache = new TlsSessionCache();
    const resumed: boolean[] = [];
    for (const port of [one, two, one]) {
      const connection = await connectBalanced(port, sessionCache);
      assert.equal(await echo(connection, "hello"), "hello"); // the tickets arrive with it
      resumed.push(connection.resumed);
      await connection.close();
    }
    assert.deepEqual(resumed, [false, true, true]);
  });

  test("are not valid with other keys", async () => {
    const servers = [await serve(first), await serve(first)];
    const sessionCache = new TlsSessionCache();
    for (const { port } of servers) {
      const connection = await connectBalanced(port, sessionCache);
      await echo(connection, "hello");
      assert.equal(connection.resumed, false);
      await connection.close();
    }
  });

  test("of a port that requests no certificate are not valid on one that does", async () => {
    const ticketKeys = randomBytes(48);
    const lax = await serve({ ...first, ticketKeys });
    const strict = await serve({ ...first, ticketKeys, requestCert: true, ca: authority.cert });
    const sessionCache = new TlsSessionCache();
    const connection = await connectBalanced(lax.port, sessionCache);
    await echo(connection, "hello");
    await connection.close();
    assert.equal(sessionCache.size > 0, true);
    await assert.rejects(connectBalanced(strict.port, sessionCache));
  });
});

describe("setTls", () => {
  test("new connections use the new certificate, open ones continue", async () => {
    const { server, port } = await serve(first);
    const open = await connect(`wss://localhost:${port}/`, { tls: { ca: authority.cert } });
    assert.equal(await shows(port, first), true);
    server.setTls({ key: second.key, cert: second.cert });
    assert.equal(await shows(port, second), true);
    assert.equal(await echo(open, "still here"), "still here");
    const later = await connect(`wss://localhost:${port}/`, { tls: { ca: authority.cert } });
    assert.equal(await echo(later, "here too"), "here too");
    await Promise.all([open.close(), later.close()]);
  });

  test("sessions remain with the same ticket keys, and end with others", async () => {
    const ticketKeys = randomBytes(48);
    const { server, port } = await serve({ ...first, ticketKeys });
    const sessionCache = new TlsSessionCache();
    const resumed: boolean[] = [];
    for (const change of [{}, { key: second.key, cert: second.cert }, { ticketKeys: randomBytes(48) }]) {
      if (Object.keys(change).length > 0) server.setTls(change);
      const connection = await connectBalanced(port, sessionCache);
      await echo(connection, "hello");
      resumed.push(connection.resumed);
      await connection.close();
    }
    assert.deepEqual(resumed, [false, true, false]);
  });

  test("an invalid value is rejected, and nothing changes", async () => {
    const { server, port } = await serve(first);
    const wrong: SecureContextOptions[] = [
      { cert: second.cert },
      { key: "nonsense" },
      { ticketKeys: randomBytes(47) },
      { pfx: Buffer.from("nonsense") },
    ];
    for (const changes of wrong) {
      assert.throws(() => server.setTls(changes), { code: "INVALID_ARGUMENT", message: /tls: / });
    }
    assert.equal(await shows(port, first), true);
    server.setTls({ key: second.key, cert: second.cert });
    assert.equal(await shows(port, second), true);
  });

  test("fails at once where it would have no effect", { skip: platform.name !== "Bun" && "it has one" }, async () => {
    const { server, port } = await serve(first);
    const message = /setTls: Bun [\d.]+ cannot change the TLS options of an open port/;
    assert.throws(() => server.setTls({ key: second.key, cert: second.cert }), { code: "NOT_SUPPORTED", message });
    assert.equal(await shows(port, first), true);
  });

  test("needs a port with TLS", async () => {
    const server = new WebSocketServer();
    assert.throws(() => server.setTls(first), { code: "INVALID_STATE" });
    await server.listen();
    assert.throws(() => server.setTls(first), { code: "INVALID_STATE" });
    await server.close();
  });

  test("listen rejects invalid values", async () => {
    const server = new WebSocketServer();
    await assert.rejects(server.listen({ tls: { key: first.key, cert: second.cert } }), {
      code: "INVALID_ARGUMENT",
      message: /tls: /,
    });
    await server.close();
  });
});

test("TLS handshakes count on a Unix socket, where clients have no address", async (t) => {
  const path = join(temporaryFolder(t), "socket");
  const server = new WebSocketServer({ maxHandshakes: 2 });
  ending.push(() => server.close(1001, "", 100));
  await server.listen({ path, tls: first });
  const url = `wss+unix:${path}:/`;
  const options = { tls: { ca: authority.cert } };
  const dialed = async (): Promise<Socket> => {
    const socket = connectTcp(path);
    await once(socket, "connect");
    return socket.on("error", () => undefined);
  };
  const one = await connect(url, options);
  const two = await connect(url, options);
  const silent = [await dialed(), await dialed()];
  const more = await dialed();
  await once(more, "close"); // there is no room for it
  silent[0]?.destroy();
  await until(async () => {
    await connect(url, options).catch(() => undefined);
    return server.connections.size === 3;
  }, "room for another one");
  const dropped = silent[1] === undefined ? undefined : once(silent[1], "close");
  const closed = server.close(1001, "", 60_000);
  await dropped; // it would remain for handshakeTimeout otherwise
  await closed;
  for (const connection of [one, two]) assert.equal((await connection.closed).clean, true, "they were drained");
});

test("a client with only other protocols is notified", async () => {
  const { port } = await serve(first);
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: authority.cert,
    ALPNProtocols: ["h2"],
  });
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  assert.match(error.message, /no.application.protocol/i);
  const connection = await connect(`wss://localhost:${port}/`, { tls: { ca: authority.cert } });
  assert.equal(connection.tls?.alpn, "http/1.1");
  await connection.close();
});

describe("behind node:https", () => {
  test("a certificate is replaced without dropping connections, and tickets are shared", async () => {
    const shared = { ticketKeys: randomBytes(48), sessionIdContext: "chat" };
    const ports: number[] = [];
    const all = [first, first].map((certificate) => {
      const https = createHttpsServer({ ...certificate, ...shared });
      const server = new WebSocketServer().attach(https);
      server.on("connection", (connection) => connection.on("message", (message) => connection.write(message)));
      ending.push(async () => {
        await server.close();
        https.close();
        await once(https, "close");
      });
      return https;
    });
    for (const https of all) {
      https.listen(0, "127.0.0.1");
      await once(https, "listening");
      ports.push((https.address() as AddressInfo).port);
    }
    const [one = 0, two = 0] = ports;
    const sessionCache = new TlsSessionCache();
    const open = await connectBalanced(one, sessionCache);
    await echo(open, "hello");
    all[0]?.setSecureContext({ ...second, ...shared });
    assert.equal(await shows(one, second), true);
    assert.equal(await echo(open, "still here"), "still here");
    const other = await connectBalanced(two, sessionCache);
    assert.deepEqual([open.resumed, other.resumed], [false, true]);
    await Promise.all([open.close(), other.close()]);
  });
});
