import { CLOSED_BY_SUITE, type ConformanceCase, type CorpusName, type DeflatePreference } from "./case.ts";

const KIB = 1024;
const ROUND_TRIPS = 1000;

/** Message lengths, and the fragment size in bytes of the compressed message; 0 for one frame. */
const SIZES: readonly (readonly [length: number, fragmentSize: number])[] = [
  [16, 0],
  [64, 0],
  [256, 0],
  [KIB, 0],
  [4 * KIB, 0],
  [8 * KIB, 0],
  [16 * KIB, 0],
  [32 * KIB, 0],
  [64 * KIB, 0],
  [128 * KIB, 0],
  [8 * KIB, 256],
  [16 * KIB, 256],
  [32 * KIB, 256],
  [64 * KIB, 256],
  [128 * KIB, 256],
  [128 * KIB, KIB],
  [128 * KIB, 4 * KIB],
  [128 * KIB, 32 * KIB],
];

export const NOTHING: DeflatePreference = { noContextTakeover: false, windowBits: 0 };

function describe({ noContextTakeover, windowBits }: DeflatePreference): string {
  return `${noContextTakeover ? "no context takeover" : "context takeover"}, window ${windowBits || "as it likes"}`;
}

/** Returns the 18 cases of one kind of data and one set of parameters. */
export function compressed(
  prefix: string,
  corpus: CorpusName,
  text: boolean,
  deflate: readonly DeflatePreference[],
): readonly ConformanceCase[] {
  return SIZES.map(([length, fragmentSize], index) => ({
    id: `${prefix}.${index + 1}`,
    title:
      `${ROUND_TRIPS} round trips of ${length} bytes of ${corpus}` +
      `${fragmentSize === 0 ? "" : ` in fragments of ${fragmentSize}`}; ${deflate.map(describe).join(", or ")}`,
    steps: [{ do: "round-trips", count: ROUND_TRIPS, text, length, source: corpus, fragmentSize }],
    ok: [],
    close: CLOSED_BY_SUITE,
    deflate,
  }));
}
