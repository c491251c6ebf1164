import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Row } from "./programs.ts";
import { ENGINES } from "./project.ts";
import type { RunResult } from "./run.ts";

const DOCUMENT = fileURLToPath(new URL("../docs/compat.md", import.meta.url));
const BEGIN = "<!-- programs: npm run compat -- --write -->";
const END = "<!-- end of programs -->";

function cell(result: RunResult | undefined): string {
  if (result === undefined) return "not run";
  return result.failure === undefined ? `${result.passed} passed` : `${result.passed} passed, then failed`;
}

/** Returns the results as a Markdown table with aligned columns. */
export function table(rows: readonly Row[]): string {
  const lines = [
    ["program", "version", "scenario", "ws 8.23", "@tungstate/ws"],
    ...rows.map(({ program, version, results }) => [
      program.name,
      version,
      program.covers,
      ...ENGINES.map((engine) => cell(results.get(engine))),
    ]),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const format = (line: readonly string[]): string =>
    `| ${line.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = lines;
  return [format(head), format(widths.map((width) => "-".repeat(width))), ...body.map(format)].join("\n");
}

/** Replaces the table of docs/compat.md. Returns its path. */
export function writeDocument(rows: readonly Row[]): string {
  const text = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : "# Compatibility with ws\n";
  const block = `${BEGIN}\n\n${table(rows)}\n\n${END}`;
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  const whole =
    from < 0 || to < from
      ? `${text.trimEnd()}\n\n${block}\n`
      : text.slice(0, from) + block + text.slice(to + END.length);
  writeFileSync(DOCUMENT, whole);
  return DOCUMENT;
}
