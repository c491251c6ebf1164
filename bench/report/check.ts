import { PEER_TITLES, type PeerName } from "../runner/peers.ts";
import type { Sample } from "../runner/measure.ts";
import type { Metric, Row } from "../rows.ts";
import type { Results } from "./results.ts";
import { median } from "./statistics.ts";
import { formatTable } from "./tables.ts";

/** The least noise that is assumed: rounds may agree by chance. */
const LEAST_NOISE = 0.02;
/** Rounds from which their differences say something about the noise. */
const LEAST_ROUNDS = 3;

/** One ratio of Tungstate to a peer, in both runs. */
export interface Comparison {
  readonly row: Row;
  readonly peer: PeerName;
  /** Medians over the rounds. */
  readonly recorded: number;
  readonly measured: number;
  /** The part that was lost; negative for a gain. */
  readonly loss: number;
  /** The part by which rounds differ from their median, in both runs together. */
  readonly noise: number;
}

type Rounds = readonly (Sample | null | undefined)[];

/** The samples of a run by row and server, as `Results.toJson` writes them. */
export type Recording = ReadonlyMap<string, Rounds>;

/** Parses a file that `--json` has written. */
export function parseRecording(text: string): Recording {
  const { samples } = JSON.parse(text) as {
    samples?: readonly { readonly row: string; readonly server: string; readonly rounds: Rounds }[];
  };
  if (!Array.isArray(samples)) throw new Error("expected a file written with --json");
  return new Map(samples.map(({ row, server, rounds }) => [`${row} ${server}`, rounds]));
}

/**
 * Compares the ratios to each peer with those of an earlier run. Rows that only one of them has are
 * left out. Throws if a run has too few rounds to know its noise, and if nothing can be compared.
 */
export function compareRuns(results: Results, recording: Recording): readonly Comparison[] {
  const found: Comparison[] = [];
  for (const row of results.rows) {
    const metric = checkedMetric(row);
    for (const peer of results.peers) {
      if (peer === "tungstate") continue;
      const now = ratios(results.rounds(row, "tungstate"), results.rounds(row, peer), metric);
      const before = ratios(
        recording.get(`${row.name} tungstate`) ?? [],
        recording.get(`${row.name} ${peer}`) ?? [],
        metric,
      );
      if (now.length === 0 || before.length === 0) continue;
      if (Math.min(now.length, before.length) < LEAST_ROUNDS) {
        throw new Error(
          `expected at least ${LEAST_ROUNDS} rounds in both runs, got ${now.length} and ${before.length}`,
        );
      }
      const [measured, recorded] = [median(now), median(before)];
      const noise = Math.hypot(spreadOf(now), spreadOf(before), LEAST_NOISE);
      found.push({ row, peer, recorded, measured, loss: measured / recorded - 1, noise });
    }
  }
  if (found.length === 0) throw new Error("no row was measured in both runs with Tungstate and another server");
  return found;
}

export function isLoss({ loss, noise }: Comparison): boolean {
  return loss > noise;
}

/**
 * Server CPU instead of messages/s: other programs change it less. Less is better for all of them.
 */
function checkedMetric({ metric }: Row): Metric {
  return metric === "rate" ? "cpuUs" : metric;
}

function ratios(ours: Rounds, theirs: Rounds, metric: Metric): readonly number[] {
  return ours.flatMap((sample, round) => {
    const [above, below] = [sample?.[metric], theirs[round]?.[metric]];
    return above === undefined || below === undefined || below <= 0 ? [] : above / below;
  });
}

/** Half the distance between the quartiles of rounds, as a part of their median. */
function spreadOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const lower = sorted[Math.floor((sorted.length - 1) / 4)] ?? NaN;
  const upper = sorted[Math.ceil(((sorted.length - 1) * 3) / 4)] ?? NaN;
  return (upper - lower) / 2 / median(values);
}

/** Formats the comparison as a table. */
export function checkTable(comparisons: readonly Comparison[]): string {
  const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
  return formatTable(
    ["Tungstate / peer, by CPU or the unit of the row", "peer", "recorded", "measured", "change", "noise", ""],
    comparisons.map((comparison) => [
      comparison.row.title,
      PEER_TITLES[comparison.peer],
      comparison.recorded.toFixed(3),
      comparison.measured.toFixed(3),
      `${comparison.loss > 0 ? "+" : ""}${percent(comparison.loss)}`,
      percent(comparison.noise),
      isLoss(comparison) ? "LOSS" : "",
    ]),
  );
}
