import type { Sample } from "../runner/measure.ts";
import type { PeerName } from "../runner/peers.ts";
import type { Metric, Floor, Row } from "../rows.ts";
import { median, spread, type Spread } from "./statistics.ts";

/** All samples of a run. A server that could not do a row has the reason instead. */
export class Results {
  readonly rows: readonly Row[];
  readonly peers: readonly PeerName[];
  /** The name that each server reports. */
  readonly titles = new Map<PeerName, string>();
  /** Peers that are not available, and why. */
  readonly absent = new Map<PeerName, string>();
  private readonly samples = new Map<string, (Sample | undefined)[]>();
  private readonly reasons = new Map<string, string>();

  constructor(rows: readonly Row[], peers: readonly PeerName[]) {
    this.rows = rows;
    this.peers = peers;
  }

  /** Returns the same run, limited to some rows. */
  within(rows: readonly Row[]): Results {
    const part = new Results(rows, this.peers);
    for (const [peer, title] of this.titles) part.titles.set(peer, title);
    for (const [peer, reason] of this.absent) part.absent.set(peer, reason);
    for (const [key, samples] of this.samples) part.samples.set(key, samples);
    for (const [key, reason] of this.reasons) part.reasons.set(key, reason);
    return part;
  }

  add(row: Row, peer: PeerName, round: number, sample: Sample): void {
    const key = `${row.name} ${peer}`;
    const list = this.samples.get(key) ?? [];
    list[round] = sample;
    this.samples.set(key, list);
  }

  fail(row: Row, peer: PeerName, reason: string): void {
    this.reasons.set(`${row.name} ${peer}`, reason);
  }

  failure(row: Row, peer: PeerName): string | undefined {
    return this.reasons.get(`${row.name} ${peer}`);
  }

  failures(): readonly { readonly row: Row; readonly peer: PeerName; readonly reason: string }[] {
    return this.rows.flatMap((row) =>
      this.peers.flatMap((peer) => {
        const reason = this.failure(row, peer);
        return reason === undefined ? [] : [{ row, peer, reason }];
      }),
    );
  }

  of(row: Row, peer: PeerName): readonly Sample[] {
    return (this.samples.get(`${row.name} ${peer}`) ?? []).filter((sample) => sample !== undefined);
  }

  /** Returns the sample of each round; undefined where there is none. */
  rounds(row: Row, peer: PeerName): readonly (Sample | undefined)[] {
    return this.samples.get(`${row.name} ${peer}`) ?? [];
  }

  metric(row: Row, peer: PeerName, metric: Metric): Spread | undefined {
    return spread(this.of(row, peer).flatMap((sample) => sample[metric] ?? []));
  }

  /**
   * Returns the median over the rounds of one peer's value divided by another's in the same round,
   * under the same conditions of the machine.
   */
  ratio(row: Row, peer: PeerName, other: PeerName, metric: Metric): number | undefined {
    const ours = this.samples.get(`${row.name} ${peer}`) ?? [];
    const theirs = this.samples.get(`${row.name} ${other}`) ?? [];
    const ratios = ours.flatMap((sample, round) => {
      const [above, below] = [sample?.[metric], theirs[round]?.[metric]];
      return above === undefined || below === undefined || below === 0 ? [] : above / below;
    });
    return ratios.length === 0 ? undefined : median(ratios);
  }

  /** Returns the samples of one peer in two rows, round by round. */
  pairs(row: Row, other: Row, peer: PeerName): readonly (readonly [Sample, Sample])[] {
    const others = this.samples.get(`${other.name} ${peer}`) ?? [];
    return (this.samples.get(`${row.name} ${peer}`) ?? []).flatMap((sample, round) => {
      const beside = others[round];
      return sample === undefined || beside === undefined ? [] : [[sample, beside] as const];
    });
  }

  /** Returns every sample as JSON. */
  toJson(): string {
    const samples = [...this.samples].map(([key, list]) => ({
      row: key.split(" ")[0],
      server: key.split(" ")[1],
      rounds: list,
    }));
    return `${JSON.stringify({ servers: Object.fromEntries(this.titles), samples }, undefined, 1)}\n`;
  }

  /**
   * Returns whether the load generator may have limited the row: it was busy all the time, and the
   * server was not.
   */
  isLoadBound(row: Row, peer: PeerName): boolean {
    const samples = this.of(row, peer);
    if (samples.length === 0) return false;
    const load = median(samples.map((sample) => sample.loadBusy ?? 0));
    const server = median(samples.map((sample) => sample.serverBusy ?? 1));
    return load > 0.95 && server < 0.95;
  }
}

export function isMet(ratio: number, floor: Floor): boolean {
  return "atLeast" in floor ? ratio >= floor.atLeast : ratio <= floor.atMost;
}

export function floorText(floor: Floor): string {
  return "atLeast" in floor ? `>= ${trim(floor.atLeast)}` : `<= ${trim(floor.atMost)}`;
}

function trim(value: number): string {
  return String(Number(value.toPrecision(2)));
}
