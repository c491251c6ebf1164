import uPlot from "uplot";
import type { Chart } from "../live/charts.ts";
import { type Second, values } from "../live/series.ts";
import { create } from "./elements.ts";

const HEIGHT = 150; // px
const AGO = [120, 90, 60, 30, 0]; // seconds before the newest statistics
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/**
 * A chart: title and newest values as text, and a plot of the last minutes with a text alternative.
 */
export class Plot {
  readonly element: HTMLElement;
  private readonly chart: Chart;
  private readonly readout = create("p", "readout");
  private readonly picture = create("div", "picture");
  private readonly observer = new ResizeObserver(() => this.fit());
  private plot: uPlot | undefined;
  private data: uPlot.AlignedData = [[]];
  private pointed: number | null = null;

  constructor(chart: Chart) {
    this.chart = chart;
    this.picture.role = "img";
    const caption = create("figcaption", "caption", create("h3", "", chart.title), this.readout);
    this.element = create("figure", "plot", caption, this.picture);
    this.observer.observe(this.picture);
  }

  show(seconds: readonly Second[]): void {
    const lines = this.chart.lines.map(({ value }) => values(seconds, value));
    this.data = [seconds.map(({ second }) => second), ...lines];
    this.plot?.setData(this.data);
    this.read();
    this.describe(lines);
  }

  /** Draws with the current colours of the page. */
  draw(): void {
    this.plot?.destroy();
    const style = getComputedStyle(this.element);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const font = `${0.75 * rem()}px ${style.fontFamily}`;
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--soft"), font, grid, ticks: { show: false } };
    const { chart } = this;
    const options: uPlot.Options = {
      width: this.width,
      height: HEIGHT,
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 7 },
        sync: { key: "live" },
      },
      scales: {
        x: { time: true },
        y: { range: (_plot, _least, most) => [0, Math.max(chart.least, (most ?? 0) * 1.1)] },
      },
      axes: [
        { ...axis, size: 1.75 * rem(), gap: 6, splits: (_plot, _axis, _least, newest) => AGO.map((ago) => newest - ago), values: () => AGO.map(ago) }, // prettier-ignore
        { ...axis, size: 4 * rem(), gap: 8, space: 36, incrs: chart.steps, values: (_plot, values) => values.map(chart.write) }, // prettier-ignore
      ],
      series: [
        {},
        ...chart.lines.map(({ name }, index) => ({
          label: name,
          stroke: colour(index === 0 ? "--line-one" : "--line-two"),
          width: 2,
          points: { show: false },
          ...(index === 0 ? { fill: colour("--line-fill") } : {}),
        })),
      ],
      hooks: {
        setCursor: [
          (plot) => {
            this.pointed = plot.cursor.idx ?? null;
            this.read();
          },
        ],
      },
    };
    this.plot = new uPlot(options, this.data, this.picture);
  }

  destroy(): void {
    this.observer.disconnect();
    this.plot?.destroy();
  }

  private fit(): void {
    if (this.plot !== undefined && this.plot.width !== this.width)
      this.plot.setSize({ width: this.width, height: HEIGHT });
  }

  private get width(): number {
    return Math.max(200, Math.floor(this.picture.clientWidth));
  }

  /** Shows the newest values, or those at the pointer. */
  private read(): void {
    const [seconds, ...lines] = this.data;
    const index = this.pointed ?? seconds.length - 1;
    const several = lines.length > 1;
    const parts = this.chart.lines.flatMap(({ name }, line) => {
      const value = lines[line]?.[index];
      const text = create("span", "value", value === null || value === undefined ? "–" : this.chart.write(value));
      const key = create("span", "key", name);
      key.dataset.line = String(line);
      return several ? [create("span", "reading", text, " ", key)] : [text];
    });
    const second = seconds[index];
    const at =
      this.pointed === null || second === undefined ? [] : [create("span", "at", clock.format(second * 1_000))];
    this.readout.replaceChildren(...parts, ...at);
  }

  private describe(all: readonly (readonly (number | null)[])[]): void {
    const { title, lines, write } = this.chart;
    const sentences = lines.map(({ name }, line) => {
      const known = (all[line] ?? []).filter((value) => value !== null);
      const [least, most] = [Math.min(...known), Math.max(...known)];
      return known.length === 0 ? `${name}: no values` : `${name}: between ${write(least)} and ${write(most)}`;
    });
    this.picture.ariaLabel = `${title}, the last two minutes. ${sentences.join("; ")}.`;
  }
}

function ago(seconds: number): string {
  return seconds === 0 ? "now" : `−${seconds} s`;
}

function rem(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}
