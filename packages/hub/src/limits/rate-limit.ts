import type { Clock } from "../schedule/clock.ts";
import { Entry, List } from "../schedule/list.ts";
import type { LimitedMethod, Limits, Rate } from "../settings/limits.ts";

/**
 * Maximum number of buckets that the connections of one address share: many users may have the same
 * address.
 */
const MOST_PER_ADDRESS = 32;
/**
 * Minimum delay in ms for an overdrawn bucket, after which there is more to do at once than a line.
 */
const SHORTEST_DELAY = 100;
/** Maximum number of allowances of users and addresses without a connection that are kept. */
const MOST_REMEMBERED = 20_000;

/** A token bucket. It may be overdrawn, and must then be refilled. */
class Bucket {
  private readonly rate: Rate;
  private level: number;
  private filledAt: number;

  constructor(rate: Rate, now: number) {
    this.rate = rate;
    this.level = rate.burst;
    this.filledAt = now;
  }

  /** Returns the tokens that are available. */
  levelAt(now: number): number {
    const { perSecond, burst } = this.rate;
    this.level = Math.min(this.level + ((now - this.filledAt) * perSecond) / 1000, burst);
    this.filledAt = now;
    return this.level;
  }

  /** Takes tokens, available or not; the debt is at most its capacity. */
  take(amount: number, now: number): void {
    this.level = Math.max(this.levelAt(now) - amount, -this.rate.burst);
  }

  /** Returns the ms until tokens are available; 0: now. */
  delay(now: number): number {
    const level = this.levelAt(now);
    return level > 0 ? 0 : Math.max(SHORTEST_DELAY, ((1 - level) * 1000) / this.rate.perSecond);
  }

  /** When it is full. */
  get fullAt(): number {
    return this.filledAt + ((this.rate.burst - this.level) * 1000) / this.rate.perSecond;
  }
}

/**
 * What the commands of one user, or of one connection of an address, may use: a bucket for each
 * method, and one for their cost.
 */
export class Allowance {
  /** Number of connections that use it. */
  connections = 0;
  private readonly limits: Limits;
  private buckets: Map<LimitedMethod, Bucket> | undefined;
  private cost: Bucket | undefined;

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** Takes one command of a method. Returns false if there were too many. */
  take(method: LimitedMethod, now: number): boolean {
    const { rates } = this.limits;
    if (rates === false) return true;
    this.buckets ??= new Map();
    let bucket = this.buckets.get(method);
    if (bucket === undefined) this.buckets.set(method, (bucket = new Bucket(rates[method], now)));
    if (bucket.levelAt(now) < 1) return false;
    bucket.take(1, now);
    return true;
  }

  /** Charges bytes of work. */
  charge(bytes: number, now: number): void {
    if (this.limits.cost === false) return;
    this.cost ??= new Bucket(this.limits.cost, now);
    this.cost.take(bytes, now);
  }

  /** Returns the ms until work may be done; 0: now. */
  delay(now: number): number {
    return this.cost?.delay(now) ?? 0;
  }

  /** When all buckets are full, as in a new one. */
  get fullAt(): number {
    let last = this.cost?.fullAt ?? 0;
    for (const bucket of this.buckets?.values() ?? []) last = Math.max(last, bucket.fullAt);
    return last;
  }
}

/** A user or an address. */
class Owner {
  readonly key: string;
  allowances: Allowance[] = [];
  connections = 0;
  /** Entry in the list of owners without a connection. */
  readonly entry = new Entry<Owner>(this);

  constructor(key: string) {
    this.key = key;
  }

  get fullAt(): number {
    return this.allowances.reduce((last, each) => Math.max(last, each.fullAt), 0);
  }

  /** Removes the allowances with full buckets. */
  forgetFull(now: number): void {
    this.allowances = this.allowances.filter((each) => each.fullAt > now);
  }
}

/**
 * The allowances by user, or by address for anonymous clients. They outlive the connections that
 * use them, so that a client gains nothing by reconnecting. All connections of a user share one;
 * those of an address share 32, of which each takes an unused one if possible.
 */
export class Allowances {
  private readonly limits: Limits;
  private readonly clock: Clock;
  private readonly owners = new Map<string, Owner>();
  /** Owners without a connection whose buckets are not full, the earliest first. */
  private readonly left = new List<Owner>();
  /** Number of their allowances. */
  private remembered = 0;
  /** Shared by all connections if there are no limits. */
  private readonly unlimited: AllowanceUse | undefined;

  constructor(limits: Limits, clock: Clock) {
    this.limits = limits;
    this.clock = clock;
    if (limits.rates === false && limits.cost === false) this.unlimited = unshared(limits);
  }

  /** Number of users and addresses that are kept. */
  get size(): number {
    return this.owners.size;
  }

  /** Returns the use of a user's connection. Call `close` at its end. */
  ofUser(user: string): AllowanceUse {
    return this.unlimited ?? this.open(`user ${user}`, 1);
  }

  /** Returns the use of an anonymous client's connection. Its address may be unknown. */
  ofAddress(connection: { readonly address?: string | undefined }): AllowanceUse {
    if (this.unlimited !== undefined) return this.unlimited;
    const { address } = connection; // a system call
    return address === undefined ? unshared(this.limits) : this.open(`address ${address}`, MOST_PER_ADDRESS);
  }

  private open(key: string, most: number): AllowanceUse {
    let owner = this.owners.get(key);
    if (owner === undefined) this.owners.set(key, (owner = new Owner(key)));
    if (owner.entry.list !== undefined) this.remembered -= owner.allowances.length;
    this.left.remove(owner.entry);
    const allowance = this.pick(owner.allowances, most);
    allowance.connections++;
    owner.connections++;
    const owned = owner;
    let isOpen = true;
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      allowance.connections--;
      if (--owned.connections === 0) this.leave(owned);
    };
    return { allowance, close };
  }

  /**
   * Returns one that was used before and is not now; otherwise a new one; otherwise the one with
   * the fewest users.
   */
  private pick(allowances: Allowance[], most: number): Allowance {
    let least: Allowance | undefined;
    for (const each of allowances) {
      if (each.connections === 0) return each;
      if (least === undefined || each.connections < least.connections) least = each;
    }
    if (least !== undefined && allowances.length >= most) return least;
    const made = new Allowance(this.limits);
    allowances.push(made);
    return made;
  }

  private leave(owner: Owner): void {
    const now = this.clock.now();
    owner.forgetFull(now);
    this.left.add(owner.entry);
    this.remembered += owner.allowances.length;
    for (let first = this.left.first?.value; first !== undefined; first = this.left.first?.value) {
      if (first.fullAt > now && this.remembered <= MOST_REMEMBERED) break;
      this.forget(first);
    }
    if (owner.entry.list !== undefined && owner.allowances.length === 0) this.forget(owner);
  }

  private forget(owner: Owner): void {
    this.left.remove(owner.entry);
    this.remembered -= owner.allowances.length;
    this.owners.delete(owner.key);
  }
}

/** One connection's use of an allowance. */
export interface AllowanceUse {
  readonly allowance: Allowance;
  close(): void;
}

function unshared(limits: Limits): AllowanceUse {
  return { allowance: new Allowance(limits), close: () => undefined };
}
