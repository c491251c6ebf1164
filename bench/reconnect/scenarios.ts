import type { Scenario } from "./simulation.ts";

/**
 * 10,000 clients of a server that is away for 5 seconds and then accepts 1,000 handshakes per
 * second.
 */
const BASE: Omit<Scenario, "name"> = {
  clients: 10_000,
  closeCode: 1006,
  downFor: 5_000,
  handshakesPerSecond: 1_000,
  maxHandshakes: 1_024,
  retryAfter: 5,
  client: {},
  jitter: true,
  seed: 1,
  length: 60_000,
};

/** Clients that reconnect in waves, and the same server with clients of this package. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...BASE,
    name: "every second, as in many scripts; 503 without Retry-After",
    client: { backoff: { initialDelay: 1_000, maxDelay: 1_000 } },
    jitter: false,
    retryAfter: undefined,
  },
  {
    ...BASE,
    name: "exponential backoff without jitter; 503 without Retry-After",
    jitter: false,
    retryAfter: undefined,
  },
  { ...BASE, name: "reconnecting(), after a crash" },
  { ...BASE, name: "reconnecting(), after a close with 1012 (service restart)", closeCode: 1012 },
];
