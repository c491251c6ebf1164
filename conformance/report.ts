import { GROUP_TITLES, groupOf } from "./cases/table.ts";
import { whyNot } from "./golden.ts";
import { VERDICTS } from "./runner/evaluate.ts";
import type { Result } from "./runner/run.ts";

/** Formats a table with one line for each group: the number of cases with each verdict. */
export function formatTable(results: readonly Result[]): string {
  const groups = [...new Set(results.map(({ id }) => groupOf(id)))];
  const counted = (some: readonly Result[]): readonly string[] => [
    String(some.length),
    ...VERDICTS.map((verdict) => String(some.filter(({ evaluation }) => evaluation.verdict === verdict).length)),
  ];
  const rows = [
    ["group", "cases", ...VERDICTS],
    ...groups.map((group) => [
      `${group} ${GROUP_TITLES.get(group) ?? ""}`,
      ...counted(results.filter(({ id }) => groupOf(id) === group)),
    ]),
    ["all", ...counted(results)],
  ];
  const widths = [0, ...VERDICTS, ""].map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

/** Formats one line for each case that is not OK: what was expected and what was received. */
export function formatFindings(results: readonly Result[]): string {
  return results
    .filter(({ evaluation }) => evaluation.verdict !== "OK")
    .map(({ id, evaluation }) => `${id} ${evaluation.verdict}: ${whyNot(evaluation)}`)
    .join("\n");
}
