/**
 * Numbers from 0 to just below 1 that look random and are always the same for the same seed: Marsaglia's xorshift32 ("Xorshift RNGs",
 * 2003). For tests only: whoever has seen one can tell all others.
 */
export function seededRandom(seed: number): () => number {
  // seeds that are close to each other must not begin alike
  let state = Math.imul(seed ^ (seed >>> 16) ^ 0x9e3779b9, 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  state ^= state >>> 16;
  if (state === 0) state = 1; // the one state that it would never leave
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
