import { AggregatorRegistry, type Registry } from "prom-client";
import { familiesText, type Family, sumFamilies } from "./hub-metrics.ts";

/** What one process counts, as it can be sent to another one. */
export interface Figures {
  /** WebSocket connections by route. */
  readonly connections: Readonly<Record<string, number>>;
  /** Of prom-client. */
  readonly metrics: Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;
  readonly hub: readonly Family[];
}

/** The connections of all processes, by route. */
export function sumConnections(all: readonly Figures[]): Record<string, number> {
  const sums: Record<string, number> = Object.create(null);
  for (const { connections } of all) {
    for (const [path, count] of Object.entries(connections)) sums[path] = (sums[path] ?? 0) + count;
  }
  return sums;
}

function aggregated(all: readonly Figures[]): Registry {
  return AggregatorRegistry.aggregate(all.map(({ metrics }) => metrics));
}

/** In Prometheus' text format; of several processes their sums, or what else a metric of prom-client says of itself. */
export async function figuresText(all: readonly Figures[]): Promise<string> {
  return (await aggregated(all).metrics()) + familiesText(sumFamilies(all.map(({ hub }) => hub)));
}

export const NO_FIGURES: Figures = { connections: {}, metrics: [], hub: [] };

/** The figures of several processes as those of one. */
export async function addFigures(all: readonly Figures[]): Promise<Figures> {
  return {
    connections: sumConnections(all),
    metrics: await aggregated(all).getMetricsAsJSON(),
    hub: sumFamilies(all.map(({ hub }) => hub)),
  };
}

/** What is left of a process that has ended: counts of things that have happened stay, what goes up and down is gone. */
export function countsOf({ metrics, hub }: Figures): Figures {
  const counts = new Set<unknown>(["counter", "histogram"]);
  return {
    connections: {},
    metrics: metrics.filter(({ type }) => counts.has(type)),
    hub: hub.filter(({ type }) => type !== "gauge"),
  };
}
