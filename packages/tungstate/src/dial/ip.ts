import { BlockList, isIP } from "node:net";

export type Family = 4 | 6;

/** How far an address reaches; two ends must agree on it (RFC 6724 §3.1). */
export type Scope = "host" | "link-local" | "unique-local" | "global";

/** 4, 6, or undefined for what is no address. A scope (`fe80::1%eth0`) belongs to an IPv6 address. */
export function familyOf(address: string): Family | undefined {
  const family = isIP(address);
  return family === 4 || family === 6 ? family : undefined;
}

/** `fe80::1%eth0` without `%eth0`. */
export function withoutScope(address: string): string {
  const percent = address.indexOf("%");
  return percent === -1 ? address : address.slice(0, percent);
}

const SCOPES: readonly (readonly [Scope, BlockList])[] = [
  ["host", block(["127.0.0.0", 8], ["::1", 128])],
  ["link-local", block(["169.254.0.0", 16], ["fe80::", 10])],
  ["unique-local", block(["fc00::", 7])],
];

/** Private IPv4 addresses count as global: they are routed like any other (RFC 6724 §3.2). */
export function scopeOf(address: string): Scope {
  const bare = withoutScope(address);
  return SCOPES.find(([, list]) => list.check(bare, familyName(bare)))?.[0] ?? "global";
}

/** Whether two addresses are one, however they are written; a scope only counts where both have one. */
export function sameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  const family = familyOf(a);
  if (family === undefined || family !== familyOf(b)) return false;
  const [scopeA, scopeB] = [a.split("%")[1], b.split("%")[1]];
  return (scopeA === undefined || scopeB === undefined || scopeA === scopeB) && inSubnet(a, b, family === 4 ? 32 : 128);
}

/** Whether `address` is in the subnet of `network` with that prefix length. False across families. */
export function inSubnet(address: string, network: string, prefixLength: number): boolean {
  if (familyOf(address) !== familyOf(network)) return false;
  const bare = withoutScope(address);
  return block([withoutScope(network), prefixLength]).check(bare, familyName(bare));
}

function block(...subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefixLength] of subnets) list.addSubnet(network, prefixLength, familyName(network));
  return list;
}

function familyName(address: string): "ipv4" | "ipv6" {
  return familyOf(address) === 6 ? "ipv6" : "ipv4";
}
