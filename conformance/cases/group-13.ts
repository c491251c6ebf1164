import type { ConformanceCase, DeflateWish } from "./case.ts";
import { compressed, NOTHING } from "./compressed.ts";

/** What is asked for in 13.1 to 13.7. */
const WISHES: readonly (readonly DeflateWish[])[] = [
  [NOTHING],
  [{ noContextTakeover: true, windowBits: 0 }],
  [{ noContextTakeover: false, windowBits: 8 }],
  [{ noContextTakeover: false, windowBits: 15 }],
  [{ noContextTakeover: true, windowBits: 8 }],
  [{ noContextTakeover: true, windowBits: 15 }],
  [{ noContextTakeover: true, windowBits: 8 }, { noContextTakeover: true, windowBits: 0 }, NOTHING],
];

/** permessage-deflate with many parameters. */
export const GROUP_13: readonly ConformanceCase[] = WISHES.flatMap((wishes, index) =>
  compressed(`13.${index + 1}`, "json", true, wishes),
);
