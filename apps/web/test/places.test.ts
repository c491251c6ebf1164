import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hashOf, LOBBY, placeOf, roomName, titleOf } from "../src/places.ts";

test("placeOf reverses hashOf", () => {
  for (const place of [LOBBY, { kind: "broadcast" }, { kind: "server" }, { kind: "room", name: "a/b ?#%&" }] as const) {
    assert.deepEqual(placeOf(hashOf(place)), place);
  }
  for (const hash of ["", "#", "#/", "#/room/", "#/room/%", "#/room/%E0%A4", "#/room/%20", "#lobby", "#/nothing"]) {
    assert.deepEqual(placeOf(hash), LOBBY, hash);
  }
  assert.deepEqual([LOBBY, placeOf("#/broadcast"), placeOf("#/server")].map(titleOf), ["lobby", "Broadcast", "Server"]);
});

test("a room name may have any visible characters, and is the name of a channel", () => {
  assert.equal(roomName(" public:lobby "), "lobby");
  assert.equal(roomName("#lobby"), "lobby");
  assert.equal(roomName("two\nlines\u202e"), "two lines");
  assert.equal(roomName("\u200b"), undefined);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
      const name = roomName(text);
      if (name === undefined) return;
      assert.deepEqual(placeOf(hashOf({ kind: "room", name })), { kind: "room", name });
      assert.ok(Buffer.byteLength(`public:${name}`) <= 255, name);
      assert.doesNotMatch(name, /[\p{Cc}\p{Cs}]/u);
    }),
  );
});
