import type { LimitedMethod, Limits } from "./options.ts";
import type { Method } from "./protocol/command.ts";

interface Bucket {
  tokens: number;
  filledAt: number;
}

/** A token bucket for each kind of command of one connection. */
export class RateLimit {
  private readonly rates: Limits["rates"];
  private readonly buckets = new Map<LimitedMethod, Bucket>();

  constructor(rates: Limits["rates"]) {
    this.rates = rates;
  }

  /** Takes one command. False: there were too many. */
  take(method: Method, now: number): boolean {
    // an unsubscribe follows a subscribe, and a ping costs no more than the frame it comes in
    if (this.rates === false || method === "ping" || method === "unsubscribe") return true;
    const { perSecond, burst } = this.rates[method];
    let bucket = this.buckets.get(method);
    if (bucket === undefined) this.buckets.set(method, (bucket = { tokens: burst, filledAt: now }));
    bucket.tokens = Math.min(bucket.tokens + ((now - bucket.filledAt) * perSecond) / 1000, burst);
    bucket.filledAt = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}
