import { isIP } from "node:net";

export type Family = 4 | 6;

/** The scope of an address (RFC 6724 §3.1). */
export type Scope = "host" | "link-local" | "unique-local" | "global";

/**
 * Returns 4 or 6; undefined if it is not an IP address. An IPv6 address may have a scope
 * (`fe80::1%eth0`).
 */
export function familyOf(address: string): Family | undefined {
  const family = isIP(address);
  return family === 4 || family === 6 ? family : undefined;
}

/** Returns `fe80::1` for `fe80::1%eth0`. */
export function withoutScope(address: string): string {
  const percent = address.indexOf("%");
  return percent === -1 ? address : address.slice(0, percent);
}

const SCOPES: Readonly<Record<Family, readonly (readonly [network: string, prefixLength: number, scope: Scope])[]>> = {
  4: [
    ["127.0.0.0", 8, "host"],
    ["169.254.0.0", 16, "link-local"],
  ],
  6: [
    ["::1", 128, "host"],
    ["fe80::", 10, "link-local"],
    ["fc00::", 7, "unique-local"],
  ],
};

/** Returns the scope of an address. Private IPv4 addresses count as global (RFC 6724 §3.2). */
export function scopeOf(address: string): Scope {
  const networks = SCOPES[familyOf(address) ?? 4];
  return networks.find(([network, prefixLength]) => inSubnet(address, network, prefixLength))?.[2] ?? "global";
}

/** Whether two spellings mean the same address. Scopes are compared only if both have one. */
export function sameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  const [scopeA, scopeB] = [a.split("%")[1], b.split("%")[1]];
  return (scopeA === undefined || scopeB === undefined || scopeA === scopeB) && inSubnet(a, b, 128);
}

/**
 * Whether `address` is in the subnet of `network` with this prefix length. False across families,
 * and if either is not an IP address.
 */
export function inSubnet(address: string, network: string, prefixLength: number): boolean {
  const family = familyOf(address);
  if (family === undefined || family !== familyOf(network)) return false;
  const [digits, wanted] = [hexDigits(address), hexDigits(network)];
  const whole = prefixLength >> 2;
  if (digits.slice(0, whole) !== wanted.slice(0, whole)) return false;
  const rest = prefixLength & 3;
  if (rest === 0 || whole >= digits.length) return true;
  return (Number.parseInt(digits[whole] ?? "", 16) ^ Number.parseInt(wanted[whole] ?? "", 16)) >> (4 - rest) === 0;
}

/** Returns an address as hexadecimal digits: 8 for IPv4, 32 for IPv6. */
export function hexDigits(address: string): string {
  if (familyOf(address) === 4) return dottedDigits(address);
  // the last 32 bits of an IPv6 address may be written as an IPv4 address (RFC 4291 §2.2)
  const bare = withoutScope(address).replace(/[\d.]+\.\d+$/, (dotted) => {
    const digits = dottedDigits(dotted);
    return `${digits.slice(0, 4)}:${digits.slice(4)}`;
  });
  const [head = "", tail] = bare.toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return [...left, ...zeros, ...right].map((part) => part.padStart(4, "0")).join("");
}

function dottedDigits(address: string): string {
  return address
    .split(".")
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("");
}
