import type { Figures } from "./figures.ts";

/** What the plots show: so many seconds up to the newest figures. */
export const WINDOW_S = 120;

const HOLDS_S = 3; // how long a node counts as it was: it may be late, and is then gone
const MOST_NODES = 200;

/** One number of all nodes together. */
export type Line = (nodes: readonly Figures[]) => number;

export const sum =
  (of: (figures: Figures) => number): Line =>
  (nodes) =>
    nodes.reduce((all, each) => all + of(each), 0);

export const worst =
  (of: (figures: Figures) => number): Line =>
  (nodes) =>
    Math.max(...nodes.map(of));

/** A Unix time in seconds, and the nodes as they were then. */
export interface Second {
  readonly second: number;
  readonly nodes: readonly Figures[];
}

/** A line's values; null where there are no figures. */
export function values(seconds: readonly Second[], line: Line): (number | null)[] {
  return seconds.map(({ nodes }) => (nodes.length === 0 ? null : line(nodes)));
}

/** The figures of the last minutes, by node. */
export class Series {
  private readonly nodes = new Map<string, Figures[]>();

  add(figures: Figures): void {
    let past = this.nodes.get(figures.node);
    if (past === undefined) {
      if (this.nodes.size >= MOST_NODES) return;
      this.nodes.set(figures.node, (past = []));
    }
    // it may be one that history has given already
    if (past.some(({ at }) => at === figures.at)) return;
    past.push(figures);
    past.sort((a, b) => a.at - b.at);
    const from = this.newest - WINDOW_S * 1_000;
    for (const [node, each] of this.nodes) {
      const gone = each.findIndex(({ at }) => at >= from);
      if (gone === -1) this.nodes.delete(node);
      else each.splice(0, gone);
    }
  }

  clear(): void {
    this.nodes.clear();
  }

  /** The nodes that are there, as they are now, by name. */
  current(): Figures[] {
    return this.at(this.newest / 1_000).sort((a, b) => (a.name + a.node < b.name + b.node ? -1 : 1));
  }

  /** What was known of the nodes at each second. */
  seconds(): Second[] {
    const newest = Math.ceil(this.newest / 1_000);
    return Array.from({ length: WINDOW_S + 1 }, (_, index) => {
      const second = newest - WINDOW_S + index;
      return { second, nodes: this.at(second) };
    });
  }

  private get newest(): number {
    return Math.max(0, ...[...this.nodes.values()].map((past) => past.at(-1)?.at ?? 0));
  }

  private at(second: number): Figures[] {
    return [...this.nodes.values()].flatMap((past) => {
      const figures = past.findLast(({ at }) => at <= second * 1_000);
      return figures === undefined || figures.at <= (second - HOLDS_S) * 1_000 ? [] : [figures];
    });
  }
}
