import { BIN, type Outcome, peak } from "./simulation.ts";

const WIDTH = 760;
const PANEL = 150; // px; height of one scenario, with heading and axis
const LEFT = 64;
const RIGHT = 48;
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';
const BARS = "#c2410c";
const LINE = "#2563eb";
const GREY = "#6b7280";

/**
 * Draws one panel for each outcome: attempts per bin as bars, each with its own scale, and the
 * share of connected clients as a line.
 */
export function plot(outcomes: readonly Outcome[]): string {
  const height = outcomes.length * PANEL + 40;
  const parts = outcomes.flatMap((outcome, at) => panel(outcome, at * PANEL + 24));
  const legend = [
    text(LEFT, height - 8, `bars: attempts in each ${BIN} ms`, `fill="${BARS}"`),
    text(LEFT + 230, height - 8, "line: connected clients", `fill="${LINE}"`),
    text(WIDTH - RIGHT, height - 8, "seconds since the server stopped", `fill="${GREY}" text-anchor="end"`),
  ];
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ${FONT}>`;
  return [head, `<rect width="100%" height="100%" fill="#fff"/>`, ...parts, ...legend, "</svg>", ""].join("\n");
}

function panel(outcome: Outcome, top: number): string[] {
  const { attempts, connected, scenario } = outcome;
  const bottom = top + PANEL - 46;
  const area = bottom - top - 14;
  const x = (ms: number): number => LEFT + (ms / scenario.length) * (WIDTH - LEFT - RIGHT);
  const most = peak(outcome, BIN);
  const bars = attempts.flatMap((count, at) => {
    const size = (count / most) * area;
    return count === 0 ? [] : `M${round(x((at + 0.5) * BIN))} ${bottom}v-${round(Math.max(size, 0.5))}`;
  });
  const line = connected.map((count, at) => {
    return `${round(x((at + 1) * BIN))},${round(bottom - (count / scenario.clients) * area)}`;
  });
  const away = x(scenario.downFor);
  const seconds = Array.from({ length: scenario.length / 10_000 + 1 }, (_, at) => at * 10);
  return [
    text(16, top, scenario.name, 'font-weight="bold"'),
    `<rect x="${LEFT}" y="${bottom - area}" width="${round(away - LEFT)}" height="${area}" fill="#f3f4f6"/>`,
    text(LEFT + 4, bottom - area + 12, "away", `fill="${GREY}"`),
    `<path d="${bars.join("")}" stroke="${BARS}" stroke-width="1"/>`,
    `<polyline points="${[`${LEFT},${bottom}`, ...line].join(" ")}" fill="none" stroke="${LINE}" stroke-width="1.5"/>`,
    `<path d="M${LEFT} ${bottom}H${WIDTH - RIGHT}" stroke="${GREY}"/>`,
    text(LEFT - 6, bottom - area + 8, most.toLocaleString("en"), `fill="${BARS}" text-anchor="end"`),
    text(LEFT - 6, bottom, "0", `fill="${BARS}" text-anchor="end"`),
    text(WIDTH - RIGHT + 6, bottom - area + 8, "100%", `fill="${LINE}"`),
    ...seconds.map((second) =>
      text(x(second * 1000), bottom + 15, String(second), `fill="${GREY}" text-anchor="middle"`),
    ),
  ];
}

function text(x: number, y: number, content: string, more: string): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${content.replace(/&/g, "&amp;").replace(/</g, "&lt;")}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
