import type { HeadLimits } from "@tungstate/protocol";
import type { OptionNames } from "./names.ts";

export const HEAD_LIMIT_OPTIONS: OptionNames<HeadLimits> = { maxHeadSize: true, maxHeaders: true, maxParts: true };
