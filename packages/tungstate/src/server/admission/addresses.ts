import { hexDigits, familyOf, withoutScope } from "../../transport/ip.ts";

/**
 * Returns what counts as one client: an IPv4 address, or the first 64 bits of an IPv6 address,
 * because the owner of such a network has 2^64 addresses (RFC 6177 §2). An IPv4-mapped IPv6 address
 * (RFC 4291 §2.5.5.2) counts as its IPv4 address. Any other text stands for itself.
 */
export function clientOf(address: string): string {
  const bare = withoutScope(address);
  if (familyOf(bare) !== 6) return bare;
  const digits = hexDigits(bare);
  if (!digits.startsWith(MAPPED)) return digits.slice(0, 16);
  return [24, 26, 28, 30].map((at) => Number.parseInt(digits.slice(at, at + 2), 16)).join(".");
}

const MAPPED = "00000000000000000000ffff"; // ::ffff:0:0/96

/** Counts the places that each client occupies, of `limit`. */
export class AddressPlaces {
  private readonly limit: number;
  private readonly taken = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /**
   * Occupies a place; returns a function that frees it. Returns undefined if the client has none
   * left. A client without an address needs none.
   */
  take(address: string | undefined): (() => void) | undefined {
    if (address === undefined) return () => undefined;
    const client = clientOf(address);
    const before = this.taken.get(client) ?? 0;
    if (before >= this.limit) return undefined;
    this.taken.set(client, before + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const left = (this.taken.get(client) ?? 0) - 1;
      if (left > 0) this.taken.set(client, left);
      else this.taken.delete(client);
    };
  }

  /** Number of clients with places. */
  get size(): number {
    return this.taken.size;
  }
}
