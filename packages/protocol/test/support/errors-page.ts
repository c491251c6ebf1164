import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ErrorEntry } from "../../src/errors.ts";

/** A row of any error table; `step` if the table has one. */
export type DocumentedEntry = ErrorEntry & { readonly step?: string };

const PAGE = new URL("../../../../docs/errors.md", import.meta.url);

/**
 * Returns the page's rows after the heading `## <section>`, by column name. Only tables with a
 * column `code` count.
 */
export function documentedErrors(section: string): Record<string, string>[] {
  const page = readFileSync(PAGE, "utf8");
  const [, part] = page.split(`\n## ${section}\n`);
  assert.ok(part !== undefined, `docs/errors.md has no section "${section}"`);
  const rows: Record<string, string>[] = [];
  let columns: string[] | undefined;
  for (const line of part.split(/\n## /)[0].split("\n")) {
    if (!line.startsWith("|")) {
      columns = undefined;
      continue;
    }
    const cells = line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim());
    if (columns === undefined) columns = cells;
    else if (columns.includes("code") && !/^-+$/.test(cells[0])) {
      rows.push(Object.fromEntries(columns.map((column, i) => [column, cells[i] ?? ""])));
    }
  }
  return rows;
}

/** The close code or status of the page. */
function sent({ closeCode, status }: DocumentedEntry): string {
  if (closeCode !== undefined) return `Close ${closeCode}`;
  return status === undefined ? "–" : `HTTP ${status}`;
}

/**
 * Compares a section of docs/errors.md with its tables in both directions: the same codes, and
 * equal contents of each row.
 */
export function checkErrorsPage(
  section: string,
  ...tables: readonly Readonly<Record<string, DocumentedEntry>>[]
): void {
  const rows = documentedErrors(section);
  const entries = new Map(tables.flatMap((table) => Object.entries(table)));
  const codes = rows.map((row) => (row["code"] ?? "").replaceAll("`", ""));
  assert.deepEqual([...codes].sort(), [...entries.keys()].sort(), `the codes of ${section}, each once`);
  for (const [at, code] of codes.entries()) {
    const entry = entries.get(code);
    assert.ok(entry !== undefined);
    const row = rows[at];
    const expected: Record<string, string> = { fault: entry.fault, sent: sent(entry), "what happened": entry.text };
    if (entry.step !== undefined) expected["step"] = entry.step;
    for (const [column, text] of Object.entries(expected)) assert.equal(row[column], text, `${code}: ${column}`);
    assert.match(row["what to do"] ?? "", /^[A-Z`].*\.$/, `${code}: what to do is a sentence`);
  }
}
