import { evaluate, type Series } from "./evaluation.ts";

const WIDTH = 720;
const PANEL = { height: 130, left: 70, right: 130, top: 28, bottom: 18 };
const COLOURS = ["#2563eb", "#d97706"];

/** One panel for each metric, with a line for each of the two processes. */
export interface Panel {
  readonly title: string;
  readonly series: readonly Series[];
}

/** Returns an SVG of metrics over a run of that many seconds. */
export function plot(title: string, seconds: number, panels: readonly Panel[]): string {
  const height = 34 + panels.length * PANEL.height + 16;
  const parts = panels.map((panel, at) => drawPanel(panel, seconds, 34 + at * PANEL.height));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="12" y="20" font-size="13" font-weight="bold">${title}</text>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function drawPanel({ title, series }: Panel, seconds: number, top: number): string {
  const right = WIDTH - PANEL.right;
  const [low, high] = [top + PANEL.top, top + PANEL.height - PANEL.bottom];
  const most = Math.max(1e-9, ...series.flatMap(({ values, scale }) => values.map((value) => value / scale))) * 1.1;
  const x = (at: number, count: number): number => PANEL.left + ((right - PANEL.left) * at) / Math.max(1, count - 1);
  const y = (value: number): number => high - ((high - low) * value) / most;
  const unit = series[0]?.unit ?? "";
  const lines = series.map(({ name, values, scale }, index) => {
    const points = values.map((value, at) => `${x(at, values.length).toFixed(1)},${y(value / scale).toFixed(1)}`);
    const colour = COLOURS[index] ?? "#000";
    const last = (values.at(-1) ?? 0) / scale;
    return [
      `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="1.2"/>`,
      `<text x="${right + 6}" y="${low + 12 + index * 30}" fill="${colour}">${name}: ${short(last)} ${unit}</text>`,
      `<text x="${right + 6}" y="${low + 25 + index * 30}" fill="#555">${evaluationOf(series[index])}</text>`,
    ].join("\n");
  });
  const ticks = [0, most / 2, most].map(
    (value) =>
      `<text x="${PANEL.left - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end" fill="#555">${short(value)}</text>` +
      `<line x1="${PANEL.left}" x2="${right}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#eee"/>`,
  );
  const times = [0, seconds / 2, seconds].map(
    (time, at) =>
      `<text x="${(PANEL.left + ((right - PANEL.left) * at) / 2).toFixed(1)}" y="${high + 13}" text-anchor="middle" fill="#555">${clock(time)}</text>`,
  );
  const head = `<text x="12" y="${top + 16}" font-weight="bold">${title} (${unit})</text>`;
  return [head, ...ticks, ...times, ...lines].join("\n");
}

function evaluationOf(series: Series | undefined): string {
  if (series === undefined || series.evaluated?.length === 0) return "";
  const { flat, growth } = evaluate(series);
  return `${growth < 0 ? "" : "+"}${short(growth / series.scale)}: ${flat ? "flat" : "grows"}`;
}

function short(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function clock(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
