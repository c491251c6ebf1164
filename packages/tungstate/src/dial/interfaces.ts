import { readFileSync } from "node:fs";
import { connectError, type Tried } from "../errors.ts";
import { type Interfaces, readInterfaces } from "../native/network-interfaces.ts";
import { isPermitted, platform } from "../native/platform.ts";
import { type Family, familyOf, hexDigits, inSubnet, sameAddress, type Scope, scopeOf } from "../transport/ip.ts";

/** An address of a network interface. */
export interface InterfaceAddress {
  /**
   * The address in the form that can be bound to: link-local IPv6 addresses have a scope
   * (`fe80::1%eth0`).
   */
  readonly address: string;
  /** 4 or 6. */
  readonly family: Family;
  /** Bits of the network prefix, 0 to 32 (IPv4) or 128 (IPv6). */
  readonly prefixLength: number;
  /** How far the address reaches (RFC 6724 §3.1). */
  readonly scope: Scope;
  /**
   * Whether it is a temporary address (RFC 8981), which is replaced after some hours. Linux only;
   * false elsewhere.
   */
  readonly temporary: boolean;
  /**
   * Whether it must not be used for new connections, or not yet (RFC 4862 §5.5.4, §5.4). Linux
   * only; false elsewhere.
   */
  readonly deprecated: boolean;
}

/** A network interface of this machine. */
export interface NetworkInterface {
  /** The name, such as `eth0`. */
  readonly name: string;
  /** Whether it is up, has a carrier, and has an address. */
  readonly up: boolean;
  /** Whether it is a loopback interface. */
  readonly internal: boolean;
  /** The MAC address; undefined where there is none. */
  readonly mac: string | undefined;
  /** Its addresses. */
  readonly addresses: readonly InterfaceAddress[];
}

/**
 * Returns every network interface of this machine, or of this network namespace, with its current
 * addresses. Throws NOT_SUPPORTED where they cannot be read: in Deno without `--allow-sys`, and in
 * some sandboxes.
 */
export function listInterfaces(): NetworkInterface[] {
  const interfaces = readInterfaces();
  if (interfaces === undefined) {
    const remedy =
      platform.name === "Deno" ? "it needs the permission --allow-sys=networkInterfaces" : "a sandbox forbids it";
    throw connectError("NOT_SUPPORTED", `${platform.name} cannot read the network interfaces: ${remedy}`);
  }
  return describeAll(interfaces);
}

function describeAll(interfaces: Interfaces): NetworkInterface[] {
  const flags = parseIfInet6(readProc("/proc/net/if_inet6"));
  const found = new Map<string, NetworkInterface>();
  for (const [name, infos] of Object.entries(interfaces)) {
    if (infos === undefined) continue;
    const addresses = infos.map((info): InterfaceAddress => {
      const scope = scopeOf(info.address);
      const family = familyOf(info.address) ?? 4;
      const flag = family === 6 ? (flags.get(`${hexDigits(info.address)} ${name}`) ?? 0) : 0;
      return {
        address: scoped(info.address, name),
        family,
        prefixLength: Number(info.cidr?.split("/")[1] ?? (family === 4 ? 32 : 128)),
        scope,
        temporary: (flag & IFA_F_TEMPORARY) !== 0,
        deprecated: (flag & (IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED)) !== 0,
      };
    });
    const mac = infos[0]?.mac;
    found.set(name, {
      name,
      up: true,
      internal: infos.every((info) => info.internal),
      mac: mac === undefined || mac === "00:00:00:00:00:00" ? undefined : mac,
      addresses,
    });
  }
  // node:os omits interfaces that are down or have no address; the kernel's list tells these from
  // unknown names
  for (const name of parseDevices(readProc("/proc/net/dev"))) {
    if (!found.has(name)) found.set(name, { name, up: false, internal: name === "lo", mac: undefined, addresses: [] });
  }
  return [...found.values()];
}

/** Returns the interface with this name. Throws NO_SUCH_INTERFACE, which lists the known names. */
export function findInterface(name: string, tried: Tried = {}): NetworkInterface {
  const all = listInterfaces();
  const found = all.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  throw connectError("NO_SUCH_INTERFACE", `${JSON.stringify(name)}; there are ${describeInterfaces(all)}`, {
    tried: { ...tried, interface: name },
  });
}

/**
 * Returns the name of the interface that has this local address; undefined if none has, or it is
 * not known.
 */
export function interfaceOf(localAddress: string): string | undefined {
  const interfaces = readInterfaces();
  if (interfaces === undefined) return undefined;
  for (const [name, infos] of Object.entries(interfaces)) {
    if (infos?.some(({ address }) => sameAddress(scoped(address, name), localAddress)) === true) return name;
  }
  // all of 127.0.0.0/8 belongs to the loopback interface, but only 127.0.0.1 is listed
  return scopeOf(localAddress) === "host"
    ? describeAll(interfaces).find((candidate) => candidate.internal)?.name
    : undefined;
}

/** Adds the scope, which node:os omits. Two interfaces may have the same link-local address. */
function scoped(address: string, name: string): string {
  const needed = familyOf(address) === 6 && !address.includes("%") && scopeOf(address) === "link-local";
  return needed ? `${address}%${name}` : address;
}

export function describeInterfaces(interfaces: readonly NetworkInterface[]): string {
  return interfaces.map(({ name, up }) => (up ? name : `${name} (down or without address)`)).join(", ") || "none";
}

/**
 * Returns the address of this interface from which to reach `remote`; undefined if it has none of
 * that family. Prefers an address in the same subnet, then one of the same scope, then permanent
 * addresses, then addresses that are not deprecated.
 */
export function chooseAddress(networkInterface: NetworkInterface, remote: string): InterfaceAddress | undefined {
  const family = familyOf(remote);
  const scope = scopeOf(remote);
  let best: InterfaceAddress | undefined;
  let bestRank = -1;
  for (const candidate of networkInterface.addresses) {
    if (candidate.family !== family) continue;
    const usable = candidate.deprecated ? 0 : 8;
    const near = inSubnet(remote, candidate.address, candidate.prefixLength) ? 4 : 0;
    const fitting = candidate.scope === scope ? 3 : candidate.scope === "link-local" ? 0 : 1;
    const rank = (usable + near + fitting) * 2 + (candidate.temporary ? 0 : 1);
    if (rank > bestRank) {
      best = candidate;
      bestRank = rank;
    }
  }
  return best;
}

// linux/if_addr.h
const IFA_F_TEMPORARY = 0x01;
const IFA_F_DADFAILED = 0x08;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_TENTATIVE = 0x40;

/**
 * Parses `/proc/net/if_inet6`: address, index, prefix length, scope, flags (hexadecimal) and name.
 * Returns the flags by `address name`.
 */
export function parseIfInet6(text: string): Map<string, number> {
  const flags = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [address, , , , flag, name] = line.trim().split(/\s+/);
    if (address !== undefined && flag !== undefined && name !== undefined) {
      flags.set(`${address} ${name}`, Number.parseInt(flag, 16));
    }
  }
  return flags;
}

/** Parses `/proc/net/dev`: two heading lines, then `name: counters`. Returns the names. */
export function parseDevices(text: string): string[] {
  return text
    .split("\n")
    .slice(2)
    .map((line) => line.slice(0, line.lastIndexOf(":")).trim())
    .filter((name) => name !== "");
}

function readProc(path: string): string {
  if (process.platform !== "linux" || !isPermitted({ name: "read", path })) return "";
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // no IPv6 or no /proc: the flags stay unknown
  }
}
