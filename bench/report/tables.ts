import { PEER_TITLES, type PeerName } from "../runner/peers.ts";
import type { Metric, Row } from "../rows.ts";
import { floorText, isMet, type Results } from "./results.ts";
import { median, spread } from "./statistics.ts";

/**
 * Formats a Markdown table, padded so that it is also readable in a terminal. The first column is
 * left-aligned, the others right-aligned.
 */
export function formatTable(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...body.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const padded = (cells: readonly string[]): string =>
    line(
      widths.map((width, column) =>
        column === 0 ? (cells[0] ?? "").padEnd(width) : (cells[column] ?? "").padStart(width),
      ),
    );
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [padded(head), line(rule), ...body.map(padded)].join("\n");
}

/** 1,234,567 -> 1.23 M */
export function short(value: number): string {
  if (value >= 1e6) return `${digits(value / 1e6)} M`;
  if (value >= 1e4) return `${digits(value / 1e3)} k`;
  return digits(value);
}

function digits(value: number): string {
  if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value >= 0.1 ? value.toFixed(2) : value.toFixed(3);
}

function presentPeers(results: Results): readonly PeerName[] {
  return results.peers.filter((peer) => !results.absent.has(peer));
}

/** The median of each value, with the lowest and highest one. */
export function metricsTable(results: Results): string {
  const peers = presentPeers(results);
  const body = results.rows.map((row) => [row.title, ...peers.map((peer) => metricCell(results, row, peer))]);
  return formatTable(["", ...peers.map((peer) => PEER_TITLES[peer])], body);
}

const UNITS: Readonly<Record<Metric, string>> = { rate: "", cpuUs: " us", ms: " ms", kb: " KB", p99Us: " us p99" };

function metricCell(results: Results, row: Row, peer: PeerName): string {
  if (results.failure(row, peer) !== undefined) return "-";
  const mark = results.isLoadBound(row, peer) ? "*" : "";
  const main: Metric = row.metric === "cpuUs" ? "rate" : row.metric;
  const value = results.metric(row, peer, main);
  const cpu = results.metric(row, peer, "cpuUs");
  if (value === undefined) return "";
  const unit = UNITS[main];
  const text = `${short(value.median)}${unit}${mark}${cpu === undefined ? "" : `, ${short(cpu.median)} us`}`;
  // a smaller message costs the server more time
  const bytes =
    row.deflate === true ? spread(results.of(row, peer).flatMap((sample) => sample.wireBytes ?? [])) : undefined;
  return bytes === undefined ? text : `${text}, ${short(bytes.median)} B`;
}

/** The lowest and highest of all rounds. */
export function spreadTable(results: Results): string {
  const peers = presentPeers(results);
  const body = results.rows.map((row) => [
    row.title,
    ...peers.map((peer) => {
      const value = results.metric(row, peer, row.metric);
      return value === undefined ? "" : `${short(value.min)} - ${short(value.max)}`;
    }),
  ]);
  return formatTable(["", ...peers.map((peer) => PEER_TITLES[peer])], body);
}

/**
 * Tungstate against each peer: the value of the row and, for messages/s, messages per second of
 * server CPU, which is valid even if other programs use the cores. Empty if Tungstate was not
 * measured.
 */
export function ratioTable(results: Results): string {
  const peers = presentPeers(results).filter((peer) => peer !== "tungstate");
  if (!presentPeers(results).includes("tungstate") || peers.length === 0) return "";
  const body = results.rows.map((row) => {
    const met = floorsMet(results, row);
    return [
      row.title,
      ...peers.map((peer) => ratioCell(results, row, peer)),
      wanted(row),
      met === undefined ? "" : met ? "yes" : "no",
    ];
  });
  return formatTable(["", ...peers.map((peer) => `/ ${PEER_TITLES[peer]}`), "target", "met"], body);
}

function ratioCell(results: Results, row: Row, peer: PeerName): string {
  const ratio = results.ratio(row, "tungstate", peer, row.metric);
  if (ratio === undefined) return "";
  const cpu = results.ratio(row, peer, "tungstate", "cpuUs");
  return row.metric === "rate" && cpu !== undefined ? `${digits(ratio)} / ${digits(cpu)}` : digits(ratio);
}

function wanted(row: Row): string {
  const floors = Object.entries(row.floors ?? {}) as [PeerName, NonNullable<Row["floors"]>[PeerName]][];
  return floors
    .flatMap(([peer, floor]) => (floor === undefined ? [] : `${PEER_TITLES[peer]} ${floorText(floor)}`))
    .join(", ");
}

/** Returns whether all measured floors of a row are met, or undefined if none was measured. */
function floorsMet(results: Results, row: Row): boolean | undefined {
  let met: boolean | undefined;
  for (const peer of presentPeers(results)) {
    const floor = row.floors?.[peer];
    const ratio = results.ratio(row, "tungstate", peer, row.metric);
    if (floor !== undefined && ratio !== undefined) met = (met ?? true) && isMet(ratio, floor);
  }
  return met;
}

/** Latency from writing a message's first byte to reading its last, in microseconds. */
export function latencyTable(results: Results): string {
  const peers = presentPeers(results);
  const rows = results.rows.filter((row) =>
    peers.some((peer) => results.of(row, peer).some((sample) => sample.latencyUs !== undefined)),
  );
  if (rows.length === 0) return "";
  const body = rows.map((row) => [
    row.title,
    ...peers.map((peer) => {
      const latencies = results.of(row, peer).flatMap((sample) => sample.latencyUs ?? []);
      if (latencies.length === 0) return "";
      return (["p50", "p99", "p999"] as const)
        .map((q) => short(median(latencies.map((latency) => latency[q]))))
        .join(" / ");
    }),
  ]);
  return formatTable(["p50 / p99 / p99.9, us", ...peers.map((peer) => PEER_TITLES[peer])], body);
}
