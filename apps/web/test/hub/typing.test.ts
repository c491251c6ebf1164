import assert from "node:assert/strict";
import { test } from "node:test";
import { Typing } from "../../src/hub/typing.ts";

test("a typing indicator is valid for six seconds, or until it is withdrawn", () => {
  const typing = new Typing();
  typing.typing({ client: "a", name: "Ada" }, 0);
  typing.typing({ client: "b", name: "Bob" }, 1_000);
  assert.deepEqual(typing.names(5_999), ["Ada", "Bob"]);
  assert.equal(typing.next(), 6_000);
  assert.deepEqual(typing.names(6_000), ["Bob"]);
  typing.typing({ client: "b", name: "Bob" }, 6_500);
  assert.deepEqual(typing.names(12_000), ["Bob"]);
  typing.stopped("b");
  assert.deepEqual(typing.names(12_000), []);
  assert.equal(typing.next(), undefined);
});

test("at most fifty typing people are kept", () => {
  const typing = new Typing();
  for (let client = 0; client < 1_000; client++) typing.typing({ client: String(client), name: "x" }, client);
  assert.equal(typing.names(1_000).length, 50);
});
