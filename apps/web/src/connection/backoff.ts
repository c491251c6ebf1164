/** Delays before reconnecting, in ms. */

const BASE_MS = 1_000;
const MAX_MS = 30_000;

/** A connection that lasted this long resets the delay. */
export const STABLE_MS = 10_000;

/** Close code 1012 (Service Restart) asks for a random delay of 5 to 30 s. */
const RESTART_MS = [5_000, 30_000] as const;

/** Close code 1013 (Try Again Later) comes from an overloaded server. */
const OVERLOAD_MS = [15_000, 60_000] as const;

/**
 * Returns the delay before the next attempt. It uses full jitter: a random delay up to a limit that
 * doubles with each failure. Clients of a restarted server then do not all reconnect at once.
 *
 * @param failures number of consecutive failures, including this one: 1 or more
 * @param closeCode close code of the connection
 * @param random from 0 to below 1
 */
export function retryDelay(failures: number, closeCode: number, random: number): number {
  if (closeCode === 1012) return between(RESTART_MS, random);
  if (closeCode === 1013) return between(OVERLOAD_MS, random);
  const ceiling = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(failures - 1, 30));
  return Math.round(random * ceiling);
}

/**
 * Delay without a network. Only a server on this machine can be reached then, and the browser
 * reports when the network is back.
 */
export const OFFLINE_DELAY_MS = MAX_MS;

function between([least, most]: readonly [number, number], random: number): number {
  return Math.round(least + random * (most - least));
}
