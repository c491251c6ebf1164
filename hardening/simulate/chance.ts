import { webcrypto } from "node:crypto";

/**
 * Makes it an error to ask the machine for time or chance: in a simulated world both come from the seed. (Timers of the machine and
 * its event loop's turns are left alone: streams need them, and they have one order.)
 */
export function forbidChance(): void {
  const forbid = (what: string) => (): never => {
    throw new Error(`${what} was asked in a simulated world`);
  };
  Date.now = () => 1_700_000_000_000; // `reconnecting` hands it on with each verdict, which only reads it for a date of the server's
  Math.random = forbid("Math.random");
  performance.now = forbid("performance.now");
  webcrypto.getRandomValues = forbid("crypto.getRandomValues");
  webcrypto.randomUUID = forbid("crypto.randomUUID");
}
