import { bytes, hex } from "./case.ts";

/**
 * The sequences of Markus Kuhn's UTF-8 stress test
 * (cl.cam.ac.uk/~mgk25/ucs/examples/UTF-8-test.txt), in the groups and order of 6.5 to 6.23.
 */
export interface Utf8Group {
  readonly title: string;
  readonly sequences: readonly { readonly isValid: boolean; readonly octets: Uint8Array }[];
}

function group(title: string, isValid: boolean, octets: readonly Uint8Array[]): Utf8Group {
  return { title, sequences: octets.map((sequence) => ({ isValid, octets: sequence })) };
}

function valid(title: string, ...octets: readonly string[]): Utf8Group {
  return group(title, true, octets.map(hex));
}

function invalid(title: string, ...octets: readonly string[]): Utf8Group {
  return group(title, false, octets.map(hex));
}

const KOSME = hex("ce ba e1 bd b9 cf 83 ce bc ce b5");
/** Ends of the characters of KOSME. */
const KOSME_ENDS = new Set([2, 5, 7, 9, 11]);

/**
 * Returns each lead byte of a length, from `first` to the one before `last`, followed by a space.
 */
function lonelyLeads(first: number, last: number): Uint8Array {
  return Uint8Array.from({ length: (last - first) * 2 }, (_, index) => (index % 2 === 0 ? first + index / 2 : 0x20));
}

/**
 * The last two code points of each plane except the first: U+1FFFE, U+1FFFF ... U+10FFFE, U+10FFFF.
 */
const PLANE_ENDS = Array.from({ length: 16 }, (_, index) => index + 1).flatMap((plane) => [
  bytes(String.fromCodePoint(plane * 0x10000 + 0xfffe)),
  bytes(String.fromCodePoint(plane * 0x10000 + 0xffff)),
]);

/** Sequences without their last byte. */
const TRUNCATED = [
  "c0",
  "e0 80",
  "f0 80 80",
  "f8 80 80 80",
  "fc 80 80 80 80",
  "df",
  "ef bf",
  "f7 bf bf",
  "fb bf bf bf",
  "fd bf bf bf bf",
];

export const UTF8_SEQUENCES: readonly Utf8Group[] = [
  group("characters of one to four bytes", true, [
    bytes("hello$world"),
    bytes("hello\u00a2world"),
    bytes("hello\u20acworld"),
    bytes("hello\u{24b62}world"),
    KOSME,
  ]),
  {
    title: "each prefix of a Greek word",
    sequences: Array.from(KOSME, (_, index) => ({
      isValid: KOSME_ENDS.has(index + 1),
      octets: KOSME.subarray(0, index + 1),
    })),
  },
  valid("the first sequence of one to four bytes", "00", "c2 80", "e0 a0 80", "f0 90 80 80"),
  invalid("the first sequence of five and six bytes", "f8 88 80 80 80", "fc 84 80 80 80 80"),
  valid("the last sequence of one to four bytes", "7f", "df bf", "ef bf bf", "f4 8f bf bf"),
  invalid("the last sequence of four to six bytes", "f7 bf bf bf", "fb bf bf bf bf", "fd bf bf bf bf bf"),
  {
    title: "bounds of the surrogates and of Unicode",
    sequences: [
      ...["ed 9f bf", "ee 80 80", "ef bf bd", "f4 8f bf bf"].map((octets) => ({ isValid: true, octets: hex(octets) })),
      { isValid: false, octets: hex("f4 90 80 80") },
    ],
  },
  group("continuation bytes without a lead", false, [
    ...["80", "bf", "80 bf", "80 bf 80", "80 bf 80 bf", "80 bf 80 bf 80", "80 bf 80 bf 80 bf"].map(hex),
    Uint8Array.from({ length: 0xbf - 0x80 }, (_, index) => 0x80 + index),
  ]),
  group("lead bytes without a continuation", false, [
    lonelyLeads(0xc0, 0xdf),
    lonelyLeads(0xe0, 0xef),
    lonelyLeads(0xf0, 0xf7),
    lonelyLeads(0xf8, 0xfb),
    lonelyLeads(0xfc, 0xfd),
  ]),
  invalid("sequences without their last byte", ...TRUNCATED),
  invalid("all sequences without their last byte, joined", TRUNCATED.join("")),
  invalid("bytes that UTF-8 never has", "fe", "ff", "fe fe ff ff"),
  invalid("a slash, overlong", "c0 af", "e0 80 af", "f0 80 80 af", "f8 80 80 80 af", "fc 80 80 80 80 af"),
  invalid(
    "the largest code point of each length, overlong",
    "c1 bf",
    "e0 9f bf",
    "f0 8f bf bf",
    "f8 87 bf bf bf",
    "fc 83 bf bf bf bf",
  ),
  invalid("a NUL, overlong", "c0 80", "e0 80 80", "f0 80 80 80", "f8 80 80 80 80", "fc 80 80 80 80 80"),
  invalid("single surrogates", "ed a0 80", "ed ad bf", "ed ae 80", "ed af bf", "ed b0 80", "ed be 80", "ed bf bf"),
  invalid(
    "pairs of surrogates",
    "ed a0 80 ed b0 80",
    "ed a0 80 ed bf bf",
    "ed ad bf ed b0 80",
    "ed ad bf ed bf bf",
    "ed ae 80 ed b0 80",
    "ed ae 80 ed bf bf",
    "ed af bf ed b0 80",
    "ed af bf ed bf bf",
  ),
  group("noncharacters, which are valid", true, [hex("ef bf be"), hex("ef bf bf"), ...PLANE_ENDS]),
  valid("the specials", "ef bf b9", "ef bf ba", "ef bf bb", "ef bf bc", "ef bf bd", "ef bf be", "ef bf bf"),
];
