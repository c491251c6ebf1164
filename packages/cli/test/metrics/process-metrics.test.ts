import assert from "node:assert/strict";
import { test } from "node:test";
import { Counter, Gauge, Registry } from "prom-client";
import {
  combineMetrics,
  withoutGauges,
  type ProcessMetrics,
  formatMetrics,
  NO_METRICS,
  sumConnections,
} from "../../src/metrics/process-metrics.ts";
import type { Family } from "../../src/metrics/hub-metrics.ts";

/** Returns the metrics of a process with so many connections. */
async function ownMetrics(count: number): Promise<ProcessMetrics> {
  const registry = new Registry();
  const registers = [registry];
  new Counter({ name: "messages_total", help: "m", labelNames: ["path"], registers }).inc({ path: "/ws" }, count * 10);
  new Gauge({ name: "connections", help: "c", registers }).set(count);
  const hub: Family[] = [
    { type: "counter", name: "hub_total", help: "h", lines: [['hub_total{method="a"}', count]] },
    { type: "gauge", name: "hub_sessions", help: "s", lines: [["hub_sessions", count]] },
    { type: "histogram", name: "hub_seconds", help: "t", lines: [['hub_seconds_bucket{le="1"}', count]] },
  ];
  return { connections: { "/ws": count, "/echo": 1 }, metrics: await registry.getMetricsAsJSON(), hub };
}

test("metrics of several processes are summed line by line", async () => {
  const [one, two] = [await ownMetrics(1), await ownMetrics(2)];
  const other: Family = { type: "counter", name: "hub_total", help: "h", lines: [['hub_total{method="b"}', 5]] };
  const all = [one, { ...two, hub: [...two.hub, other] }];
  assert.deepEqual({ ...sumConnections(all) }, { "/ws": 3, "/echo": 2 });
  const lines = (await formatMetrics(all)).split("\n").filter((line) => line !== "" && !line.startsWith("# HELP"));
  assert.deepEqual(lines, [
    "# TYPE messages_total counter",
    'messages_total{path="/ws"} 30',
    "# TYPE connections gauge",
    "connections 3",
    "# TYPE hub_total counter",
    'hub_total{method="a"} 3',
    'hub_total{method="b"} 5',
    "# TYPE hub_sessions gauge",
    "hub_sessions 3",
    "# TYPE hub_seconds histogram",
    'hub_seconds_bucket{le="1"} 3',
  ]);
});

test("an ended process keeps its counters and histograms, and loses its gauges", async () => {
  const left = await combineMetrics([
    NO_METRICS,
    withoutGauges(await ownMetrics(3)),
    withoutGauges(await ownMetrics(1)),
  ]);
  assert.deepEqual({ ...sumConnections([left]) }, {});
  const text = await formatMetrics([left, await ownMetrics(1)]);
  assert.match(text, /^messages_total\{path="\/ws"\} 50$/m);
  assert.match(text, /^connections 1$/m);
  assert.match(text, /^hub_total\{method="a"\} 5$/m);
  assert.match(text, /^hub_sessions 1$/m);
  assert.match(text, /^hub_seconds_bucket\{le="1"\} 5$/m);
});
