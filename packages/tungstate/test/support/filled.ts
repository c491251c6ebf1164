/** Returns bytes that differ by position and seed. */
export function filled(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < Math.min(size, 256); at++) bytes[at] = at * 31 + seed;
  for (let done = 256; done < size; done *= 2) bytes.copyWithin(done, 0, done); // it repeats
  return bytes;
}
