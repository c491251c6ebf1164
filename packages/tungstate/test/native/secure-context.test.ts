import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { after, describe, test } from "node:test";
import type { SecureContextOptions } from "node:tls";
import { checkKeysAndCertificates } from "../../src/native/secure-context.ts";
import { Authority } from "../tls/support/certificates.ts";

describe("keys and certificates of a runtime that does not check them", () => {
  const authority = new Authority();
  after(() => authority.remove());
  const [one, other] = [authority.issue(), authority.issue()];
  const encrypted = createPrivateKey(one.key).export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "secret",
  });

  const valid: Readonly<Record<string, SecureContextOptions>> = {
    "a key and its certificate": one,
    "several of them": { key: [one.key, other.key], cert: [one.cert, other.cert] },
    "as bytes": { key: Buffer.from(one.key), cert: Buffer.from(one.cert), ca: Buffer.from(authority.cert) },
    "an encrypted key": { key: encrypted, cert: one.cert, passphrase: "secret" },
    "a key with its own passphrase": { key: [{ pem: encrypted, passphrase: "secret" }], cert: one.cert },
    "48 bytes of ticket keys": { ...one, ticketKeys: Buffer.alloc(48) },
    nothing: {},
  };
  for (const [name, options] of Object.entries(valid)) {
    test(`${name}: accepted`, () => checkKeysAndCertificates(options));
  }

  const invalid: readonly [name: string, options: SecureContextOptions, message: RegExp][] = [
    ["the key of another certificate", { key: one.key, cert: other.cert }, /^key does not belong to cert$/],
    ["a key that is none", { key: "nonsense", cert: one.cert }, /^key cannot be parsed: /],
    ["a public key", { key: createPublicKey(one.key).export({ type: "spki", format: "pem" }) }, /^key cannot be/],
    ["a wrong passphrase", { key: encrypted, cert: one.cert, passphrase: "guess" }, /^key cannot be parsed: /],
    ["a certificate that is none", { key: one.key, cert: "nonsense" }, /^cert cannot be parsed: /],
    ["an authority that is none", { ca: "nonsense" }, /^ca cannot be parsed: /],
    ["47 bytes of ticket keys", { ticketKeys: Buffer.alloc(47) }, /^ticketKeys must have 48 bytes, got 47$/],
    ["49 bytes of ticket keys", { ticketKeys: Buffer.alloc(49) }, /^ticketKeys must have 48 bytes, got 49$/],
  ];
  for (const [name, options, message] of invalid) {
    test(`${name}: rejected`, () => assert.throws(() => checkKeysAndCertificates(options), { message }));
  }
});
