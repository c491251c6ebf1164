/**
 * Table 3-7 of the Unicode Standard, "Well-Formed UTF-8 Byte Sequences": for each row the range of
 * each byte.
 */
export const WELL_FORMED: readonly (readonly (readonly [number, number])[])[] = [
  [[0x00, 0x7f]],
  [[0xc2, 0xdf], [0x80, 0xbf]],
  [[0xe0, 0xe0], [0xa0, 0xbf], [0x80, 0xbf]],
  [[0xe1, 0xec], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xed, 0xed], [0x80, 0x9f], [0x80, 0xbf]],
  [[0xee, 0xef], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xf0, 0xf0], [0x90, 0xbf], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xf1, 0xf3], [0x80, 0xbf], [0x80, 0xbf], [0x80, 0xbf]],
  [[0xf4, 0xf4], [0x80, 0x8f], [0x80, 0xbf], [0x80, 0xbf]],
]; // prettier-ignore

const ROW_OF = Array.from({ length: 256 }, (_, byte) =>
  WELL_FORMED.find(([lead]) => byte >= lead[0] && byte <= lead[1]),
);

/**
 * Looks the bytes up in the table: "whole" if a text may end after them, "partial" if they end
 * within a character, otherwise the offset of the first invalid byte.
 */
export function judge(bytes: Uint8Array): "whole" | "partial" | number {
  let at = 0;
  while (at < bytes.length) {
    const row = ROW_OF[bytes[at]];
    if (row === undefined) return at;
    for (const [low, high] of row) {
      if (at === bytes.length) return "partial";
      if (bytes[at] < low || bytes[at] > high) return at;
      at++;
    }
  }
  return "whole";
}

/** Both limits of each range of a row, in all combinations: well-formed sequences. */
export function boundsOf(row: (typeof WELL_FORMED)[number]): Uint8Array[] {
  return row
    .reduce<number[][]>(
      (heads, [low, high]) =>
        heads.flatMap((head) => [
          [...head, low],
          [...head, high],
        ]),
      [[]],
    )
    .map((bytes) => Uint8Array.from(bytes));
}

/** These sequences truncated. */
export function headsOf(row: (typeof WELL_FORMED)[number]): Uint8Array[] {
  return row.slice(1).flatMap((_, i) => boundsOf(row.slice(0, i + 1)));
}

/** Every bound of the table, and its neighbours: where a mistake would show. */
export const INTERESTING: readonly number[] = [
  ...new Set(
    WELL_FORMED.flat(2)
      .flatMap((bound) => [bound - 1, bound, bound + 1])
      .filter((byte) => byte >= 0 && byte <= 0xff)
      .concat(0xff, 0xfe, 0xf8, 0xfc),
  ),
].sort((a, b) => a - b);

/** Sequences that are not UTF-8, by what is wrong with them. */
export const MALFORMED: readonly (readonly [what: string, hex: string])[] = [
  ["a continuation byte alone", "80"],
  ["the last continuation byte alone", "bf"],
  ["two continuation bytes", "80bf"],
  ["more continuation bytes than the lead wants", "c3a980"],
  ["an overlong NUL in two bytes", "c080"],
  ["an overlong U+007F in two bytes", "c1bf"],
  ["an overlong NUL in three bytes", "e08080"],
  ["an overlong U+07FF in three bytes", "e09fbf"],
  ["an overlong NUL in four bytes", "f0808080"],
  ["an overlong U+FFFF in four bytes", "f08fbfbf"],
  ["an overlong form in five bytes", "f888808080"],
  ["an overlong form in six bytes", "fc8480808080"],
  ["the first high surrogate", "eda080"],
  ["the last high surrogate", "edafbf"],
  ["the first low surrogate", "edb080"],
  ["the last low surrogate", "edbfbf"],
  ["a pair of surrogates (CESU-8)", "eda0bdedb880"],
  ["U+110000", "f4908080"],
  ["U+13FFFF", "f4bfbfbf"],
  ["U+140000", "f5808080"],
  ["U+1FFFFF", "f7bfbfbf"],
  ["the byte FE", "fe"],
  ["the byte FF", "ff"],
  ["a lead followed by ASCII", "c341"],
  ["a lead of three followed by ASCII", "e28241"],
  ["a lead of four followed by ASCII", "f09f9841"],
  ["a lead followed by a lead", "e2c3a9"],
  ["UTF-16 with a byte order mark", "fffe4100"],
  ["Autobahn 6.3.1", "cebae1bdb9cf83cebcceb5eda080656469746564"],
];
