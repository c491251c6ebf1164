/** When to try again: times in milliseconds. */

const BASE_MS = 1_000;
const MOST_MS = 30_000;

/** A connection that held this long was a success: the next failure starts again at the shortest delays. */
export const STABLE_MS = 10_000;

/** Service Restart asks for a randomized delay of 5 to 30 s (the registration of close code 1012). */
const RESTART_MS = [5_000, 30_000] as const;

/** Try Again Later comes from a server that has too much to do (1013). */
const OVERLOAD_MS = [15_000, 60_000] as const;

/**
 * How long to wait before the next try. Full jitter: anything from nothing to a ceiling that doubles with each failure, so that the clients
 * of a server that comes back don't all come back at once.
 *
 * @param failures how often it has failed in a row, this time included: 1 or more
 * @param closeCode with which the connection ended
 * @param random from 0 to less than 1
 */
export function retryDelay(failures: number, closeCode: number, random: number): number {
  if (closeCode === 1012) return between(RESTART_MS, random);
  if (closeCode === 1013) return between(OVERLOAD_MS, random);
  const ceiling = Math.min(MOST_MS, BASE_MS * 2 ** Math.min(failures - 1, 30));
  return Math.round(random * ceiling);
}

/** Without a network a try can only succeed on this machine: they are few, and the browser says when it is back. */
export const OFFLINE_DELAY_MS = MOST_MS;

function between([least, most]: readonly [number, number], random: number): number {
  return Math.round(least + random * (most - least));
}
