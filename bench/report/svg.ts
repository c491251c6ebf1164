import { PEER_TITLES, type PeerName } from "../runner/peers.ts";
import { PLOTS, type PlotName } from "../rows.ts";
import type { Results } from "./results.ts";
import { short } from "./tables.ts";

const COLORS: Readonly<Record<PeerName, string>> = {
  tungstate: "#c2410c",
  ws: "#6b7280",
  uws: "#2563eb",
  "uws-latest": "#0891b2",
  bun: "#a855f7",
  c: "#111827",
  deno: "#16a34a",
  "tungstate-bun": "#db2777",
  "tungstate-deno": "#ca8a04",
};
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';

function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function svg(width: number, height: number, parts: readonly string[]): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ${FONT}>`;
  return [head, `<rect width="100%" height="100%" fill="#fff"/>`, ...parts, "</svg>", ""].join("\n");
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${escape(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/**
 * Draws each row's servers as bars: server CPU per message if measured (shorter is better),
 * otherwise the value of the row.
 */
export function barPlot(results: Results): string {
  const peers = results.peers.filter((peer) => !results.absent.has(peer));
  const rows = results.rows.filter((row) => row.point === undefined);
  const [left, barLeft, barWidth, barHeight] = [16, 130, 560, 16];
  const parts: string[] = [
    text(left, 24, "Server CPU per message in us (idle connections: KB each): shorter is better", 'font-weight="bold"'),
  ];
  let y = 52;
  for (const row of rows) {
    const metric = row.metric === "kb" ? "kb" : "cpuUs";
    const values = peers.map((peer) => ({ peer, value: results.metric(row, peer, metric)?.median }));
    const longest = Math.max(...values.map(({ value }) => value ?? 0));
    if (!(longest > 0)) continue;
    parts.push(text(left, y, row.title));
    y += 8;
    for (const { peer, value } of values) {
      if (value === undefined) continue;
      const width = Math.max(1, (value / longest) * barWidth);
      parts.push(text(left, y + 12, PEER_TITLES[peer], 'fill="#374151"'));
      parts.push(
        `<rect x="${barLeft}" y="${y}" width="${round(width)}" height="${barHeight - 3}" fill="${COLORS[peer]}"/>`,
        text(barLeft + width + 6, y + 11, short(value)),
      );
      y += barHeight;
    }
    y += 26;
  }
  return svg(barLeft + barWidth + 80, y, parts);
}

/** Draws the cost of a message by size: one line for each server, both axes logarithmic. */
export function growthPlot(results: Results, plot: PlotName): string | undefined {
  const peers = results.peers.filter((peer) => !results.absent.has(peer));
  const rows = results.rows.filter((row) => row.point?.plot === plot);
  const lines = peers.map((peer) => ({
    peer,
    points: rows.flatMap((row) => {
      const value = results.metric(row, peer, "cpuUs")?.median;
      return value === undefined || row.point === undefined || value <= 0 ? [] : { x: row.point.x, y: value };
    }),
  }));
  const all = lines.flatMap(({ points }) => points);
  if (all.length === 0) return undefined;
  const [width, height, left, right, top, bottom] = [720, 420, 70, 140, 50, 50];
  const scale = (values: readonly number[], from: number, to: number): ((value: number) => number) => {
    const low = Math.log10(Math.min(...values));
    const high = Math.log10(Math.max(...values));
    return (value) => from + ((Math.log10(value) - low) / Math.max(high - low, 1e-9)) * (to - from);
  };
  const ticks = decades(all.map((point) => point.y));
  const x = scale(
    all.map((point) => point.x),
    left,
    width - right,
  );
  const y = scale(ticks, height - bottom, top);
  const parts = [text(16, 24, `${PLOTS[plot].title}: server CPU per message, us`, 'font-weight="bold"')];
  for (const tick of ticks) {
    parts.push(
      `<line x1="${left}" x2="${width - right}" y1="${round(y(tick))}" y2="${round(y(tick))}" stroke="#e5e7eb"/>`,
      text(left - 8, y(tick) + 4, short(tick), 'text-anchor="end"'),
    );
  }
  for (const tick of new Set(all.map((point) => point.x))) {
    parts.push(text(x(tick), height - bottom + 18, binary(tick, plot), 'text-anchor="middle"'));
  }
  parts.push(text((left + width - right) / 2, height - 10, PLOTS[plot].x, 'text-anchor="middle"'));
  const ends = lines.flatMap(({ peer, points }) => {
    const end = points.at(-1);
    return end === undefined ? [] : { peer, x: x(end.x), y: y(end.y) };
  });
  let above = -Infinity;
  for (const end of ends.toSorted((a, b) => a.y - b.y)) {
    // avoid overlapping labels where lines end at similar values
    above = Math.max(end.y + 4, above + 14);
    parts.push(text(end.x + 8, above, PEER_TITLES[end.peer], `fill="${COLORS[end.peer]}"`));
  }
  for (const { peer, points } of lines) {
    const path = points.map((point) => `${round(x(point.x))},${round(y(point.y))}`).join(" ");
    parts.push(`<polyline points="${path}" fill="none" stroke="${COLORS[peer]}" stroke-width="2"/>`);
    for (const point of points)
      parts.push(`<circle cx="${round(x(point.x))}" cy="${round(y(point.y))}" r="3" fill="${COLORS[peer]}"/>`);
  }
  return svg(width, height, parts);
}

// 1, 10, 100, ... around all values
function decades(values: readonly number[]): readonly number[] {
  const from = Math.floor(Math.log10(Math.min(...values)));
  const to = Math.max(Math.ceil(Math.log10(Math.max(...values))), from + 1);
  return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
}

function binary(value: number, plot: PlotName): string {
  if (plot !== "bytes" || value < 1024) return value.toLocaleString("en");
  return value < 1_048_576 ? `${value / 1024} Ki` : `${value / 1_048_576} Mi`;
}
