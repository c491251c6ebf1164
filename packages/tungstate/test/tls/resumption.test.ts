import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { createServer, type Server } from "node:tls";
import { secure, type SecureOptions } from "../../src/tls/secure.ts";
import { sharedTlsSessions, TlsSessionCache } from "../../src/tls/session-cache.ts";
import { Authority } from "./support/certificates.ts";

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  describe(`sessions of ${version}`, () => {
    const authority = new Authority();
    let server: Server;
    let port: number;

    before(async () => {
      const { key, cert } = authority.issue();
      server = createServer({ key, cert, maxVersion: version }, (socket) => {
        socket.on("error", () => undefined);
        socket.pipe(socket);
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      ({ port } = server.address() as AddressInfo);
    });
    after(() => {
      server.close();
      authority.remove();
    });

    /** Whether a connection resumed a session. It lasts long enough to receive a new one. */
    async function resumes(options: Partial<SecureOptions> = {}): Promise<boolean> {
      const { stream, info } = await secure(connect(port, "127.0.0.1"), {
        host: "localhost",
        port,
        ca: authority.cert,
        ...options,
      });
      stream.write("x");
      await once(stream, "data");
      stream.destroy();
      return info.resumed;
    }

    test("are resumed from one cache for the process by default", async () => {
      sharedTlsSessions.clear();
      assert.equal(await resumes(), false);
      assert.equal(await resumes(), true);
      assert.equal(await resumes({ sessionCache: false }), false);
      assert.equal(await resumes({ sessionCache: new TlsSessionCache() }), false);
      for (let connection = 0; connection < 5; connection++) assert.equal(await resumes(), true);
      sharedTlsSessions.clear();
    });

    test("are not resumed under other options, another name or another port", async () => {
      const sessionCache = new TlsSessionCache();
      assert.equal(await resumes({ sessionCache }), false);
      const others: Partial<SecureOptions>[] = [
        { host: "127.0.0.1" },
        { servername: "localhost", host: "127.0.0.1" },
        { port: 1 },
        { rejectUnauthorized: false },
        { ca: [authority.cert] },
        { ciphers: "DEFAULT" },
        { checkServerIdentity: () => undefined },
      ];
      for (const options of others) {
        assert.equal(await resumes({ sessionCache, ...options }), false, JSON.stringify(options));
      }
      assert.equal(await resumes({ sessionCache }), true);
    });

    test("several connections at once are resumed, each with its own ticket", async () => {
      const sessionCache = new TlsSessionCache();
      await Promise.all([resumes({ sessionCache }), resumes({ sessionCache })]);
      const resumed = await Promise.all([resumes({ sessionCache }), resumes({ sessionCache })]);
      assert.deepEqual(resumed, [true, true]);
    });

    test("an unknown session costs a full handshake, and is not a failure", async () => {
      const sessionCache = new TlsSessionCache();
      assert.equal(await resumes({ sessionCache }), false);
      server.setTicketKeys(Buffer.alloc(48, 7));
      // TLS 1.2 with session ids would find the session without its ticket; Node's clients use
      // tickets.
      assert.equal(await resumes({ sessionCache }), false);
      assert.equal(await resumes({ sessionCache }), true);
    });

    test("a session does not outlive a peer whose identity changed", async () => {
      const sessionCache = new TlsSessionCache();
      assert.equal(await resumes({ sessionCache }), false);
      const impostor = new Authority("impostor");
      const { key, cert } = impostor.issue();
      server.setSecureContext({ key, cert, maxVersion: version });
      server.setTicketKeys(Buffer.alloc(48, 8));
      await assert.rejects(resumes({ sessionCache }), { code: "TLS_UNKNOWN_AUTHORITY" });
      assert.equal(await resumes({ sessionCache, ca: impostor.cert }), false);
      impostor.remove();
    });
  });
}
