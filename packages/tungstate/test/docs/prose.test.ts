import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readPage, root, tableRows } from "./support/pages.ts";

const MAX_CELL = 150; // characters; a longer text is a paragraph below the table

const pages = ["docs", "docs/api", "docs/guides"]
  .flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith(".md"))
      .map((file) => `${folder}/${file}`),
  )
  .concat(
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    ["protocol", "tungstate", "hub", "cli", "create-tungstate"].map((name) => `packages/${name}/README.md`),
  );

for (const page of pages) {
  test(`${page}: no table cell has more than ${MAX_CELL} characters`, () => {
    const cells = tableRows(readPage(page)).flatMap((row) => Object.values(row));
    assert.deepEqual(
      cells.filter((cell) => cell.length > MAX_CELL),
      [],
    );
  });
}

test("old names of docs/renames.md are on no other page", () => {
  const renamed = tableRows(readPage("docs/renames.md"));
  assert.ok(renamed.length > 10);
  const current = pages.filter((page) => !["docs/renames.md", "CHANGELOG.md"].includes(page));
  for (const { before = "" } of renamed) {
    if (before === "") continue;
    assert.deepEqual(
      current.filter((page) => readPage(page).includes(before)),
      [],
      before,
    );
  }
});
