import type { Family } from "./hub-metrics.ts";

/** Messages dropped since the worker started. */
export interface DroppedMessages {
  publications: number;
  broadcasts: number;
}

export interface PrimaryCounts {
  /** Workers that are serving. */
  readonly workers: number;
  /** Workers that replaced another one. */
  readonly replaced: number;
  /** Bytes queued for workers. */
  readonly linkBytes: number;
  readonly dropped: DroppedMessages;
  /** Bytes in the primary's memory budget, by component. */
  readonly memory: Readonly<Record<string, number>>;
}

/** Returns the metrics of the primary process itself. */
export function primaryMetrics({ workers, replaced, linkBytes, dropped, memory }: PrimaryCounts): readonly Family[] {
  return [
    family("gauge", "tungstate_workers", "Workers that are serving", [["", workers]]),
    family("counter", "tungstate_workers_replaced_total", "Workers started to replace one that ended", [
      ["", replaced],
    ]),
    family("gauge", "tungstate_worker_link_bytes", "Bytes queued for workers", [["", linkBytes]]),
    family(
      "counter",
      "tungstate_worker_dropped_total",
      "Messages dropped because a worker did not accept them in time",
      [
        ['{kind="publication"}', dropped.publications],
        ['{kind="broadcast"}', dropped.broadcasts],
      ],
    ),
    family(
      "gauge",
      "tungstate_primary_memory_bytes",
      "Bytes charged to the primary's memory budget, by component such as history",
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
