import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Presence } from "../../src/hub/presence.ts";

const person = (client: string, name = client): { client: string; name: string } => ({ client, name });
const clients = (presence: Presence): string[] => presence.list("").map(({ client }) => client);

test("a list with later joins and leaves is sorted: the user first, the others by name", () => {
  const presence = new Presence();
  presence.asked();
  presence.answered([person("1", "Zoe"), person("2", "Ada"), person("3", "Mia")]);
  presence.joined(person("4", "Bob"));
  presence.left("3");
  assert.deepEqual(
    presence.list("1").map(({ name }) => name),
    ["Zoe", "Ada", "Bob"],
  );
  assert.equal(presence.size, 3);
});

test("joins and leaves during the request count once, in the list or not", () => {
  // The server's state is the truth; the list is a snapshot of it taken at some point during the
  // request.
  const events = fc.array(fc.record({ client: fc.integer({ min: 0, max: 5 }), join: fc.boolean() }), { maxLength: 20 });
  fc.assert(
    fc.property(events, fc.nat(), fc.nat(), fc.nat(), (wanted, a, b, c) => {
      const [asked = 0, taken = 0, answered = 0] = [a, b, c]
        .map((at) => at % (wanted.length + 1))
        .sort((x, y) => x - y);
      const here = new Map<number, string>();
      const presence = new Presence();
      let list: string[] = [];
      let id = 0;
      for (let at = 0; at <= wanted.length; at++) {
        if (at === asked) presence.asked();
        if (at === taken) list = [...here.values()];
        if (at === answered) presence.answered(list.map((client) => person(client)));
        const event = wanted[at];
        if (event === undefined) continue;
        const now = here.get(event.client);
        if (event.join && now === undefined) {
          const client = `client-${id++}`;
          here.set(event.client, client);
          presence.joined(person(client));
        } else if (!event.join && now !== undefined) {
          here.delete(event.client);
          presence.left(now);
        }
      }
      assert.deepEqual(clients(presence).toSorted(), [...here.values()].toSorted());
    }),
  );
});

test("above a limit only the count is known", () => {
  const presence = new Presence();
  presence.asked();
  presence.answeredByCount(5_000);
  presence.joined(person("x"));
  presence.left("y");
  presence.left("z");
  assert.equal(presence.size, 4_999);
  assert.deepEqual(presence.list(""), []);

  const crowd = new Presence();
  crowd.asked();
  crowd.answered([]);
  for (let client = 0; client < 1_000; client++) crowd.joined(person(String(client)));
  crowd.left("7");
  assert.deepEqual([crowd.size, crowd.list("").length], [999, 0]);
});
