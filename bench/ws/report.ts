import { writeBlock } from "../report/document.ts";
import { floorText, isMet } from "../report/results.ts";
import { median } from "../report/statistics.ts";
import { formatTable, short } from "../report/tables.ts";
import type { Metric } from "../rows.ts";
import { machineText } from "../runner/machine.ts";
import type { Sample } from "../runner/measure.ts";
import type { SocketsRow } from "./rows.ts";
import { type Engine, ENGINES, keyOf, type SocketsRun } from "./run.ts";

function valuesOf(run: SocketsRun, row: SocketsRow, engine: Engine, metric: Metric): readonly (number | undefined)[] {
  return (run.samples.get(keyOf(row, engine)) ?? []).map((sample: Sample | string) =>
    typeof sample === "string" ? undefined : sample[metric],
  );
}

/** The median over the rounds of one engine's value divided by the other's in the same round. */
export function ratioOf(
  run: SocketsRun,
  row: SocketsRow,
  metric: Metric,
  [above, below]: readonly [Engine, Engine],
): number | undefined {
  const others = valuesOf(run, row, below, metric);
  const ratios = valuesOf(run, row, above, metric).flatMap((value, round) => {
    const other = others[round];
    return value === undefined || other === undefined || other === 0 ? [] : value / other;
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

const UNITS: Readonly<Record<Metric, string>> = { rate: "", cpuUs: " us", ms: " ms", kb: " KB", p99Us: " us" };

function cell(run: SocketsRun, row: SocketsRow, engine: Engine): string {
  const known = (metric: Metric): number[] => valuesOf(run, row, engine, metric).flatMap((value) => value ?? []);
  const values = known(row.metric);
  if (values.length === 0) return "-";
  const main = `${short(median(values))}${UNITS[row.metric]}`;
  const cpu = row.metric === "rate" ? known("cpuUs") : [];
  return cpu.length === 0 ? main : `${main}, ${short(median(cpu))} us`;
}

/**
 * Returns both engines' values of each row, their ratio and the target. For messages/s, the second
 * ratio is messages for the same CPU time of the server, which is valid on a busy machine.
 */
export function formatSockets(run: SocketsRun, command: string): string {
  const digits = (value: number | undefined): string => (value === undefined ? "-" : value.toPrecision(3));
  const body = run.rows.map((row) => {
    const ratio = ratioOf(run, row, row.metric, ["@tungstate/ws", "ws"]);
    const byCpu = row.metric === "rate" ? ratioOf(run, row, "cpuUs", ["ws", "@tungstate/ws"]) : undefined;
    const isReached = (value: number | undefined): boolean => value !== undefined && isMet(value, row.target);
    const met = isReached(ratio) ? "yes" : isReached(byCpu) ? "by CPU" : "no";
    return [
      row.title,
      ...ENGINES.map((engine) => cell(run, row, engine)),
      byCpu === undefined ? digits(ratio) : `${digits(ratio)} / ${digits(byCpu)}`,
      floorText(row.target),
      met,
    ];
  });
  const failed = [...run.samples].flatMap(([key, list]) =>
    list.flatMap((sample) => (typeof sample === "string" ? [`- ${key}: ${sample}`] : [])),
  );
  return [
    `${machineText()}; ${run.notes.join("; ")}. ${[...run.titles.values()].join("; ")}.`,
    `\`${command}\``,
    "Messages/s or the unit of the row, server CPU for each message; the drop-in divided by ws: messages/s, then messages per second of server CPU. Only the latter is valid while other programs use the cores; a target that only it reaches is met by CPU:",
    formatTable(["", ...ENGINES, "ratio", "target", "met"], body),
    ...(failed.length === 0 ? [] : ["Not measured:", failed.join("\n")]),
  ].join("\n\n");
}

/** Replaces the block of docs/performance.md. Returns its path. */
export function writeSockets(run: SocketsRun, command: string): string {
  return writeBlock("ws", "npm run bench:ws -- --write", [formatSockets(run, command)]);
}
