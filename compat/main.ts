// npm run compat: programs of the registry, unchanged, on ws and on @tungstate/ws under its name.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { accessSync, constants } from "node:fs";
import process from "node:process";
import { commandLine, flag } from "../scripts/command-line.mjs";
import { type Row, selectPrograms } from "./programs.ts";
import { ENGINES, install, packAll, versionOf } from "./project.ts";
import { table, writeDocument } from "./report.ts";
import { runProgram, type RunResult } from "./run.ts";

function findChromium(): string | undefined {
  const names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const { operands, write } = commandLine({
  command: "npm run compat --",
  summary: "Runs programs that use ws, unchanged, on ws and on @tungstate/ws. The results are in docs/compat.md.",
  operands: { name: "part", help: "only programs whose name contains one of these parts" },
  options: { write: flag("write the table to docs/compat.md") },
});

const programs = selectPrograms(operands);
if (programs.length === 0) {
  console.error(`no program's name contains ${operands.join(" or ")}`);
  process.exit(1);
}
const chromium = findChromium();
const temporary = mkdtempSync(join(tmpdir(), "tungstate-compat-"));
process.once("exit", () => rmSync(temporary, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const packages = Object.assign({}, ...programs.map((program) => program.packages)) as Record<string, string>;
const tarballs = packAll(join(temporary, "tarballs"));
const folders = new Map(ENGINES.map((engine) => [engine, join(temporary, engine.replace("/", "-"))]));
for (const [engine, folder] of folders) {
  process.stderr.write(`installing ${Object.keys(packages).length} packages for ${engine}\n`);
  install(folder, engine, packages, tarballs);
}

const rows: Row[] = [];
let failures = 0;
for (const program of programs) {
  const results = new Map<string, RunResult>();
  let version = "";
  for (const [engine, folder] of folders) {
    version = versionOf(folder, Object.keys(program.packages)[0] ?? "");
    if (program.needs === "chromium" && chromium === undefined) {
      process.stderr.write(`${program.name}: not run, because no Chromium is installed\n`);
      continue;
    }
    const result = await runProgram(program, { folder, engine, chromium });
    results.set(engine, result);
    if (result.failure !== undefined) {
      failures++;
      process.stderr.write(`✖ ${program.name} on ${engine}: ${result.failure}\n`);
    }
  }
  rows.push({ program, version, results });
}
console.log(table(rows));
if (write) console.log(`wrote ${writeDocument(rows)}`);
if (failures > 0) process.exitCode = 1;
