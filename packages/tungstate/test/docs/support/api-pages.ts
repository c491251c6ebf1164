import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readPage, root, tableRows } from "./pages.ts";

// The pages in docs/api follow a few conventions, so that tests can compare them with the code:
//
// - "Exported by `x`." names the entry that the following text documents.
// - A heading of one name, such as "## `CloseInfo`" or "## `dial(target, options?)`", documents an
//   export.
// - Below it, a row of a table with the column `option`, `member` or `event` documents a member of
//   it, and so does a heading such as "### `connection.ping(payload?)`".
// - "All of `X`" says that it has the members of X, too.
// - A row of a table with the column `export` documents an export that needs no heading.

type Row = Readonly<Record<string, string>>;

/** An export with its own heading. */
export interface Part {
  readonly page: string;
  readonly entry: string;
  readonly name: string;
  /** Exports whose members it also has. */
  readonly parents: readonly string[];
  /** Rows that document members. */
  readonly rows: readonly Row[];
  /** Members with a row or a heading. */
  readonly members: readonly string[];
}

/** The documentation of one page. */
export interface ApiPage {
  readonly path: string;
  readonly parts: readonly Part[];
  /** Exports by entry, those with a heading and those with a row. */
  readonly exports: readonly { readonly entry: string; readonly name: string }[];
}

/** Names in code at the start of a table row: both of `a`, `b(c)`. */
export function namesOf(row: Row): string[] {
  return [...(Object.values(row)[0] ?? "").matchAll(/`(\w+)[^`]*`/g)].map(([, name = ""]) => name);
}

const MEMBER_COLUMNS = ["option", "member", "event"];

/** All pages of a folder in docs/, except its index. */
export function apiPages(folder = "docs/api"): ApiPage[] {
  return readdirSync(join(root, folder))
    .filter((file) => file.endsWith(".md") && file !== "README.md")
    .map((file) => readApiPage(`${folder}/${file}`));
}

function readApiPage(path: string): ApiPage {
  const parts: Part[] = [];
  const exports: { entry: string; name: string }[] = [];
  let entry: string | undefined;
  let open: { part: Part & { rows: Row[]; members: string[] }; level: number } | undefined;
  for (const section of sectionsOf(readPage(path))) {
    const name = /^`(\w+)(\(.*\))?`$/.exec(section.heading)?.[1];
    const members = [...section.heading.matchAll(/`\w+\.(\w+)(\([^`]*\))?`/g)].map(([, member = ""]) => member);
    const said = /^Exported by `([^`]+)`\.$/m.exec(section.text)?.[1];
    if (said !== undefined) entry = said;
    if (open !== undefined && section.level <= open.level) open = undefined;
    if (name !== undefined) {
      assert.ok(entry !== undefined, `${path} says which entry exports ${name}`);
      const [inherited = ""] = /^All of `.*$/m.exec(section.text) ?? [];
      const parents = [...inherited.matchAll(/`(\w+)`/g)].map(([, parent = ""]) => parent);
      const part = { page: path, entry, name, parents, rows: [], members: [] };
      open = { part, level: section.level };
      parts.push(part);
      exports.push({ entry, name });
    } else if (members.length > 0) {
      assert.ok(open !== undefined, `${path}: ${section.heading} is below the heading of what it is a member of`);
      open.part.members.push(...members);
    }
    for (const row of tableRows(section.text)) {
      const [column = ""] = Object.keys(row);
      if (column === "export") {
        assert.ok(entry !== undefined, `${path} says which entry exports ${namesOf(row).join()}`);
        for (const each of namesOf(row)) exports.push({ entry, name: each });
      } else if (MEMBER_COLUMNS.includes(column)) {
        assert.ok(
          open !== undefined,
          `${path}: ${Object.values(row)[0]} is below the heading of what it is a member of`,
        );
        open.part.rows.push(row);
        open.part.members.push(...namesOf(row));
      }
    }
  }
  return { path, parts, exports };
}

interface Section {
  readonly level: number;
  readonly heading: string;
  /** Down to the next heading of any level. */
  readonly text: string;
}

function sectionsOf(page: string): Section[] {
  const withoutCode = page.replace(/^```.*?^```$/gms, "");
  return [...withoutCode.matchAll(/^(#+) ([^\n]*)\n(.*?)(?=^#+ |$(?![^]))/gms)].map(
    ([, marks = "", heading = "", text = ""]) => ({
      level: marks.length,
      heading,
      text,
    }),
  );
}
