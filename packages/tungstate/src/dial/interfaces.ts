import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { connectError, type Tried } from "../errors.ts";
import { type Family, familyOf, hexDigits, inSubnet, sameAddress, type Scope, scopeOf } from "../transport/ip.ts";

/** An address of a network interface. */
export interface InterfaceAddress {
  /** As it can be bound to: a link-local IPv6 address has its scope (`fe80::1%eth0`). */
  readonly address: string;
  /** 4 or 6. */
  readonly family: Family;
  /** Bits of the network prefix, 0 to 32 (IPv4) or 128 (IPv6). */
  readonly prefixLength: number;
  /** How far the address reaches (RFC 6724 §3.1). */
  readonly scope: Scope;
  /** A privacy address (RFC 8981), replaced after some hours. Known on Linux only. */
  readonly temporary: boolean;
  /** Not to be used for new connections, or not yet (RFC 4862 §5.5.4, §5.4). Known on Linux only. */
  readonly deprecated: boolean;
}

/** A network interface of this machine. */
export interface NetworkInterface {
  /** The name, such as `eth0`. */
  readonly name: string;
  /** False: it exists, but is down, has no carrier or no address. */
  readonly up: boolean;
  /** Whether it never leaves the machine (`lo`). */
  readonly internal: boolean;
  /** The MAC address; undefined where there is none. */
  readonly mac: string | undefined;
  /** The addresses that it can be bound to. */
  readonly addresses: readonly InterfaceAddress[];
}

/** Every network interface of this machine (of this network namespace), with the addresses that it can be bound to now. */
export function listInterfaces(): NetworkInterface[] {
  const flags = parseIfInet6(readProc("/proc/net/if_inet6"));
  const found = new Map<string, NetworkInterface>();
  for (const [name, infos] of Object.entries(networkInterfaces())) {
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
  // node:os leaves out what is down or has no address; to tell that from a name that is not there at all, ask the kernel.
  for (const name of parseDevices(readProc("/proc/net/dev"))) {
    if (!found.has(name)) found.set(name, { name, up: false, internal: name === "lo", mac: undefined, addresses: [] });
  }
  return [...found.values()];
}

/** The interface of that name. Throws NO_SUCH_INTERFACE, naming those there are. */
export function findInterface(name: string, tried: Tried = {}): NetworkInterface {
  const all = listInterfaces();
  const found = all.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  throw connectError("NO_SUCH_INTERFACE", `${JSON.stringify(name)}; there are ${describeInterfaces(all)}`, {
    tried: { ...tried, interface: name },
  });
}

/** The name of the interface that has this local address, if any has. */
export function interfaceOf(localAddress: string): string | undefined {
  for (const [name, infos] of Object.entries(networkInterfaces())) {
    if (infos?.some(({ address }) => sameAddress(scoped(address, name), localAddress)) === true) return name;
  }
  // All of 127.0.0.0/8 is on the loopback interface, although only 127.0.0.1 is listed.
  return scopeOf(localAddress) === "host" ? listInterfaces().find((candidate) => candidate.internal)?.name : undefined;
}

/** node:os leaves out the scope; without it, the link-local addresses of two interfaces may be the same. */
function scoped(address: string, name: string): string {
  const needed = familyOf(address) === 6 && !address.includes("%") && scopeOf(address) === "link-local";
  return needed ? `${address}%${name}` : address;
}

export function describeInterfaces(interfaces: readonly NetworkInterface[]): string {
  return interfaces.map(({ name, up }) => (up ? name : `${name} (down or without address)`)).join(", ") || "none";
}

/**
 * The address of this interface to reach `remote` from, if it has one of that family: one in the remote's own subnet before
 * one of the same scope before any other; lasting addresses before temporary ones; deprecated ones last.
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

/** `/proc/net/if_inet6`: address, index, prefix length, scope, flags (all hexadecimal) and name; gives `address name` -> flags. */
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

/** `/proc/net/dev`: two lines of headings, then `name: counters`. */
export function parseDevices(text: string): string[] {
  return text
    .split("\n")
    .slice(2)
    .map((line) => line.slice(0, line.lastIndexOf(":")).trim())
    .filter((name) => name !== "");
}

function readProc(path: string): string {
  if (process.platform !== "linux") return "";
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // no IPv6, or no /proc: what it would tell stays unknown
  }
}
