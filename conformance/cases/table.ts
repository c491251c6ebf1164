import type { ConformanceCase } from "./case.ts";
import { GROUP_1 } from "./group-1.ts";
import { GROUP_10 } from "./group-10.ts";
import { GROUP_12 } from "./group-12.ts";
import { GROUP_13 } from "./group-13.ts";
import { GROUP_2 } from "./group-2.ts";
import { GROUP_3 } from "./group-3.ts";
import { GROUP_4 } from "./group-4.ts";
import { GROUP_5 } from "./group-5.ts";
import { GROUP_6 } from "./group-6.ts";
import { GROUP_7 } from "./group-7.ts";
import { GROUP_9 } from "./group-9.ts";

/** All cases, ordered by number. */
export const CASES: readonly ConformanceCase[] = [
  ...GROUP_1,
  ...GROUP_2,
  ...GROUP_3,
  ...GROUP_4,
  ...GROUP_5,
  ...GROUP_6,
  ...GROUP_7,
  ...GROUP_9,
  ...GROUP_10,
  ...GROUP_12,
  ...GROUP_13,
];

export const GROUP_TITLES: ReadonlyMap<number, string> = new Map([
  [1, "framing"],
  [2, "pings and pongs"],
  [3, "reserved bits"],
  [4, "reserved opcodes"],
  [5, "fragmentation"],
  [6, "UTF-8"],
  [7, "close handling"],
  [9, "limits and performance"],
  [10, "auto-fragmentation"],
  [12, "compression, kinds of data"],
  [13, "compression, parameters"],
]);

/** Returns the first number of a case's id. */
export function groupOf(id: string): number {
  return Number.parseInt(id, 10);
}
