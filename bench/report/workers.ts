import { availableParallelism } from "node:os";
import { PEER_TITLES, type PeerName } from "../runner/peers.ts";
import type { Row } from "../rows.ts";
import type { Sample } from "../runner/measure.ts";
import type { Results } from "./results.ts";
import { median, spread } from "./statistics.ts";
import { formatTable, short } from "./tables.ts";

const HEAD = [
  "",
  "messages/s",
  "server CPU per message",
  "load's CPU per message",
  "cores: server",
  "others",
  "/ one worker",
  "ideal",
  "of the ideal",
];

/** Each server with one worker and with more. */
export function workersTable(results: Results, cores = availableParallelism()): string {
  const one = results.rows.find((row) => row.workers === 1);
  const body = results.peers.flatMap((peer) =>
    results.rows.flatMap((row) => (results.of(row, peer).length === 0 ? [] : [line(results, row, peer, one, cores)])),
  );
  return formatTable(HEAD, body);
}

function line(results: Results, row: Row, peer: PeerName, one: Row | undefined, cores: number): readonly string[] {
  const { workers = 1 } = row;
  const samples = results.of(row, peer);
  const of = (metric: (sample: Sample) => number | undefined, unit = ""): string => {
    const values = samples.flatMap((sample) => metric(sample) ?? []);
    return values.length === 0 ? "" : `${short(median(values))}${unit}`;
  };
  return [
    `${PEER_TITLES[peer]}, ${workers} ${workers === 1 ? "worker" : "workers"}`,
    of((sample) => sample.rate),
    of((sample) => sample.cpuUs, " us"),
    of(loadUs, " us"),
    of((sample) => sample.serverBusy),
    of((sample) => sample.othersBusy),
    ...(one === undefined || workers === 1 ? [] : growth(results.pairs(row, one, peer), workers, cores)),
  ];
}

function growth(pairs: readonly (readonly [Sample, Sample])[], workers: number, cores: number): readonly string[] {
  const rounds = pairs.flatMap(([sample, alone]) => {
    const load = loadUs(sample);
    if (sample.rate === undefined || alone.rate === undefined || alone.cpuUs === undefined || load === undefined)
      return [];
    const ideal = idealRatio({
      workers,
      cores,
      serverUs: alone.cpuUs,
      serverBusy: alone.serverBusy ?? 1,
      loadUs: load,
    });
    return [{ ratio: sample.rate / alone.rate, ideal }];
  });
  const ratio = spread(rounds.map((round) => round.ratio));
  if (ratio === undefined) return [];
  const range = rounds.length === 1 ? "" : ` (${short(ratio.min)} - ${short(ratio.max)})`;
  const share = median(rounds.map((round) => round.ratio / round.ideal));
  return [
    `${short(ratio.median)}${range}`,
    short(median(rounds.map((round) => round.ideal))),
    `${Math.round(100 * share)} %`,
  ];
}

/** The load generator's CPU time for each message. */
function loadUs({ loadBusy, rate }: Sample): number | undefined {
  return loadBusy === undefined || rate === undefined ? undefined : (1e6 * loadBusy) / rate;
}

/**
 * How many times the messages of one worker there can be at most, where a message takes the server
 * as much CPU as it takes one worker alone, and the load what it took: as many as there are
 * workers; as fit into all cores, the load's part of them included; as the load, which is one
 * thread, can make. `serverBusy` is how many cores one worker had: 1 is its due, and one that works
 * in threads has more.
 */
export function idealRatio(given: {
  readonly workers: number;
  readonly cores: number;
  readonly serverUs: number;
  readonly serverBusy: number;
  readonly loadUs: number;
}): number {
  const { workers, cores, serverUs, serverBusy, loadUs } = given;
  // cores for the server
  const most = Math.min((cores * serverUs) / (serverUs + loadUs), serverUs / loadUs);
  return Math.min(workers, most / Math.max(1, serverBusy));
}
