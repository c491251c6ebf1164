import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DEFAULT_HEAD_LIMITS, DEFAULT_LIMITS } from "@tungstate/protocol";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const page = read("SECURITY.md");
const api = readdirSync(join(root, "docs/api"))
  .map((file) => read(`docs/api/${file}`))
  .join("\n## \n");

/**
 * Returns the cells of a table's rows after a heading or the start of the page, without the row of
 * dashes.
 */
function rowsOf(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^\|[\s:|-]+$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

function between(text: string, from: string, to: string): string {
  const start = text.indexOf(from);
  assert.ok(start >= 0, from);
  const end = text.indexOf(to, start + from.length);
  return text.slice(start, end < 0 ? undefined : end);
}

/** Returns the default of an option in docs/api, which another test compares with the code. */
function defaultOf(kind: string, option: string): string | undefined {
  const [head = [], ...rows] = rowsOf(between(api, `## \`${kind}\`\n`, "\n## "));
  const column = head.indexOf("default");
  return rows.find(([name]) => name === `\`${option}\``)?.[column];
}

const bounds = rowsOf(between(page, "### Limits of connections", "### Limits on each route")).slice(1);
const hubBounds = rowsOf(between(page, "### Limits of the hub", "How the hub keeps")).slice(1);

describe("SECURITY.md: the defaults", () => {
  for (const [, option = "", said] of bounds) {
    test(`${option} equals that of docs/api`, () => {
      const [kind = "", name = ""] = option.replaceAll("`", "").split(".");
      assert.equal(said, defaultOf(kind, name));
    });
  }

  test("of sizes equal those of the code", () => {
    const said = (option: string): number => {
      const [, digits = "", unit = ""] =
        /^([\d,]+)(?: ([KM])iB)?$/.exec(bounds.find((row) => row[1]?.endsWith(`.${option}\``))?.[2] ?? "") ?? [];
      return Number(digits.replaceAll(",", "")) * (unit === "K" ? 1024 : unit === "M" ? 1024 ** 2 : 1);
    };
    for (const [name, value] of Object.entries({ ...DEFAULT_LIMITS, ...DEFAULT_HEAD_LIMITS }))
      assert.equal(said(name), value, name);
  });

  test("of the hub equal those of the code, and are complete", () => {
    const limits = between(read("packages/hub/src/settings/limits.ts"), "const DEFAULT_LIMITS", "};");
    const inCode = [...limits.matchAll(/^ {2}(\w+): (\w+),$/gm)].map(([, name = "", value = ""]) => {
      const digits = value.replaceAll("_", "");
      return [`\`${name}\``, /^\d+$/.test(digits) ? Number(digits).toLocaleString("en") : `\`${value}\``] as const;
    });
    assert.ok(inCode.length > 5);
    assert.deepEqual(new Map(hubBounds.map(([, option = "", said = ""]) => [option, said])), new Map(inCode));
  });
});

test("SECURITY.md: its links resolve, and its commands exist", () => {
  const { scripts } = JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> };
  for (const [, target = ""] of page.matchAll(/\]\(([^)]+)\)/g))
    assert.ok(existsSync(join(root, target.replace(/#.*$/, ""))), target);
  for (const [, name = ""] of page.matchAll(/npm run (\w+)/g)) assert.ok(name in scripts, name);
});
