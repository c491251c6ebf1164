import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PLOTS, type PlotName, WORKERS_WORK } from "../rows.ts";
import { machineText } from "../runner/machine.ts";
import type { BenchRun } from "../runner/run.ts";
import { barPlot, growthPlot } from "./svg.ts";
import { metricsTable, latencyTable, ratioTable, spreadTable } from "./tables.ts";
import type { Results } from "./results.ts";
import { withRatios } from "./readme.ts";
import { workersTable } from "./workers.ts";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const DOCUMENT = join(DOCS, "performance.md");
const README = join(DOCS, "../README.md");

/** What was measured, on which machine, and how, for the terminal and the docs. */
export function formatReport({ results, notes }: BenchRun, command: string): string {
  const versions = [...results.titles.values()].join("; ");
  const failed = results.failures().map(({ row, peer, reason }) => `- ${peer}, ${row.name}: ${reason}`);
  const plain = results.rows.filter((row) => row.workers === undefined);
  const workers = results.rows.filter((row) => row.workers !== undefined);
  const paragraphs = [
    `${machineText()}; ${notes.join("; ")}. ${versions}.`,
    `\`${command}\``,
    ...(plain.length === 0 ? [] : compared(results.within(plain))),
    ...(workers.length === 0 ? [] : [`With workers: ${WORKERS_WORK}.`, workersTable(results.within(workers))]),
    ...(failed.length === 0 ? [] : ["Not measured:", failed.join("\n")]),
  ];
  return paragraphs.join("\n\n");
}

/** Returns a table with a row for each measurement and a column for each server. */
function compared(results: Results): readonly string[] {
  const marked = results.rows.some((row) => results.peers.some((peer) => results.isLoadBound(row, peer)));
  const ratios = ratioTable(results);
  const latencies = latencyTable(results);
  return [
    "Messages/s or the unit of the row, server CPU for each message, and for compressed messages their size on the wire:",
    metricsTable(results),
    ...(marked
      ? ["\\* the load generator was busy all the time and the server was not: the server could do more."]
      : []),
    ...(ratios === ""
      ? []
      : ["Tungstate divided by each peer; messages/s, then messages per second of server CPU:", ratios]),
    ...(latencies === "" ? [] : ["Latency, p50 / p99 / p99.9 in us:", latencies]),
    "Lowest and highest round:",
    spreadTable(results),
  ];
}

/** Replaces the measured parts of docs/performance.md, the plots beside it, and the ratios in README.md. */
export function writeDocument(run: BenchRun, command: string): readonly string[] {
  mkdirSync(DOCS, { recursive: true });
  const written = [DOCUMENT];
  const plot = (name: string, content: string | undefined, title: string): string[] => {
    if (content === undefined) return [];
    writeFileSync(join(DOCS, name), content);
    written.push(join(DOCS, name));
    return [`![${title}](${name})`];
  };
  let text = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : "# Performance\n";
  const rows = run.results.rows.filter((row) => row.point === undefined && row.workers === undefined);
  if (rows.length > 0) {
    const part = { ...run, results: run.results.within(rows) };
    const plots = plot("performance.svg", barPlot(part.results), "Server CPU per message");
    text = replaceBlock(text, "results", [...plots, formatReport(part, command)]);
  }
  const growth = run.results.rows.filter((row) => row.point !== undefined);
  if (growth.length > 0) {
    const results = run.results.within(growth);
    const plots = (Object.keys(PLOTS) as PlotName[]).flatMap((name) =>
      plot(`performance-${name}.svg`, growthPlot(results, name), PLOTS[name].title),
    );
    text = replaceBlock(text, "growth", [`\`${command}\``, ...plots, metricsTable(results)]);
  }
  const workers = run.results.rows.filter((row) => row.workers !== undefined);
  if (workers.length > 0) {
    const part = { ...run, results: run.results.within(workers) };
    text = replaceBlock(text, "workers", [formatReport(part, command)]);
  }
  writeFileSync(DOCUMENT, text);
  writeFileSync(README, withRatios(readFileSync(README, "utf8"), text));
  return [...written, README];
}

/** Replaces one part of docs/performance.md, or appends it. Returns the path of the page. */
export function writeBlock(name: string, command: string, paragraphs: readonly string[]): string {
  const text = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : "# Performance\n";
  writeFileSync(DOCUMENT, replaceBlock(text, name, paragraphs, command));
  return DOCUMENT;
}

function replaceBlock(
  text: string,
  name: string,
  paragraphs: readonly string[],
  command = "npm run bench -- --write",
): string {
  const [begin, end] = [`<!-- ${name}: ${command} -->`, `<!-- end of ${name} -->`];
  const block = [begin, ...paragraphs, end].join("\n\n");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) return `${text.trimEnd()}\n\n${block}\n`;
  return text.slice(0, from) + block + text.slice(to + end.length);
}
