import { isIP } from "node:net";
import { connectError } from "../../errors.ts";
import { inSubnet, sameAddress } from "../../transport/ip.ts";
import { describe } from "../../options/describe.ts";

/**
 * The protocol of a proxy. `socks4` and `socks5` resolve names here, `socks4a` and `socks5h` by the
 * proxy (as in curl). `socks` means `socks5h`, as in Node's proxy agents; curl alone reads it as
 * `socks4`.
 */
export type ProxyScheme = "http" | "https" | "socks" | "socks4" | "socks4a" | "socks5" | "socks5h";

export interface Proxy {
  readonly scheme: ProxyScheme;
  readonly host: string;
  readonly port: number;
  readonly credentials: { readonly username: string; readonly password: string } | undefined;
  /** The URL without credentials: the only form for errors and logs. */
  readonly shown: string;
}

/** The version of SOCKS that a proxy speaks, and which end resolves host names. */
export interface SocksKind {
  readonly version: 4 | 5;
  readonly resolves: "here" | "proxy";
}

interface SchemeEntry {
  readonly port: number;
  /** Undefined for HTTP proxies. */
  readonly socks?: SocksKind;
}

const SCHEMES: Readonly<Record<ProxyScheme, SchemeEntry>> = {
  http: { port: 80 },
  https: { port: 443 },
  socks: { port: 1080, socks: { version: 5, resolves: "proxy" } },
  socks4: { port: 1080, socks: { version: 4, resolves: "here" } },
  socks4a: { port: 1080, socks: { version: 4, resolves: "proxy" } },
  socks5: { port: 1080, socks: { version: 5, resolves: "here" } },
  socks5h: { port: 1080, socks: { version: 5, resolves: "proxy" } },
};

/** Undefined for HTTP proxies. */
export function socksKind(scheme: ProxyScheme): SocksKind | undefined {
  return SCHEMES[scheme].socks;
}

/**
 * RFC 1929 §2: a user name and a password have 1 to 255 bytes each. SOCKS4 sets no limit for its
 * user id; the same one is used.
 */
const MAX_SOCKS_CREDENTIAL_BYTES = 255;

/**
 * Parses a proxy's URL. `value` is what the caller gave; `source` is the name of the option or
 * environment variable, for errors. Throws INVALID_PROXY. The error shows no part of the URL that
 * may be a user name or a password.
 */
export function parseProxy(value: unknown, source = "proxy"): Proxy {
  if (typeof value !== "string" && !(value instanceof URL)) {
    throw invalidProxy(
      source,
      `expected a URL such as "http://user:password@host:3128" (a string or a URL object), "environment", true or false, got ${describe(value)}`,
    );
  }
  const text = String(value);
  // without "//", the part before the first colon may be a user name: user:password@host
  const url = text.includes("://") && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) {
    throw invalidProxy(source, "expected a URL such as http://user:password@host:3128, got other text (not shown)");
  }
  const scheme = url.protocol.slice(0, -1);
  if (!isProxyScheme(scheme)) {
    const schemes = Object.keys(SCHEMES).map((each) => `${each}:`);
    throw invalidProxy(source, `expected one of ${schemes.join(", ")}, got ${url.protocol}`);
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (host === "" || (isIP(host) === 0 && !/^[\w.-]{1,255}$/.test(host))) {
    throw invalidProxy(source, "its host is no host name in ASCII and no IP address");
  }
  if (url.port === "0") throw invalidProxy(source, "its port is 0");
  if (!["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "") {
    throw invalidProxy(source, "a proxy's URL ends after its port");
  }
  const port = url.port === "" ? SCHEMES[scheme].port : Number(url.port);
  const shown = `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return { scheme, host, port, credentials: credentialsOf(url, scheme, source), shown };
}

function credentialsOf(url: URL, scheme: ProxyScheme, source: string): Proxy["credentials"] {
  if (url.username === "" && url.password === "") return undefined;
  let username: string;
  let password: string;
  try {
    username = decodeURIComponent(url.username);
    password = decodeURIComponent(url.password);
  } catch {
    throw invalidProxy(source, "its credentials are not percent-encoded UTF-8");
  }
  const socks = socksKind(scheme);
  if (socks === undefined) {
    // RFC 7617 §2: "a user-id containing a colon character is invalid, as the first colon in a
    // user-pass string separates [them]".
    if (username.includes(":")) throw invalidProxy(source, "its user name contains a colon");
    // RFC 7617 §2: "The user-id and password MUST NOT contain any control characters".
    if (/\p{Cc}/u.test(username + password)) throw invalidProxy(source, "its credentials contain control characters");
  } else if (socks.version === 4) {
    if (password !== "") throw invalidProxy(source, "SOCKS4 takes a user id and no password");
    if (username.includes("\0") || Buffer.byteLength(username) > MAX_SOCKS_CREDENTIAL_BYTES) {
      throw invalidProxy(source, "SOCKS4 takes a user id of up to 255 bytes without NUL");
    }
  } else {
    for (const part of [username, password]) {
      const length = Buffer.byteLength(part);
      if (length < 1 || length > MAX_SOCKS_CREDENTIAL_BYTES) {
        throw invalidProxy(source, "SOCKS5 takes a user name and a password of 1 to 255 bytes each");
      }
    }
  }
  return { username, password };
}

/**
 * Returns the proxy that the option names; undefined for no proxy, and where the environment
 * decides (`proxyFromEnvironment`). Throws INVALID_PROXY.
 */
export function proxyFromOption(option: unknown): Proxy | undefined {
  if (option === undefined || typeof option === "boolean" || option === "environment") return undefined;
  return parseProxy(option);
}

/**
 * The parts of a URL that decide which of the environment's proxies applies. `secure`: whether TLS
 * will follow.
 */
export interface ProxiedTarget {
  readonly host: string;
  readonly port: number;
  readonly secure?: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the proxy that the environment names for this target: HTTPS_PROXY for `wss:`, HTTP_PROXY
 * for `ws:`, else ALL_PROXY, unless NO_PROXY exempts it. The lower-case variable wins. A value
 * without a scheme is an `http:` proxy.
 */
export function proxyFromEnvironment(target: ProxiedTarget, environment: Environment = process.env): Proxy | undefined {
  const read = (name: string): readonly [string, string] | undefined => {
    for (const variant of [name.toLowerCase(), name]) {
      // CVE-2016-5385: in a CGI program, HTTP_PROXY is the request's "Proxy" header.
      if (variant === "HTTP_PROXY" && environment["REQUEST_METHOD"] !== undefined) continue;
      const value = environment[variant]?.trim();
      if (value !== undefined && value !== "") return [variant, value];
    }
    return undefined;
  };
  const found = read(target.secure === true ? "HTTPS_PROXY" : "HTTP_PROXY") ?? read("ALL_PROXY");
  if (found === undefined || isExempt(target, read("NO_PROXY")?.[1] ?? "")) return undefined;
  const [name, value] = found;
  return parseProxy(value.includes("://") ? value : `http://${value}`, name);
}

/**
 * Whether NO_PROXY exempts a target. Its entries, separated by commas or spaces, are `*`
 * (everything), a domain (with all names below it; `.example.com` and `*.example.com`: only the
 * names below it), an IP address, or a CIDR block; each with or without `:port`.
 */
export function isExempt(target: ProxiedTarget, noProxy: string): boolean {
  const host = target.host.toLowerCase().replace(/\.$/, "");
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== "" && matches(entry, host, target.port));
}

function matches(entry: string, host: string, port: number): boolean {
  const [pattern, wantedPort] = splitPort(entry);
  if (wantedPort !== undefined && wantedPort !== port) return false;
  if (pattern === "*") return true;
  const [network = "", prefix] = pattern.split("/");
  const family = isIP(network);
  if (family !== 0) {
    if (prefix === undefined) return sameAddress(network, host);
    const length = Number(prefix);
    return /^\d{1,3}$/.test(prefix) && length <= (family === 4 ? 32 : 128) && inSubnet(host, network, length);
  }
  const domain = pattern.replace(/^\*(?=\.)/, "").replace(/\.$/, "");
  if (domain === "") return false;
  if (domain.startsWith(".")) return host.endsWith(domain);
  return host === domain || host.endsWith(`.${domain}`);
}

/** Splits `host:port` or `[v6]:port`; the port is optional. */
function splitPort(entry: string): readonly [host: string, port: number | undefined] {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(entry);
  if (bracketed !== null) return [bracketed[1] ?? "", bracketed[2] === undefined ? undefined : Number(bracketed[2])];
  const plain = /^([^:]*):(\d+)$/.exec(entry);
  return plain === null ? [entry, undefined] : [plain[1] ?? "", Number(plain[2])];
}

function isProxyScheme(scheme: string): scheme is ProxyScheme {
  return Object.hasOwn(SCHEMES, scheme);
}

function invalidProxy(source: string, detail: string): Error {
  return connectError("INVALID_PROXY", `${source}: ${detail}`);
}
