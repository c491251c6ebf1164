import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PLOTS, type PlotName } from "../rows.ts";
import type { BenchRun } from "../runner/run.ts";
import { machineText } from "../runner/machine.ts";
import { barPlot, growthPlot } from "./svg.ts";
import { figuresTable, latencyTable, ratioTable, spreadTable } from "./tables.ts";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
const DOCUMENT = join(DOCS, "performance.md");
const [BEGIN, END] = ["<!-- figures: npm run bench -- --write -->", "<!-- end of figures -->"];

/** What was measured, on what, and how: the same for the terminal and the docs. */
export function formatReport({ results, notes }: BenchRun, command: string): string {
  const versions = [...results.titles.values()].join("; ");
  const failed = results.failures().map(({ row, peer, reason }) => `${peer}, ${row.name}: ${reason}`);
  const marked = results.rows.some((row) => results.peers.some((peer) => results.isLoadBound(row, peer)));
  const sections = [
    ["Measured on", `${machineText()}; ${notes.join("; ")}.\n\n${versions}.\n\n\`${command}\``],
    ["Messages/s (or what the row says), server CPU per message", figuresTable(results)],
    ["Tungstate's figure divided by each peer's (messages/s / messages per second of server CPU)", ratioTable(results)],
    ["Latency", latencyTable(results)],
    ["Lowest and highest round", spreadTable(results)],
    ["Not measured", failed.map((line) => `- ${line}`).join("\n")],
  ] as const;
  const body = sections.flatMap(([title, text]) => (text === "" ? [] : [`### ${title}`, text]));
  if (marked) body.push("\\* the load generator was busy all the time, the server was not: there was more in it.");
  return body.join("\n\n");
}

/** Replaces the figures in docs/performance.md, and the plots beside it; the text around them stays. */
export function writeDocument(run: BenchRun, report: string): readonly string[] {
  mkdirSync(DOCS, { recursive: true });
  const written: string[] = [];
  const plots: string[] = [];
  const put = (name: string, content: string | undefined, title: string): void => {
    if (content === undefined) return;
    writeFileSync(join(DOCS, name), content);
    written.push(join(DOCS, name));
    plots.push(`![${title}](${name})`);
  };
  if (run.results.rows.some((row) => row.point === undefined)) {
    put("performance.svg", barPlot(run.results), "Server CPU per message");
  }
  for (const plot of Object.keys(PLOTS) as PlotName[]) {
    put(`performance-${plot}.svg`, growthPlot(run.results, plot), PLOTS[plot].title);
  }
  const block = [BEGIN, report, ...plots, END].join("\n\n");
  const old = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, "utf8") : `# Performance\n\n${BEGIN}\n\n${END}\n`;
  const [from, to] = [old.indexOf(BEGIN), old.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${DOCUMENT}: expected the lines ${BEGIN} and ${END} around the figures`);
  writeFileSync(DOCUMENT, old.slice(0, from) + block + old.slice(to + END.length));
  return [DOCUMENT, ...written];
}
