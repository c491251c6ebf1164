import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root, sectionOf, tableRows } from "./support/pages.ts";

for (const name of ["protocol", "tungstate", "ws", "hub", "cli", "create-tungstate"]) {
  test(`docs/architecture.md lists every file of ${name} once, and no other`, () => {
    const folder = join(root, "packages", name, "src");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
    const listed = tableRows(sectionOf("docs/architecture.md", `## ${name}: the files`)).map((row) => {
      assert.ok((row["purpose"] ?? "") !== "", row["file"]);
      return (row["file"] ?? "").replaceAll("`", "");
    });
    assert.ok(files.length > 0);
    assert.deepEqual(
      files.filter((file) => !listed.includes(file)),
      [],
      "files that are not on the page",
    );
    assert.deepEqual(
      listed.filter((file) => !files.includes(file)),
      [],
      "files on the page that are not there",
    );
    assert.equal(new Set(listed).size, listed.length);
  });
}
