import { bytes, CHARTS, count, upFor } from "../live/charts.ts";
import type { Figures } from "../live/figures.ts";
import { Series } from "../live/series.ts";
import { byId, create } from "./elements.ts";
import { Plot } from "./plot.ts";

const SHOW_MS = 100;

/** The figures of the server as plots; and of each node in a table, where there are several. */
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
    this.say("Waiting for the first figures…");
    byId("plots", HTMLElement).replaceChildren(...this.plots.map(({ element }) => element));
    this.redraw();
    this.dark.addEventListener("change", this.redraw);
  }

  add(figures: readonly Figures[]): void {
    for (const each of figures) this.series.add(each);
    // many nodes are drawn together
    this.timer ??= setTimeout(() => this.show(), SHOW_MS);
  }

  /** Why there is nothing to see. */
  refused(reason: string): void {
    this.say(`The server does not show its figures: ${reason}.`);
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
    const several = `${current.length} nodes, the last two minutes. CPU and delay are those of the busiest.`;
    this.say(current.length === 1 ? "One node, the last two minutes." : several);
  }

  private say(text: string): void {
    if (this.note.textContent !== text) this.note.textContent = text;
  }
}

function row(figures: Figures): HTMLElement {
  const { name, node, uptime, connections, received, sent, cpu, loopP99, queueBytes, memory } = figures;
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
