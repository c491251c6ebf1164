// `tungstate connect --cert --key` against a server that requests a client certificate.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { accept } from "tungstate";
import { selfSigned } from "../support/certificate.ts";
import { Program } from "../support/program.ts";

const PASSPHRASE = "open sesame";

describe("tungstate connect with a client certificate", { concurrency: 3 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-client-cert-"));
  const file = (name: string): string => join(folder, name);
  let url = "";
  const subjects: string[] = [];
  const { cert, key } = selfSigned(folder);
  const server = createServer({ cert, key, ca: cert, requestCert: true }, (socket: TLSSocket) => {
    subjects.push(String(socket.getPeerCertificate().subject.CN));
    void accept(socket).then((connection) => connection.close(1000));
  });
  server.on("tlsClientError", () => undefined);

  before(async () => {
    writeFileSync(file("both.pem"), `${cert}${key}`);
    writeFileSync(file("nothing.pem"), "nothing\n");
    const encrypt = ["pkcs8", "-topk8", "-in", file("key.pem"), "-passout", `pass:${PASSPHRASE}`];
    execFileSync("openssl", [...encrypt, "-out", file("encrypted.pem")]);
    cpSync(file("cert.pem"), file("own.pem"));
    cpSync(file("key.pem"), file("own-key.pem"));
    selfSigned(folder); // another certificate, in cert.pem and key.pem
    assert.notEqual(readFileSync(file("key.pem"), "utf8"), key);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    url = `wss://localhost:${address.port}/`;
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  const connectWith = (...args: readonly string[]): Program =>
    new Program("connect", "-q", "--ca", file("own.pem"), ...args, url);

  for (const [title, args] of [
    ["--cert and --key", () => ["--cert", file("own.pem"), "--key", file("own-key.pem")]],
    ["--cert with the key in the same file", () => ["--cert", file("both.pem")]],
    [
      "a key with a passphrase",
      () => ["--cert", file("own.pem"), "--key", file("encrypted.pem"), "--passphrase", PASSPHRASE],
    ],
  ] as const) {
    test(`connect sends the client certificate: ${title}`, async () => {
      await using program = connectWith(...args());
      assert.deepEqual(await program.exited, { code: 0, signal: null }, program.stderr);
      assert.equal(subjects.at(-1), "localhost");
    });
  }

  test("connect without --cert is rejected by the server", async () => {
    await using program = connectWith();
    assert.deepEqual(await program.exited, { code: 1, signal: null });
    assert.match(program.stderr, /^tungstate: (TLS|handshake): .*\n$/);
  });

  for (const [title, args, line] of [
    ["no such file", () => ["--cert", file("none.pem")], /--cert \S+none\.pem: no such file$/m],
    ["a file without certificates", () => ["--cert", file("nothing.pem")], /--cert \S+nothing\.pem: .* in PEM/],
    ["a certificate without its key", () => ["--cert", file("own.pem")], /--cert \S+own\.pem: .*private key in PEM/],
    ["a key without its certificate", () => ["--key", file("own-key.pem")], /--key requires --cert/],
    ["another key", () => ["--cert", file("own.pem"), "--key", file("key.pem")], /does not match the certificate/],
    [
      "a missing passphrase",
      () => ["--cert", file("own.pem"), "--key", file("encrypted.pem")],
      /is encrypted; pass its passphrase with --passphrase or TUNGSTATE_PASSPHRASE/,
    ],
    [
      "a wrong passphrase",
      () => ["--cert", file("own.pem"), "--key", file("encrypted.pem"), "--passphrase", "wrong"],
      /--key \S+encrypted\.pem: the passphrase in --passphrase or TUNGSTATE_PASSPHRASE does not decrypt the private key/,
    ],
  ] as const) {
    test(`connect prints one line about ${title}`, async () => {
      await using program = connectWith(...args());
      assert.deepEqual(await program.exited, { code: 1, signal: null });
      assert.match(program.stderr, /^tungstate: usage: [^\n]*\n$/);
      assert.match(program.stderr, line);
      assert.doesNotMatch(program.stderr, /wrong$/);
    });
  }
});
