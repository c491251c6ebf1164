import type { NodeStats } from "./node-stats.ts";

/** Time span of the plots in seconds, up to the newest statistics. */
export const WINDOW_S = 120;

const VALID_S = 3; // seconds that a node's last statistics stay valid
const MAX_NODES = 200;

/** Computes one number from all nodes. */
export type Line = (nodes: readonly NodeStats[]) => number;

export const sum =
  (of: (stats: NodeStats) => number): Line =>
  (nodes) =>
    nodes.reduce((all, each) => all + of(each), 0);

export const worst =
  (of: (stats: NodeStats) => number): Line =>
  (nodes) =>
    Math.max(...nodes.map(of));

/** A Unix time in seconds, and the nodes at that time. */
export interface Second {
  readonly second: number;
  readonly nodes: readonly NodeStats[];
}

/** Returns the values of a line; null where there are no statistics. */
export function values(seconds: readonly Second[], line: Line): (number | null)[] {
  return seconds.map(({ nodes }) => (nodes.length === 0 ? null : line(nodes)));
}

/** The statistics of the last minutes by node. */
export class Series {
  private readonly nodes = new Map<string, NodeStats[]>();

  add(stats: NodeStats): void {
    let past = this.nodes.get(stats.node);
    if (past === undefined) {
      if (this.nodes.size >= MAX_NODES) return;
      this.nodes.set(stats.node, (past = []));
    }
    // history may have delivered it already
    if (past.some(({ at }) => at === stats.at)) return;
    past.push(stats);
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

  /** Returns the current nodes by name. */
  current(): NodeStats[] {
    return this.at(this.newest / 1_000).sort((a, b) => (a.name + a.node < b.name + b.node ? -1 : 1));
  }

  /** Returns the nodes at each second. */
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

  private at(second: number): NodeStats[] {
    return [...this.nodes.values()].flatMap((past) => {
      const stats = past.findLast(({ at }) => at <= second * 1_000);
      return stats === undefined || stats.at <= (second - VALID_S) * 1_000 ? [] : [stats];
    });
  }
}
