import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ClientHandshake } from "../../src/handshake/client-handshake.ts";
import { ServerHandshake } from "../../src/handshake/server-handshake.ts";
import { acceptValue } from "../../src/handshake/accept-key.ts";
import { portableSha1 } from "../../src/handshake/sha1.ts";
import { bytes, SAMPLE_ACCEPT, SAMPLE_KEY, sampleNonce } from "./support.ts";

const hex = (hash: Uint8Array): string => Buffer.from(hash).toString("hex");
const expected = (data: Uint8Array): string => createHash("sha1").update(data).digest("hex");

describe("the portable SHA-1", () => {
  // RFC 3174 §7.3
  const VECTORS: readonly [text: string, repeated: number, hash: string][] = [
    ["abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"],
    ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"],
    ["a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"],
    [
      "0123456701234567012345670123456701234567012345670123456701234567",
      10,
      "dea356a2cddd90c7a7ecedc5ebb563934f460452",
    ],
  ];
  for (const [text, repeated, hash] of VECTORS) {
    it(`of ${repeated} times "${text}"`, () => assert.equal(hex(portableSha1(bytes(text.repeat(repeated)))), hash));
  }

  it("of every length around the blocks is that of OpenSSL", () => {
    for (let length = 0; length <= 200; length++) {
      const data = new Uint8Array(length).fill(0xa5);
      assert.equal(hex(portableSha1(data)), expected(data), String(length));
    }
  });

  it("of any bytes is that of OpenSSL", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (data) => hex(portableSha1(data)) === expected(data)));
  });

  it("is the default of handshakes and of acceptValue", () => {
    assert.equal(acceptValue(SAMPLE_KEY), SAMPLE_ACCEPT);
    const client = new ClientHandshake({ host: "example.com", target: "/", random: sampleNonce });
    const server = new ServerHandshake();
    assert.equal(server.receive(client.request()).state, "request");
    const { response } = server.accept();
    assert.ok(Buffer.from(response).includes(SAMPLE_ACCEPT));
    assert.equal(client.receive(response).state, "open");
  });
});
