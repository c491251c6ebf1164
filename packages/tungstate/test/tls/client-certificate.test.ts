// With TLS 1.3, a server rejects the client's certificate after the client has completed its TLS
// handshake, while it waits for the response to its WebSocket handshake.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { after, before, describe, test, type TestContext } from "node:test";
import { clientTls, connect, type ConnectOptions } from "../../src/client/connect.ts";
import { ConnectError } from "../../src/errors.ts";
import { reconnecting } from "../../src/reconnecting/reconnecting.ts";
import { closedPort } from "../dial/support/peers.ts";
import { Authority } from "./support/certificates.ts";

let authority: Authority;
before(() => (authority = new Authority()));
after(() => authority.remove());

/** A server that requires a certificate of the authority. Resolves with its port. */
async function demanding(t: TestContext): Promise<number> {
  const { keyFile, certFile } = authority.issue();
  const port = await closedPort();
  const own = ["-accept", `127.0.0.1:${port}`, "-key", keyFile, "-cert", certFile];
  const checks = ["-tls1_3", "-Verify", "1", "-verify_return_error", "-CAfile", authority.certFile];
  const child = spawn("openssl", ["s_server", ...own, ...checks], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  for (let said = ""; !said.includes("ACCEPT");) said += String((await once(child.stdout, "data"))[0]);
  return port;
}

type Tls = NonNullable<ConnectOptions["tls"]>;

/** Ways to open a connection with TLS. Each rejects with its error. */
const ROUTES: Readonly<Record<string, (t: TestContext, port: number, tls: Tls) => Promise<unknown>>> = {
  connect: (_t, port, tls) => connect(`wss://127.0.0.1:${port}/`, { proxy: false, tls }),
  clientTls: async (t, port, tls) => {
    const socket = connectTcp(port, "127.0.0.1");
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return await clientTls(`wss://127.0.0.1:${port}/`, socket, { tls });
  },
  "reconnecting, which does not try again,": (t, port, tls) => {
    const connection = reconnecting(`wss://127.0.0.1:${port}/`, { proxy: false, tls });
    t.after(() => connection.terminate());
    return connection.ready();
  },
};

for (const [name, open] of Object.entries(ROUTES)) {
  describe(`with TLS 1.3, ${name} reports TLS_CLIENT_CERTIFICATE`, () => {
    test("without a client certificate", async (t) => {
      await assert.rejects(open(t, await demanding(t), { ca: authority.cert }), isCertificateError);
    });

    test("with a client certificate of an unknown authority", async (t) => {
      const { key, cert } = authority.selfSigned();
      await assert.rejects(open(t, await demanding(t), { ca: authority.cert, key, cert }), isCertificateError);
    });
  });
}

function isCertificateError(error: unknown): boolean {
  assert.ok(error instanceof ConnectError, String(error));
  assert.deepEqual([error.code, error.step, error.fault], ["TLS_CLIENT_CERTIFICATE", "tls", "local"]);
  return true;
}
