import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cleanName, friendlyName, MAX_NAME_LENGTH } from "../../src/chat/names.ts";
import { decodePacket, describeBinary, encodePacket, type Packet } from "../../src/chat/wire.ts";

const client = "client-0";

test("decode reverses encode", () => {
  const packets: Packet[] = [
    { type: "message", client, name: "Ada", id: "message-0", text: "<b>hi</b>\n\u2028" },
    { type: "hello", client, name: "Ada" },
    { type: "here", client, name: "Ada" },
    { type: "bye", client },
  ];
  for (const packet of packets) assert.deepEqual(decodePacket(encodePacket(packet)), packet);
});

test("other messages are foreign, and those of a later page are ignored", () => {
  for (const data of ["", "hello", "{", "[]", "null", "{}", '"x"', '{"chat":"1"}', ' {"chat":1}', '{"type":"here"}']) {
    assert.equal(decodePacket(data), "foreign", data);
  }
  const packet = { chat: 1, type: "message", client, name: "Ada", id: "message-0", text: "hi" };
  for (const wrong of [
    { chat: 2 },
    { type: "song" },
    { type: "__proto__" },
    { client: 1 },
    { client: "short" },
    { client: "<script>" },
    { client: "x".repeat(65) },
    { name: "" },
    { name: "\u200b" },
    { name: {} },
    { id: undefined },
    { id: "no spaces" },
    { text: "" },
    { text: ["hi"] },
  ]) {
    assert.equal(decodePacket(JSON.stringify({ ...packet, ...wrong })), "ignored", JSON.stringify(wrong));
  }
});

test("decode accepts any bytes without throwing", () => {
  fc.assert(fc.property(fc.string(), (data) => typeof decodePacket(data) === "string"));
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const decoded = decodePacket(JSON.stringify({ chat: 1, type: "here", client, name: value }));
      if (typeof decoded === "object" && "name" in decoded) assert.equal(cleanName(decoded.name), decoded.name);
    }),
  );
});

test("a cleaned name is one visible line", () => {
  assert.equal(cleanName("  Ada \n\t Lovelace\u202e\u0000 "), "Ada Lovelace");
  for (const nothing of ["", " ", "\u200b", "\u202e\u2066", "\u3164", "\u0301", "\u200d"]) {
    assert.equal(cleanName(nothing), undefined, JSON.stringify(nothing));
  }
  for (const name of ["李", "👩‍🔬", "می‌خواهم", "O'Neill & Söhne <x>"]) assert.equal(cleanName(name), name);
  assert.equal([...(cleanName("🌡".repeat(40)) ?? "")].length, MAX_NAME_LENGTH);
});

test("generated names are valid", () => {
  for (const random of [0, 0.3, 0.999_999]) {
    const name = friendlyName(() => random);
    assert.match(name, /^[A-Z][a-z]+ [A-Z][a-z]+$/);
    assert.equal(cleanName(name), name);
  }
});

test("bytes are described in words", () => {
  assert.equal(describeBinary(new Uint8Array(0)), "no bytes");
  assert.equal(describeBinary(Uint8Array.of(10)), "1 byte: 0a");
  assert.equal(describeBinary(new Uint8Array(16)), `16 bytes: ${"00 ".repeat(16).trim()}`);
  assert.equal(describeBinary(new Uint8Array(5_000)), `5,000 bytes: ${"00 ".repeat(16)}…`);
});
