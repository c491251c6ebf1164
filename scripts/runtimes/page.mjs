// The tables of docs/runtimes.md.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { reasonFor } from "./known.mjs";
import { root } from "../workspaces.mjs";

/** Rows of the table: the packages and layers that the tests are of. */
export const AREAS = [
  "protocol",
  "schedule",
  "options",
  "native",
  "transport",
  "deflate",
  "connection",
  "broadcast",
  "dial",
  "tls",
  "client",
  "server",
  "frameworks",
  "reconnecting",
  "workers",
  "web",
  "testing",
];

/** Returns the row of a test file. */
export function areaOf(file) {
  const [, name, area] = /^packages\/([^/]+)\/test\/([^/]+)/.exec(file);
  return name === "protocol" ? "protocol" : area.replace(/\.test\.ts$/, "");
}

const NAMES = { bun: "Bun", deno: "Deno", workerd: "workerd", chromium: "Chromium", webworker: "its web worker" };

function nameOf({ runtime, version }) {
  return `${NAMES[runtime] ?? "Node.js"} ${version}`;
}

function row(cells) {
  return `| ${cells.join(" | ")} |`;
}

function resultsTable(summaries) {
  const rows = [row(["tests of", ...summaries.map(nameOf)]), row(["---", ...summaries.map(() => "---:")])];
  const areas = [...new Set([...AREAS, ...summaries.flatMap(({ table }) => Object.keys(table))])];
  for (const area of areas) {
    if (!summaries.some(({ table }) => table[area]?.all > 0)) continue;
    rows.push(row([area, ...summaries.map(({ table }) => shown(table[area]))]));
  }
  const conformance = summaries.map(({ conformance: ran }) =>
    ran === undefined ? "–" : ran.passed === true ? `${ran.cases} of ${ran.cases}` : "differs",
  );
  rows.push(row(["conformance, both roles", ...conformance]));
  rows.push(row(["skipped", ...summaries.map(({ skipped }) => String(skipped.length))]));
  return rows.join("\n");
}

function shown(area) {
  if (area === undefined || area.all === 0) return "–";
  return area.passed === area.all ? String(area.all) : `${area.passed} of ${area.all}`;
}

function failureTable(summaries) {
  const counts = new Map();
  for (const summary of summaries) {
    for (const { file, name } of summary.failures) {
      const reason = reasonFor(summary.runtime, file, name) ?? "Unexplained";
      const runtimes = counts.get(reason) ?? new Map();
      counts.set(reason, runtimes.set(summary.runtime, (runtimes.get(summary.runtime) ?? 0) + 1));
    }
  }
  if (counts.size === 0) return "Every test passes.";
  const rows = [...counts].map(([reason, runtimes]) =>
    row([reason, [...runtimes].map(([runtime, count]) => `${NAMES[runtime] ?? runtime}: ${count}`).join(", ")]),
  );
  return [row(["reason", "tests"]), row(["---", "---"]), ...rows].join("\n");
}

/** Replaces the text between two comments. */
function replaceBetween(page, name, text) {
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/runtimes.md must contain ${start} and ${end}`);
  return `${page.slice(0, from + start.length)}\n\n${text}\n\n${page.slice(to)}`;
}

/** Writes the results into docs/runtimes.md. */
export async function writePage(summaries) {
  const file = join(root, "docs/runtimes.md");
  let page = readFileSync(file, "utf8");
  page = replaceBetween(page, "results", resultsTable(summaries));
  page = replaceBetween(page, "failures", failureTable(summaries));
  writeFileSync(file, await format(page, { ...(await resolveConfig(file)), filepath: file }));
}
