import { type HeaderFields } from "@tungstate/protocol";
import { invalidOption } from "@tungstate/protocol/internal";
import { BlockList, isIP } from "node:net";
import { describe } from "../../options/describe.ts";

/**
 * Trusted proxies: IP addresses, networks such as `10.0.0.0/8`, or `loopback`, `linklocal`,
 * `uniquelocal`; and the header field that they set.
 */
export interface TrustedProxies {
  /** IP addresses, networks such as `10.0.0.0/8`, or `loopback`, `linklocal`, `uniquelocal`. */
  readonly addresses: readonly string[];
  /**
   * The field that the proxies set. The other one may come from any client and is ignored. Default
   * `x-forwarded-for`.
   */
  readonly header?: "x-forwarded-for" | "forwarded";
}

/** Names of networks in which proxies often are. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1"],
  linklocal: ["169.254.0.0/16", "fe80::/10"],
  uniquelocal: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
};

/** Finds the client address of a request from the header field of trusted proxies. */
export class Proxies {
  private readonly trusted: BlockList;
  private readonly header: "x-forwarded-for" | "forwarded";

  /** Throws INVALID_ARGUMENT. */
  constructor(option: readonly string[] | TrustedProxies) {
    const { addresses, header = "x-forwarded-for" } = isList(option) ? { addresses: option } : Object(option);
    if (!Array.isArray(addresses) || (header !== "x-forwarded-for" && header !== "forwarded")) {
      const expected = `a list of addresses, or { addresses, header: "x-forwarded-for" or "forwarded" }`;
      throw invalidOption("trustProxy", expected, option, describe(option));
    }
    this.trusted = new BlockList();
    this.header = header;
    for (const each of addresses) {
      for (const network of (typeof each === "string" ? NAMED[each] : undefined) ?? [each]) this.trust(network);
    }
  }

  private trust(network: unknown): void {
    const [, address = "", bits] = typeof network === "string" ? (/^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? []) : [];
    const version = isIP(address);
    const most = version === 6 ? 128 : 32;
    const prefix = bits === undefined ? most : Number(bits);
    if (version === 0 || address.includes("%") || prefix > most) {
      const expected = `an address, a network such as 10.0.0.0/8, or ${Object.keys(NAMED).join(", ")}`;
      throw invalidOption("each address of trustProxy", expected, network, describe(network));
    }
    this.trusted.addSubnet(address, prefix, version === 6 ? "ipv6" : "ipv4");
  }

  /** Whether this address is one of the proxies. */
  trusts(address: string | undefined): boolean {
    if (address === undefined) return false;
    return this.trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  }

  /**
   * Returns the client of a request that came from `peer`: the last address in the header field
   * that is not a trusted proxy, because earlier ones may be forged. If a proxy names no address,
   * returns the address of that proxy.
   */
  clientOf(peer: string | undefined, headers: HeaderFields): string | undefined {
    if (!this.trusts(peer)) return peer;
    const said = headers.getAll(this.header).join(",");
    const hops =
      this.header === "forwarded" ? forwardedFor(said) : said.split(",").map((each) => addressIn(each.trim()));
    let last = peer;
    for (const hop of hops.toReversed()) {
      if (hop === undefined) break;
      last = hop;
      if (!this.trusts(hop)) break;
    }
    return last;
  }
}

function isList(option: readonly string[] | TrustedProxies): option is readonly string[] {
  return Array.isArray(option);
}

/**
 * Returns an address without its port: `192.0.2.1:80`, `[2001:db8::1]:80`. Undefined for anything
 * else.
 */
function addressIn(text: string): string | undefined {
  const [, inBrackets, bare = text] = /^(?:\[([^\]]*)\]|([\d.]+))(?::[\w.-]+)?$/.exec(text) ?? [];
  const address = inBrackets ?? bare;
  return isIP(address) === 0 || address.includes("%") ? undefined : address;
}

/**
 * RFC 7239 §4: `forwarded-pair = token "=" value`, `value = token / quoted-string`, followed by a
 * separator. Values may contain colons too.
 */
const PAIR = /[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:([^\s",;]+)|"((?:[^"\\]|\\.)*)"))?[ \t]*([;,]|$)/y;

/**
 * Returns the `for` of each element. If a client left a quote open, the text that a proxy added
 * would become part of it, but then no separator follows the closing quote: such a value is not
 * used at all.
 */
function forwardedFor(text: string): (string | undefined)[] {
  const hops: (string | undefined)[] = [];
  let hop: string | undefined;
  for (let at = 0; ; at = PAIR.lastIndex) {
    PAIR.lastIndex = at;
    const pair = PAIR.exec(text);
    if (pair === null) return [undefined];
    const [, name, token, quoted, separator] = pair;
    if (name?.toLowerCase() === "for") hop = token ?? quoted;
    if (separator === ";") continue;
    hops.push(addressIn(hop ?? ""));
    hop = undefined;
    if (separator === "") return hops;
  }
}
