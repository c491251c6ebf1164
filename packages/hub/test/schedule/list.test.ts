import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Entry, List } from "../../src/schedule/list.ts";

const valuesOf = (list: List<number>): number[] => {
  const values: number[] = [];
  for (let each = list.first; each !== undefined; each = each.after) values.push(each.value);
  const backwards: number[] = [];
  for (let each = list.last; each !== undefined; each = each.before) backwards.unshift(each.value);
  assert.deepEqual(values, backwards);
  assert.equal(values.length, list.size);
  return values;
};

test("a list equals an array; an entry is in one list at a time", () => {
  const step = fc.record({
    entry: fc.nat(9),
    to: fc.nat(1),
    what: fc.constantFrom("add" as const, "first" as const, "remove" as const),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const entries = Array.from({ length: 10 }, (_, value) => new Entry(value));
      const lists = [new List<number>(), new List<number>()] as const;
      const models: [number[], number[]] = [[], []];
      for (const { entry: value, to, what } of steps) {
        const entry = entries[value];
        const list = lists[to === 0 ? 0 : 1];
        assert.ok(entry !== undefined);
        const at = to === 0 ? 0 : 1;
        const without = (model: number[]): number[] => model.filter((each) => each !== value);
        if (what === "remove") {
          list.remove(entry);
          models[at] = without(models[at]);
        } else {
          models[0] = without(models[0]);
          models[1] = without(models[1]);
          if (what === "add") {
            list.add(entry);
            models[at].push(value);
          } else {
            list.addFirst(entry);
            models[at].unshift(value);
          }
        }
        assert.deepEqual([valuesOf(lists[0]), valuesOf(lists[1])], models);
      }
    }),
  );
});
