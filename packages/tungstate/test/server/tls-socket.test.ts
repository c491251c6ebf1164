// `request.tlsSocket` tells who the client is, on every route with TLS.
import assert from "node:assert/strict";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TlsOptions } from "node:tls";
import { connect } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import { Authority, type CertificateOptions } from "../tls/support/certificates.ts";

const authority = new Authority();

function identity(options: CertificateOptions): { readonly key: string; readonly cert: string } {
  const { key, cert } = authority.issue(options);
  return { key, cert };
}

const TLS: TlsOptions = {
  ...identity({ names: "DNS:localhost" }),
  ca: authority.cert,
  requestCert: true,
  rejectUnauthorized: false,
};

/** Starts a server; returns its port and a function that ends it. */
type Start = (server: WebSocketServer) => Promise<{ readonly port: number; end(): unknown }>;

const ROUTES: Readonly<Record<string, Start>> = {
  "listen({ tls })": async (server) => {
    const { port } = (await server.listen({ port: 0, host: "127.0.0.1", tls: TLS })) as AddressInfo;
    return { port, end: () => undefined };
  },
  "listen({ tls, http })": async (server) => {
    const http = createHttp();
    const { port } = (await server.listen({ port: 0, host: "127.0.0.1", tls: TLS, http })) as AddressInfo;
    return { port, end: () => undefined };
  },
  "attach to node:https": async (server) => {
    const https = createHttps(TLS);
    server.attach(https);
    https.listen(0, "127.0.0.1");
    await once(https, "listening");
    return { port: (https.address() as AddressInfo).port, end: () => https.close() };
  },
};

for (const transport of ["auto", "socket"] as const) {
  for (const [name, start] of Object.entries(ROUTES)) {
    test(`${name}, transport ${transport}: authorize reads the client's certificate`, async () => {
      const seen: unknown[] = [];
      const server = new WebSocketServer({
        transport,
        authorize: ({ tlsSocket }) => {
          const { subject } = tlsSocket?.getPeerCertificate() ?? {};
          seen.push([typeof subject?.CN, tlsSocket?.authorized]);
          return true;
        },
      });
      const { port, end } = await start(server);
      const url = `wss://127.0.0.1:${port}/`;
      const tls = { ca: authority.cert, servername: "localhost" };
      const known = await connect(url, { proxy: false, tls: { ...tls, ...identity({ client: true }) } });
      const unknown = await connect(url, { proxy: false, tls });
      assert.deepEqual(seen, [
        ["string", true],
        ["undefined", false],
      ]);
      known.terminate();
      unknown.terminate();
      end();
      await server.close();
    });
  }
}

test("a request without TLS has no tlsSocket", async () => {
  const seen: unknown[] = [];
  const server = new WebSocketServer({ authorize: ({ tlsSocket }) => seen.push(tlsSocket) > 0 });
  const { port } = (await server.listen({ port: 0, host: "127.0.0.1" })) as AddressInfo;
  (await connect(`ws://127.0.0.1:${port}/`, { proxy: false })).terminate();
  assert.deepEqual(seen, [undefined]);
  await server.close();
});
