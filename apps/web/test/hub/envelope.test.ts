import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { personOf, readEnvelope } from "../../src/hub/envelope.ts";
import { OwnClients } from "../../src/hub/own-clients.ts";

const NOW = Date.UTC(2026, 10, 21);

test("a publication of a page is decoded; its time is limited to the present", () => {
  const envelope = { id: "12345678", text: "hello", at: NOW - 5 };
  assert.deepEqual(readEnvelope(envelope, NOW), envelope);
  for (const at of [NOW + 1, -1, NaN, 1e99, "1", undefined]) {
    assert.equal(readEnvelope({ ...envelope, at }, NOW).at, NOW);
  }
});

test("other data is decoded as text", () => {
  for (const [data, text] of [
    ["a string", "a string"],
    [{ text: "no id" }, "no id"],
    [{ text: 1, id: "12345678" }, '{"text":1,"id":"12345678"}'],
    [null, "null"],
    [[1], "[1]"],
  ] as const) {
    assert.deepEqual(readEnvelope(data, NOW), { id: undefined, text, at: NOW });
  }
  fc.assert(fc.property(fc.jsonValue(), (data) => typeof readEnvelope(data, NOW).text === "string"));
});

test("a name is cleaned; without a name the author is someone", () => {
  const info = { client: "c", user: "" };
  assert.deepEqual(personOf({ ...info, connInfo: { name: " Ada\u202e " } }), { client: "c", name: "Ada" });
  for (const connInfo of [undefined, null, "Ada", { name: 1 }, { name: "\u200b" }]) {
    assert.equal(personOf({ ...info, connInfo }).name, "someone");
  }
});

test("own client IDs survive a reload, at most a hundred", () => {
  let stored: string | null = null;
  const store = { read: () => stored, keep: (ids: string) => void (stored = ids) };
  const own = new OwnClients(store);
  for (let id = 0; id < 150; id++) own.add(`client-${id}`);
  const reloaded = new OwnClients(store);
  assert.deepEqual([own.has("client-149"), reloaded.has("client-149")], [true, true]);
  assert.deepEqual([reloaded.has("client-50"), reloaded.has("client-49")], [true, false]);
  for (const broken of ["{", "1", '{"length":1}', '[1,{"a":1}]']) {
    assert.equal(new OwnClients({ read: () => broken, keep: () => undefined }).has("1"), false);
  }
});
