import type { ConformanceCase, CorpusName } from "./case.ts";
import { compressed, NOTHING } from "./compressed.ts";

/** The kinds of data of 12.1 to 12.5, and whether they are sent as text. */
const CORPORA: readonly (readonly [name: CorpusName, text: boolean])[] = [
  ["json", true],
  ["bitmap", false],
  ["prose", false],
  ["html", true],
  ["document", false],
];

/** permessage-deflate with many kinds of data. */
export const GROUP_12: readonly ConformanceCase[] = CORPORA.flatMap(([name, text], index) =>
  compressed(`12.${index + 1}`, name, text, [NOTHING]),
);
