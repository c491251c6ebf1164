/**
 * Returns a function that returns pseudo-random numbers from 0 to just below 1, always the same for
 * one seed: Marsaglia's xorshift32 ("Xorshift RNGs", 2003). For tests only: the numbers can be
 * predicted.
 */
export function seededRandom(seed: number): () => number {
  // similar seeds must not give similar numbers
  let state = Math.imul(seed ^ (seed >>> 16) ^ 0x9e3779b9, 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  state ^= state >>> 16;
  if (state === 0) state = 1; // the only state that xorshift never leaves
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
