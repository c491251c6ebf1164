import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { acceptValue, encodeBase64, isKey, makeKey } from "../../src/handshake/accept-key.ts";
import { bytes, refusedWith, SAMPLE_ACCEPT, SAMPLE_KEY, sampleNonce, sha1 } from "./support.ts";

// RFC 4648 §10
const VECTORS: readonly (readonly [string, string])[] = [
  ["", ""],
  ["f", "Zg=="],
  ["fo", "Zm8="],
  ["foo", "Zm9v"],
  ["foob", "Zm9vYg=="],
  ["fooba", "Zm9vYmE="],
  ["foobar", "Zm9vYmFy"],
  ["\xfb\xef\xff", "++//"],
];

describe("base64", () => {
  for (const [plain, encoded] of VECTORS) {
    it(`${JSON.stringify(encoded)}`, () => assert.equal(encodeBase64(bytes(plain)), encoded));
  }

  it("equals other implementations", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (source) =>
        assert.equal(encodeBase64(source), Buffer.from(source).toString("base64")),
      ),
    );
  });
});

describe("key and accept value", () => {
  it("are those of RFC 6455 §1.3", () => {
    assert.equal(makeKey(sampleNonce), SAMPLE_KEY);
    assert.equal(acceptValue(SAMPLE_KEY, sha1), SAMPLE_ACCEPT);
  });

  it("a key has 16 bytes", () => {
    assert.ok(isKey(SAMPLE_KEY));
    assert.ok(
      isKey("AQIDBAUGBwgJCgsMDQ4PEC=="),
      "RFC 6455 §4.1 has this one, with bits set that its padding leaves over",
    );
    for (const wrong of [
      "",
      "AAAA",
      SAMPLE_KEY.slice(0, -1),
      `${SAMPLE_KEY}=`,
      "A".repeat(24),
      `${"A".repeat(20)}A===`,
      `${"A".repeat(21)} ==`,
      `${"A".repeat(21)}\n==`,
      `${"A".repeat(21)}-==`,
      `${"A".repeat(21)}_==`,
      `${"A".repeat(21)}\u0141==`,
      `=${"A".repeat(21)}==`,
      `${"A".repeat(10)}=${"A".repeat(11)}==`,
    ]) {
      assert.ok(!isKey(wrong), wrong);
    }
    for (const size of [15, 17, 18]) assert.ok(!isKey(encodeBase64(new Uint8Array(size))));
  });

  it("a hash of another size is the caller's error", () => {
    assert.throws(
      () => acceptValue(SAMPLE_KEY, () => new Uint8Array(32)),
      refusedWith("INVALID_ARGUMENT", /sha1 must be 20 bytes, got "32 bytes"/),
    );
  });
});
