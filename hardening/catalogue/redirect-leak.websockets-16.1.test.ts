// Python's websockets 16.1: a redirect to another origin kept the credentials. Also redirects that
// leave TLS or the loopback interface.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, describe, test, type TestContext } from "node:test";
import {
  connect,
  type ConnectOptions,
  type HandshakeRequest,
  type WebSocketConnection,
  WebSocketServer,
} from "tungstate";
import { Authority } from "./support/certificates.ts";

const CREDENTIALS = {
  Authorization: "Bearer secret",
  Cookie: "session=secret",
  "Proxy-Authorization": "Basic secret",
};

/** A server that redirects requests for any path except /here, and the requests it received. */
async function redirecting(
  t: TestContext,
  location: (port: number) => string,
  status = 302,
): Promise<{ readonly port: number; readonly requests: HandshakeRequest[] }> {
  const requests: HandshakeRequest[] = [];
  let port = 0;
  const server = new WebSocketServer({
    authorize: (request) => {
      requests.push(request);
      return request.path === "/here" || { status, headers: { Location: location(port) } };
    },
  });
  ({ port } = (await server.listen({ host: "localhost", port: 0 })) as AddressInfo);
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await server.close();
  });
  return { port, requests };
}

async function through(t: TestContext, url: string, options: ConnectOptions = {}): Promise<WebSocketConnection> {
  const connection = await connect(url, { proxy: false, maxRedirects: 3, headers: CREDENTIALS, ...options });
  t.after(() => connection.terminate());
  return connection;
}

function credentialsOf(request: HandshakeRequest | undefined): string[] {
  return Object.keys(CREDENTIALS).filter((name) => request?.headers.has(name));
}

for (const status of [301, 302, 303, 307, 308]) {
  describe(`client: ${status}`, () => {
    test("to another port drops credentials, including those of the URL", async (t) => {
      const target = await redirecting(t, () => "unused");
      const first = await redirecting(t, () => `ws://localhost:${target.port}/here`, status);
      await through(t, `ws://localhost:${first.port}/`);
      assert.deepEqual(credentialsOf(first.requests[0]), Object.keys(CREDENTIALS));
      assert.deepEqual(credentialsOf(target.requests[0]), []);
      await through(t, `ws://user:password@localhost:${first.port}/`, { headers: {} });
      assert.equal(first.requests[1]?.headers.get("authorization"), `Basic ${btoa("user:password")}`);
      assert.equal(target.requests[1]?.headers.has("authorization"), false);
    });

    test("to the same origin keeps them", async (t) => {
      const server = await redirecting(t, () => "/here", status);
      await through(t, `ws://localhost:${server.port}/`);
      assert.deepEqual(credentialsOf(server.requests[1]), Object.keys(CREDENTIALS));
    });
  });
}

describe("client: a redirect", () => {
  test("to another origin and back does not restore credentials", async (t) => {
    const ports: number[] = [];
    const second = await redirecting(t, () => `ws://localhost:${ports[0]}/here`);
    const first = await redirecting(t, () => `ws://localhost:${second.port}/`);
    ports.push(first.port);
    await through(t, `ws://localhost:${first.port}/`);
    assert.equal(first.requests.length, 2);
    assert.deepEqual(credentialsOf(second.requests[0]), []);
    assert.deepEqual(credentialsOf(first.requests[1]), []);
  });

  test("sets Host to its target, even if the caller set it", async (t) => {
    const target = await redirecting(t, () => "unused");
    const first = await redirecting(t, () => `ws://localhost:${target.port}/here`);
    await through(t, `ws://localhost:${first.port}/`, { headers: { Host: "virtual.example" } });
    assert.deepEqual(first.requests[0]?.headers.getAll("host"), ["virtual.example"]);
    assert.deepEqual(target.requests[0]?.headers.getAll("host"), [`localhost:${target.port}`]);
  });

  test("to a host that only looks the same is one to another origin", async (t) => {
    const target = await redirecting(t, () => "unused");
    for (const location of [
      `//localhost:${target.port}/here`,
      `http://localhost:${target.port}/here`,
      `\\\\localhost:${target.port}/here`,
    ]) {
      const first = await redirecting(t, () => location);
      await through(t, `ws://localhost:${first.port}/`);
      assert.deepEqual(credentialsOf(target.requests.at(-1)), [], location);
    }
  });

  // RFC 9110 §10.2.2 permits a fragment in Location; it is meant for browsers
  test("does not send the fragment of its Location", async (t) => {
    const server = await redirecting(t, () => "/here#secret");
    await through(t, `ws://localhost:${server.port}/`);
    assert.equal(server.requests[1]?.target, "/here");
  });

  for (const location of [
    "ws+unix:/var/run/docker.sock:/",
    "file:///etc/passwd",
    "javascript:1",
    "ws://",
    "ws://a b/",
  ]) {
    test(`to ${location} is an error`, async (t) => {
      const { port } = await redirecting(t, () => location);
      await assert.rejects(through(t, `ws://localhost:${port}/`), { code: "REDIRECT_INVALID" });
    });
  }

  test("is followed up to maxRedirects times, and by default not at all", async (t) => {
    const { port, requests } = await redirecting(t, (own) => `ws://localhost:${own}/again`);
    await assert.rejects(through(t, `ws://localhost:${port}/`), { code: "REDIRECT_LIMIT" });
    assert.equal(requests.length, 4);
    await assert.rejects(connect(`ws://localhost:${port}/`, { proxy: false }), { code: "UNEXPECTED_STATUS" });
    assert.equal(requests.length, 5);
  });
});

describe("client: a redirect from wss:", () => {
  const authority = new Authority();
  after(() => authority.remove());
  const tls = { ca: authority.cert };

  for (const scheme of ["ws", "http"]) {
    test(`to ${scheme}: is rejected`, async (t) => {
      const plain = await redirecting(t, () => "unused");
      const server = new WebSocketServer({
        authorize: () => ({ status: 307, headers: { Location: `${scheme}://localhost:${plain.port}/here` } }),
      });
      const { port } = (await server.listen({ tls: authority.issue("DNS:localhost") })) as AddressInfo;
      t.after(() => server.close());
      await assert.rejects(through(t, `wss://localhost:${port}/`, { tls }), { code: "REDIRECT_INSECURE" });
      assert.equal(plain.requests.length, 0);
    });
  }

  test("to another origin does not use the client certificate", async (t) => {
    const asking = { ca: authority.cert, requestCert: true, rejectUnauthorized: false };
    const names: unknown[] = [];
    const ports: number[] = [];
    for (const status of [302, 101]) {
      const https = createServer({ ...authority.issue("DNS:localhost"), ...asking });
      const server = new WebSocketServer({
        authorize: ({ tlsSocket }) => {
          names.push(tlsSocket?.getPeerCertificate().subject?.CN);
          return status === 101 || { status, headers: { Location: `wss://localhost:${ports[1]}/` } };
        },
      }).attach(https);
      https.listen(0, "localhost");
      await once(https, "listening");
      ports.push((https.address() as AddressInfo).port);
      t.after(() => {
        for (const connection of server.connections) connection.terminate();
        https.close();
      });
    }
    const own = authority.issue("DNS:client");
    await through(t, `wss://localhost:${ports[0]}/`, { tls: { ...tls, ...own } });
    assert.deepEqual([typeof names[0], names[1]], ["string", undefined]);
  });
});
