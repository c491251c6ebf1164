/** Names of people: validation, and a generated name for those who have not chosen one. */

export const MAX_NAME_LENGTH = 32; // code points

const FIRST = "Amber Bold Brisk Calm Clear Curious Deft Early Gentle Glad Keen Kind Late Lucid Merry Mild Neat Nimble Patient Quick Quiet Steady Sunny Warm".split(" "); // prettier-ignore
const SECOND = "Badger Crane Dormouse Falcon Finch Fox Gecko Hare Heron Ibis Jay Kestrel Lark Lynx Marten Newt Otter Owl Plover Robin Seal Stoat Swift Wren".split(" "); // prettier-ignore

/** Returns a name such as "Quiet Heron". `random` returns numbers from 0 to below 1. */
export function friendlyName(random: () => number): string {
  const pick = (words: readonly string[]): string => words[Math.floor(random() * words.length)] ?? "";
  return `${pick(FIRST)} ${pick(SECOND)}`;
}

// Format characters except the joiners, which emoji and some scripts need; control characters;
// letters without a glyph.
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]+/gu;

/**
 * Cleans a name for display: one line, no invisible characters, limited length. Returns undefined
 * if nothing is left.
 */
export function cleanName(text: string, most: number = MAX_NAME_LENGTH): string | undefined {
  const line = text.replace(UNSEEN, " ").replace(/\s+/gu, " ").trim();
  const short = [...line].slice(0, most).join("").trim();
  return /[^\s\p{M}\u200c\u200d]/u.test(short) ? short : undefined;
}
