import { AggregatorRegistry, type Registry } from "prom-client";
import { formatFamilies, type Family, sumFamilies } from "./hub-metrics.ts";

/** The metrics of one process, in a form that can be sent to another process. */
export interface ProcessMetrics {
  /** Open WebSocket connections by route. */
  readonly connections: Readonly<Record<string, number>>;
  /** Metrics of prom-client. */
  readonly metrics: Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;
  readonly hub: readonly Family[];
}

/** Sums the open connections of all processes, by route. */
export function sumConnections(all: readonly ProcessMetrics[]): Record<string, number> {
  const sums: Record<string, number> = Object.create(null);
  for (const { connections } of all) {
    for (const [path, count] of Object.entries(connections)) sums[path] = (sums[path] ?? 0) + count;
  }
  return sums;
}

function aggregated(all: readonly ProcessMetrics[]): Registry {
  return AggregatorRegistry.aggregate(all.map(({ metrics }) => metrics));
}

/**
 * Formats metrics in Prometheus' text format. Metrics of several processes are summed, or
 * aggregated as prom-client defines for the metric.
 */
export async function formatMetrics(all: readonly ProcessMetrics[]): Promise<string> {
  return (await aggregated(all).metrics()) + formatFamilies(sumFamilies(all.map(({ hub }) => hub)));
}

export const NO_METRICS: ProcessMetrics = { connections: {}, metrics: [], hub: [] };

/** Combines the metrics of several processes into those of one. */
export async function combineMetrics(all: readonly ProcessMetrics[]): Promise<ProcessMetrics> {
  return {
    connections: sumConnections(all),
    metrics: await aggregated(all).getMetricsAsJSON(),
    hub: sumFamilies(all.map(({ hub }) => hub)),
  };
}

/**
 * Returns the metrics that remain after a process has ended: counters and histograms, without
 * gauges.
 */
export function withoutGauges({ metrics, hub }: ProcessMetrics): ProcessMetrics {
  const counts = new Set<unknown>(["counter", "histogram"]);
  return {
    connections: {},
    metrics: metrics.filter(({ type }) => counts.has(type)),
    hub: hub.filter(({ type }) => type !== "gauge"),
  };
}
