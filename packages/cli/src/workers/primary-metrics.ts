import type { Family } from "../hub-metrics.ts";
import type { Dropped } from "./member.ts";

export interface PrimaryFigures {
  /** That serve. */
  readonly workers: number;
  /** That took the place of another one. */
  readonly replaced: number;
  /** Bytes that wait for workers. */
  readonly linkBytes: number;
  readonly dropped: Dropped;
  /** Bytes by part of the primary's memory budget. */
  readonly memory: Readonly<Record<string, number>>;
}

/** What a primary counts itself. */
export function primaryFamilies({ workers, replaced, linkBytes, dropped, memory }: PrimaryFigures): readonly Family[] {
  return [
    family("gauge", "tungstate_workers", "Workers that serve", [["", workers]]),
    family("counter", "tungstate_workers_replaced_total", "Workers that took the place of one that ended", [
      ["", replaced],
    ]),
    family("gauge", "tungstate_worker_link_bytes", "Bytes that wait for workers", [["", linkBytes]]),
    family("counter", "tungstate_worker_dropped_total", "Messages that a worker did not take, and that were dropped", [
      ['{kind="publication"}', dropped.publications],
      ['{kind="broadcast"}', dropped.broadcasts],
    ]),
    family(
      "gauge",
      "tungstate_primary_memory_bytes",
      "Bytes held by parts of the primary's memory budget, such as history",
      Object.entries(memory).map(([part, bytes]) => [`{part="${part}"}`, bytes] as const),
    ),
  ];
}

function family(
  type: Family["type"],
  name: string,
  help: string,
  lines: readonly (readonly [labels: string, value: number])[],
): Family {
  return { type, name, help, lines: lines.map(([labels, value]) => [`${name}${labels}`, value]) };
}
