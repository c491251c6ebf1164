import type { ConformanceCase, DeflatePreference } from "./case.ts";
import { compressed, NOTHING } from "./compressed.ts";

/** The parameters of 13.1 to 13.7. */
const PREFERENCES: readonly (readonly DeflatePreference[])[] = [
  [NOTHING],
  [{ noContextTakeover: true, windowBits: 0 }],
  [{ noContextTakeover: false, windowBits: 8 }],
  [{ noContextTakeover: false, windowBits: 15 }],
  [{ noContextTakeover: true, windowBits: 8 }],
  [{ noContextTakeover: true, windowBits: 15 }],
  [{ noContextTakeover: true, windowBits: 8 }, { noContextTakeover: true, windowBits: 0 }, NOTHING],
];

/** permessage-deflate with many parameters. */
export const GROUP_13: readonly ConformanceCase[] = PREFERENCES.flatMap((preferences, index) =>
  compressed(`13.${index + 1}`, "json", true, preferences),
);
