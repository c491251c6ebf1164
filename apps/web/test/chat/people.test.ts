import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../src/chat/outbox.ts";
import { People } from "../../src/chat/people.ts";

test("a person is present until departure, or for 130 s without an announcement", () => {
  const people = new People();
  assert.equal(people.seen("a", "Ada", 0), true);
  assert.equal(people.seen("b", "Bob", 0), true);
  assert.equal(people.seen("a", "Ada", 60_000), false);
  assert.equal(people.expire(129_999), false);
  assert.equal(people.expire(130_000), true);
  assert.deepEqual(people.list(), [{ client: "a", name: "Ada" }]);
  assert.equal(people.seen("a", "Grace", 130_000), true);
  assert.equal(people.left("a"), true);
  assert.equal(people.left("a"), false);
  assert.equal(people.size, 0);
});

test("at most a thousand people are kept, the first ones", () => {
  const people = new People();
  for (let index = 0; index < 1_000; index++) assert.equal(people.seen(String(index), "x", 0), true);
  assert.equal(people.seen("one more", "x", 0), false);
  assert.equal(people.size, 1_000);
  assert.equal(people.seen("7", "y", 0), true);
});

test("a message that has not come back is sent again in order, at most three times", () => {
  const outbox = new Outbox();
  for (const id of ["a", "b", "c"]) outbox.add(id, `text of ${id}`);
  assert.equal(outbox.confirm("b"), true);
  assert.equal(outbox.confirm("b"), false);
  for (let time = 0; time < 3; time++) {
    const { send, givenUp } = outbox.again();
    assert.deepEqual(
      send.map(({ id, text }) => [id, text]),
      [
        ["a", "text of a"],
        ["c", "text of c"],
      ],
    );
    assert.deepEqual(givenUp, []);
    for (const { id } of send) outbox.tried(id);
  }
  assert.deepEqual(outbox.again(), { send: [], givenUp: ["a", "c"] });
  assert.deepEqual(outbox.again(), { send: [], givenUp: [] });
});

test("at most fifty messages are queued", () => {
  const outbox = new Outbox();
  for (let index = 0; index < 50; index++) {
    assert.equal(outbox.full, false);
    outbox.add(String(index), "x");
  }
  assert.equal(outbox.full, true);
  outbox.confirm("0");
  assert.equal(outbox.full, false);
});
