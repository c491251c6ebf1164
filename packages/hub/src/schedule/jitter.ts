/**
 * A source of numbers from 0 to just below 1, for delays. Ids and secrets come from node:crypto.
 */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();

/**
 * Returns `delay` shortened by up to half, at random: clients of one failed server do not all
 * return at the same moment.
 */
export function jittered(delay: number, random: Random): number {
  return delay * (0.5 + random() / 2);
}
