import { hexDigits, familyOf, withoutScope } from "../../transport/ip.ts";

/**
 * What counts as one client: an IPv4 address, or the 64 bits that say which network an IPv6 address is in, since whoever has such a network has 2^64 addresses
 * (RFC 6177 §2). An IPv4 address that is written as an IPv6 one (RFC 4291 §2.5.5.2) is an IPv4 address. What is no address stands for itself.
 */
export function clientOf(address: string): string {
  const bare = withoutScope(address);
  if (familyOf(bare) !== 6) return bare;
  const digits = hexDigits(bare);
  if (!digits.startsWith(MAPPED)) return digits.slice(0, 16);
  return [24, 26, 28, 30].map((at) => Number.parseInt(digits.slice(at, at + 2), 16)).join(".");
}

const MAPPED = "00000000000000000000ffff"; // ::ffff:0:0/96

/** How many places each client has, of `limit`. */
export class AddressPlaces {
  private readonly limit: number;
  private readonly taken = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Takes a place; the function gives it back, once. Undefined: there is none left. Who has no address needs none. */
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

  /** How many clients have places. */
  get size(): number {
    return this.taken.size;
  }
}
