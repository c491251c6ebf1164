import assert from "node:assert/strict";
import { test } from "node:test";
import { checkNavigation, navigationFaults } from "./navigation.mjs";

const sections = [
  { title: "Start", pages: ["README.md", { page: "docs/a.md", title: "A" }] },
  { title: "API", groups: [{ title: "one", pages: ["docs/api/b.md"] }] },
];

test("a complete navigation has no faults", () => {
  assert.deepEqual(
    navigationFaults(sections, ["docs/a.md", "docs/api/b.md"], () => true),
    [],
  );
});

test("a page in no section is a fault", () => {
  assert.deepEqual(
    navigationFaults(sections, ["docs/a.md", "docs/guides/new.md"], () => true),
    ["docs/guides/new.md is in no section of apps/docs/navigation.json: add it, so that the site has it"],
  );
});

test("a page in two places is a fault", () => {
  assert.deepEqual(
    navigationFaults([...sections, { title: "More", pages: ["docs/a.md"] }], [], () => true),
    ["docs/a.md is in apps/docs/navigation.json more than once"],
  );
});

test("an entry without a file is a fault", () => {
  assert.deepEqual(
    navigationFaults(sections, [], (page) => page !== "docs/api/b.md"),
    ["apps/docs/navigation.json has docs/api/b.md, which does not exist"],
  );
});

test("the navigation of the site is complete", () => {
  assert.deepEqual(checkNavigation(), []);
});
