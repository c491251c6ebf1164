import type { CorpusName } from "./case.ts";

/**
 * Data of the kinds and amounts that the Autobahn Testsuite compresses, generated here. Each call
 * returns the same bytes. Text is ASCII, so that a message may begin and end at any byte.
 */
const LENGTHS: Readonly<Record<CorpusName, number>> = {
  json: 194_056,
  bitmap: 263_222,
  prose: 222_218,
  html: 263_527,
  document: 1_042_328,
};

/** mulberry32: 32 pseudo-random bits from a seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Random = (below: number) => number;

const SYLLABLES = [
  "ha",
  "be",
  "nun",
  "ach",
  "phi",
  "lo",
  "so",
  "ju",
  "ri",
  "ste",
  "rei",
  "und",
  "me",
  "di",
  "zin",
  "leid",
];

function word(random: Random): string {
  const syllables = Array.from({ length: 1 + random(3) }, () => SYLLABLES[random(SYLLABLES.length)]);
  return syllables.join("");
}

function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => word(random)).join(" ");
}

function repeatUntil(length: number, piece: () => string): Buffer {
  const pieces: string[] = [];
  for (let made = 0; made < length;) {
    const next = piece();
    pieces.push(next);
    made += next.length;
  }
  return Buffer.from(pieces.join(""), "latin1").subarray(0, length);
}

const MAKERS: Readonly<Record<CorpusName, (random: Random, length: number) => Buffer>> = {
  json: (random, length) =>
    repeatUntil(length, () =>
      JSON.stringify({
        id: random(1e6),
        name: words(random, 2),
        tags: words(random, 4).split(" "),
        score: random(1e4) / 10,
      }),
    ),
  // Grey values that change slowly along a line, with noise.
  bitmap: (random, length) => {
    let grey = 128;
    return Buffer.from(Uint8Array.from({ length }, () => (grey = (grey + random(9) + 252) & 0xff)));
  },
  prose: (random, length) => repeatUntil(length, () => `${words(random, 4 + random(5))},\r\n`),
  html: (random, length) =>
    repeatUntil(length, () => `<li class="${word(random)}"><a href="/${word(random)}">${words(random, 5)}</a></li>\n`),
  // Compressed streams, each preceded by text.
  document: (random, length) =>
    repeatUntil(length, () => {
      const noise = Buffer.from(Uint8Array.from({ length: 512 + random(2048) }, () => random(256)));
      return `${random(9999)} 0 obj << /Length ${noise.length} >>\nstream\n${noise.toString("latin1")}\nendstream\n`;
    }),
};

const made = new Map<CorpusName, Uint8Array>();

export function corpus(name: CorpusName): Uint8Array {
  let data = made.get(name);
  if (data === undefined) {
    data = MAKERS[name](randomNumbers(name.length), LENGTHS[name]);
    made.set(name, data);
  }
  return data;
}

/** Returns `length` bytes from `from`, and continues at the start of the data after its end. */
export function slice(data: Uint8Array, from: number, length: number): Uint8Array {
  if (length === 0) return data.subarray(0, 0);
  const start = from % data.length;
  const piece = data.subarray(start, start + length);
  return piece.length === length ? piece : Buffer.concat([piece, data.subarray(0, length - piece.length)]);
}
