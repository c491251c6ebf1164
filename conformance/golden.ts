import { readFileSync, writeFileSync } from "node:fs";
import { CASES } from "./cases/table.ts";
import type { Evaluation } from "./runner/evaluate.ts";
import type { Result, Role } from "./runner/run.ts";

/** The content of a golden file: verdict and the code of the remote's Close, by case id. */
export type Golden = ReadonlyMap<string, string>;

const OK = "OK";

function fileOf(target: string, role: Role): URL {
  return new URL(`golden/${target}-${role}.json`, import.meta.url);
}

export function lineOf({ verdict, closeCode }: Evaluation): string {
  return `${verdict}, close ${closeCode}`;
}

export function isOk(line: string): boolean {
  return line.startsWith(`${OK},`);
}

/** Returns nothing if the file does not exist. */
export function readGolden(target: string, role: Role): Golden {
  try {
    const lines = JSON.parse(readFileSync(fileOf(target, role), "utf8")) as Record<string, string>;
    return new Map(Object.entries(lines));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return new Map();
    throw error;
  }
}

/** Replaces the lines of the cases that were run and keeps the others. */
export function writeGolden(target: string, role: Role, results: readonly Result[]): void {
  const lines = new Map(readGolden(target, role));
  for (const { id, evaluation } of results) lines.set(id, lineOf(evaluation));
  const sorted = CASES.flatMap(({ id }) => {
    const line = lines.get(id);
    return line === undefined ? [] : [[id, line]];
  });
  writeFileSync(fileOf(target, role), `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
}

/** What was expected and seen, unless the verdict is OK. */
export function whyNot({ behaviour, close }: Evaluation): string {
  return [...new Set([behaviour.reason, close.reason])].filter((reason) => reason !== "").join("; ");
}

/** Returns one line for each case whose result differs from the golden file. */
export function differences(golden: Golden, results: readonly Result[]): readonly string[] {
  return results.flatMap(({ id, evaluation }) => {
    const line = lineOf(evaluation);
    const expected = golden.get(id) ?? "nothing";
    if (line === expected) return [];
    const why = whyNot(evaluation);
    return [`${id}: expected ${expected}, got ${line}${why === "" ? "" : `: ${why}`}`];
  });
}
