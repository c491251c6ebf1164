import { webcrypto } from "node:crypto";

/**
 * Makes calls for real time or randomness an error: in a simulated world both come from the seed.
 * (Real timers and event-loop iterations are permitted: streams need them, and their order is
 * fixed.)
 */
export function forbidChance(): void {
  const forbid = (what: string) => (): never => {
    throw new Error(`${what} was called in a simulated world`);
  };
  // `reconnecting` passes it on with each retry decision, which only reads it for a date of the
  // server
  Date.now = () => 1_700_000_000_000;
  Math.random = forbid("Math.random");
  performance.now = forbid("performance.now");
  webcrypto.getRandomValues = forbid("crypto.getRandomValues");
  webcrypto.randomUUID = forbid("crypto.randomUUID");
}
