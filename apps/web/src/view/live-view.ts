import { bytes, CHARTS, count, upFor } from "../live/charts.ts";
import type { NodeStats } from "../live/node-stats.ts";
import { Series } from "../live/series.ts";
import { byId, create } from "./elements.ts";
import { Plot } from "./plot.ts";

const SHOW_MS = 100;

/** The server's statistics as plots, and a table of nodes if there are several. */
export class LiveView {
  private readonly series = new Series();
  private readonly plots = CHARTS.map((chart) => new Plot(chart));
  private readonly note = byId("live-note", HTMLElement);
  private readonly nodes = byId("nodes", HTMLElement);
  private readonly list = byId("nodes-list", HTMLTableSectionElement);
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");
  private timer: number | undefined;
  private readonly redraw = (): void => {
    for (const plot of this.plots) plot.draw();
  };

  constructor() {
    this.say("Waiting for statistics…");
    byId("plots", HTMLElement).replaceChildren(...this.plots.map(({ element }) => element));
    this.redraw();
    this.dark.addEventListener("change", this.redraw);
  }

  add(stats: readonly NodeStats[]): void {
    for (const each of stats) this.series.add(each);
    // draw updates of several nodes together
    this.timer ??= setTimeout(() => this.show(), SHOW_MS);
  }

  /** Shows why there are no statistics. */
  refused(reason: string): void {
    this.say(`The server denied access to its statistics: ${reason}.`);
  }

  destroy(): void {
    clearTimeout(this.timer);
    this.dark.removeEventListener("change", this.redraw);
    for (const plot of this.plots) plot.destroy();
    byId("plots", HTMLElement).replaceChildren();
    this.nodes.hidden = true;
  }

  private show(): void {
    this.timer = undefined;
    const seconds = this.series.seconds();
    for (const plot of this.plots) plot.show(seconds);
    const current = this.series.current();
    this.nodes.hidden = current.length < 2;
    if (!this.nodes.hidden) this.list.replaceChildren(...current.map(row));
    const several = `${current.length} nodes, the last two minutes. CPU and delay are those of the busiest node.`;
    this.say(current.length === 1 ? "One node, the last two minutes." : several);
  }

  private say(text: string): void {
    if (this.note.textContent !== text) this.note.textContent = text;
  }
}

function row(stats: NodeStats): HTMLElement {
  const { name, node, uptime, connections, received, sent, cpu, loopP99, queueBytes, memory } = stats;
  const title = create("th", "", create("bdi", "", name), create("span", "aside", ` ${node.slice(0, 8)}`));
  title.scope = "row";
  const cells = [
    upFor(uptime),
    count(connections),
    count(received),
    count(sent),
    `${Math.round(cpu * 100)} %`,
    `${loopP99.toFixed(1)} ms`,
    bytes(queueBytes),
    bytes(memory),
  ];
  return create("tr", "", title, ...cells.map((text) => create("td", "", text)));
}
