import { writeBlock } from "../report/document.ts";
import { median, spread } from "../report/statistics.ts";
import { formatTable, short } from "../report/tables.ts";
import { machineText } from "../runner/machine.ts";
import { type Peer, PEER_TITLES, type Row, type RowName } from "./rows.ts";
import { type HubRun, isReturn, keyOf, type ReturnSample, type Sample, type StreamSample } from "./run.ts";

interface Metric {
  readonly title: string;
  readonly unit: string;
  readonly of: (sample: Sample) => number | undefined;
}

const stream =
  (of: (sample: StreamSample) => number | undefined): Metric["of"] =>
  (sample) =>
    isReturn(sample) ? undefined : of(sample);
const back =
  (of: (sample: ReturnSample) => number | undefined): Metric["of"] =>
  (sample) =>
    isReturn(sample) ? of(sample) : undefined;
const milliseconds =
  (quantile: "p50" | "p99"): Metric["of"] =>
  ({ latencyUs }) =>
    latencyUs === undefined ? undefined : latencyUs[quantile] / 1000;

const DELIVERIES: Metric = { title: "deliveries/s", unit: "", of: stream((sample) => sample.perSecond) };
const DELIVERY_CPU: Metric = { title: "server CPU per delivery", unit: " us", of: stream((each) => each.serverCpuUs) };
const P50: Metric = { title: "p50", unit: " ms", of: milliseconds("p50") };
const P99: Metric = { title: "p99", unit: " ms", of: milliseconds("p99") };

const RETURN: readonly Metric[] = [
  { title: "until all have reconnected", unit: " ms", of: back((each) => each.outSeconds * 1000) },
  { title: "reconnect of one session, from its connect(): p50", unit: " ms", of: milliseconds("p50") },
  P99,
  { title: "server CPU per session", unit: " us", of: back((each) => each.outCpuUs) },
];

const FANOUT: readonly Metric[] = [
  { title: "delay from the due time to each subscriber: p50", unit: " ms", of: milliseconds("p50") },
  P99,
  DELIVERIES,
  DELIVERY_CPU,
  { title: "due but not published: 100 were in flight", unit: " %", of: stream(percentSkipped) },
];

const METRICS: Readonly<Record<RowName, readonly Metric[]>> = {
  fanout: FANOUT,
  calm: FANOUT,
  channels: [DELIVERIES, DELIVERY_CPU, P50, P99],
  history: [
    { title: "in: publications/s", unit: "", of: back((each) => each.inCount / each.inSeconds) },
    { title: "in: server CPU per publication", unit: " us", of: back((each) => each.inCpuUs) },
    { title: "out: all of them, from connect()", unit: " ms", of: back((each) => each.outSeconds * 1000) },
    { title: "out: server CPU per publication", unit: " us", of: back((each) => each.outCpuUs / each.inCount) },
  ],
  storm: RETURN,
  lobby: RETURN,
};

function percentSkipped({ skipped, publications }: StreamSample): number {
  return (100 * skipped) / (skipped + publications);
}

/** What was measured, on which machine, and how, for the terminal and the docs. */
export function formatHubReport(run: HubRun, command: string): string {
  const titles = [...run.titles.values()].join("; ");
  const body = run.rows.flatMap((row) => [
    [`**${row.title}**`, ...run.peers.map(() => "")],
    ...METRICS[row.name].map((metric) => [metric.title, ...run.peers.map((peer) => cell(run, row, peer, metric))]),
    ...(row.load.channels === 1 && row.load.mode === "stream" ? [beyondFloor(run, row)] : []),
  ]);
  const failed = [...run.samples].flatMap(([key, samples]) =>
    samples.filter((each) => typeof each === "string").map((why) => `- ${key}: ${why}`),
  );
  return [
    `${machineText()}; ${run.notes.join("; ")}. ${titles}.`,
    `\`${command}\``,
    formatTable(["", ...run.peers.map((peer) => PEER_TITLES[peer])], body),
    ...(failed.length === 0 ? [] : ["Not measured:", failed.join("\n")]),
  ].join("\n\n");
}

export function writeHubReport(run: HubRun, command: string): string {
  return writeBlock("hub", "npm run bench:hub -- --write", [formatHubReport(run, command)]);
}

/** The median over the rounds, with the lowest and highest value. */
function cell(run: HubRun, row: Row, peer: Peer, metric: Metric): string {
  if (!row.peers.includes(peer)) return "";
  const values = spread((run.samples.get(keyOf(row, peer)) ?? []).flatMap((each) => valueOf(metric, each) ?? []));
  if (values === undefined) return "-";
  const range = values.min === values.max ? "" : ` (${amount(values.min, "")} - ${amount(values.max, "")})`;
  return `${amount(values.median, metric.unit)}${range}`;
}

function amount(value: number, unit: string): string {
  return unit === " ms" && value >= 10_000 ? `${short(value / 1000)} s` : `${short(value)}${unit}`;
}

function valueOf(metric: Metric, sample: Sample | string | undefined): number | undefined {
  return sample === undefined || typeof sample === "string" ? undefined : metric.of(sample);
}

/** The p99 minus that of plain sockets in the same round. */
function beyondFloor(run: HubRun, row: Row): readonly string[] {
  const floors = run.samples.get(keyOf(row, "sockets")) ?? [];
  const cells = run.peers.map((peer) => {
    const differences = (run.samples.get(keyOf(row, peer)) ?? []).flatMap((sample, round) => {
      const [above, below] = [valueOf(P99, sample), valueOf(P99, floors[round])];
      return above === undefined || below === undefined ? [] : above - below;
    });
    return peer === "sockets" || peer === "c" || differences.length === 0
      ? ""
      : `${Math.round(median(differences)).toLocaleString("en")} ms`;
  });
  return ["p99 above broadcast", ...cells];
}
