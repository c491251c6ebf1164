import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const folder = new URL(".", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), "utf8");

const rows = read("README.md")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| class "))
  .map((line) => {
    const [name = "", known = "", link = "", ends = "", holds = ""] = line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim());
    return { name, known, file: /\((.*)\)/.exec(link)?.[1] ?? "", ends: ends.split(", "), holds };
  })
  .filter(({ file }) => file !== "");

/** Defects found in this project itself. */
const OWN = "Tungstate 0.1";

test("the table lists each file of the folder once, and no other", () => {
  const files = readdirSync(fileURLToPath(folder)).filter(
    (file) => file.endsWith(".test.ts") && file !== "index.test.ts",
  );
  assert.deepEqual(rows.map(({ file }) => file).toSorted(), files.toSorted());
  assert.ok(rows.length > 20);
});

for (const { name, known, file, ends, holds } of rows) {
  test(`${name}: the file is named after its class and source, and tests the ends in the table`, () => {
    assert.equal(file.split(".")[0], name.toLowerCase().replace(" and ", " ").replaceAll(" ", "-"));
    const numbers = [...known.matchAll(/CVE-\d+-\d+/g)].map(([number]) => number.toLowerCase());
    const inName = file.slice(0, -".test.ts".length).split(".").slice(1);
    if (numbers.length > 0) assert.deepEqual(inName, numbers);
    else assert.deepEqual(inName.join("."), known === OWN ? "tungstate-0.1" : "websockets-16.1");
    const text = read(file);
    for (const [number] of known.matchAll(/CVE-\d+-\d+/g))
      assert.ok(text.startsWith("//") && text.includes(number), number);
    const titles = [...text.matchAll(/(?:test|describe)\(\s*[`"']([^`]*?)[`"'],/gs)]
      .map(([, title]) => title)
      .join("\n");
    for (const end of ["server", "client", "hub", "cli"]) {
      const byRole = titles.includes("${role}") && (end === "server" || end === "client");
      const isTested = byRole || new RegExp(`\\b${end}\\b`).test(titles);
      if (ends.includes(end)) assert.ok(isTested, `no test of ${file} covers ${end}`);
    }
    assert.ok(ends.length > 0 && holds.length > 20);
  });
}
