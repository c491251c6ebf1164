import { invalidOption } from "@tungstate/protocol/internal";
import { BlockList, isIP } from "node:net";
import { describe } from "../../options/describe.ts";

/**
 * Hosts that requests may name. `any`: every host. Otherwise a list of names (`example.com`),
 * suffixes with a leading dot (`.example.com`, which matches `example.com` too), IP addresses, and
 * networks such as `127.0.0.0/8`. Ports are not compared.
 */
export type AllowedHosts = "any" | readonly string[];

/** The names and addresses of this host: `localhost`, names below it, and loopback addresses. */
export const LOCAL_HOSTS: readonly string[] = Object.freeze([".localhost", "127.0.0.0/8", "::1"]);

const NAME = /^\.?[a-z\d_-]+(\.[a-z\d_-]+)*$/i;

/**
 * Checks the host of requests. A page of another site whose name resolves to this server's address
 * (DNS rebinding) has the same origin as the server, but its requests name the other host.
 */
export class HostPolicy {
  readonly #names = new Set<string>();
  readonly #suffixes: string[] = [];
  readonly #addresses = new BlockList();
  readonly #isOpen: boolean;

  /** Throws INVALID_ARGUMENT. */
  constructor(hosts: AllowedHosts) {
    this.#isOpen = hosts === "any";
    if (hosts === "any") return;
    if (!Array.isArray(hosts)) throw invalidOption("allowedHosts", '"any" or a list of hosts', hosts, describe(hosts));
    for (const host of hosts) this.#add(host);
  }

  #add(host: unknown): void {
    const text = typeof host === "string" ? host : "";
    const [, address = "", bits] = /^\[?([\d.a-f:]+)\]?(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
    const version = isIP(address);
    const most = version === 6 ? 128 : 32;
    const prefix = bits === undefined ? most : Number(bits);
    if (version !== 0 && prefix <= most) {
      this.#addresses.addSubnet(address, prefix, version === 6 ? "ipv6" : "ipv4");
    } else if (!NAME.test(text)) {
      const expected = "a name such as example.com or .example.com, an IP address or a network, without a port";
      throw invalidOption("each of allowedHosts", expected, host, describe(host));
    } else if (text.startsWith(".")) this.#suffixes.push(text.toLowerCase());
    else this.#names.add(text.toLowerCase());
  }

  /**
   * Returns whether a request may name this host: the value of Host, or the authority of its
   * target. A request without a host does not come from a browser and may.
   */
  allows(host: string | undefined): boolean {
    if (this.#isOpen || host === undefined) return true;
    const [, inBrackets, bare = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
    const name = (inBrackets ?? bare).toLowerCase().replace(/\.$/, "");
    const version = name.includes("%") ? 0 : isIP(name);
    if (version !== 0) return this.#addresses.check(name, version === 6 ? "ipv6" : "ipv4");
    if (inBrackets !== undefined || name === "") return false;
    return this.#names.has(name) || this.#suffixes.some((suffix) => `.${name}`.endsWith(suffix));
  }
}
