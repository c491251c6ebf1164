import { type HeaderInput } from "@tungstate/protocol";
import { argumentError } from "@tungstate/protocol/internal";
import { type Family, familyOf } from "../transport/ip.ts";
import { type Proxy, proxyFromOption, socksKind } from "./proxy/proxy.ts";
import { checkProxyHeaders } from "./proxy/headers.ts";
import type { Lookup } from "./resolve.ts";
import { MAX_TIME } from "../options/time.ts";
import type { TlsOptions } from "../tls/options.ts";
import type { OptionNames } from "../options/names.ts";
import { TLS_OPTIONS } from "../tls/options.ts";
import { checkInteger, invalid } from "../options/check.ts";

/** The target of `dial`: a host and a port, or the path of a Unix socket. */
export type DialTarget =
  | {
      /** The host name or IP address. */
      readonly host: string;
      /** The TCP port, 1 to 65,535. */
      readonly port: number;
      /**
       * Whether TLS will follow. It selects the proxy variable of the environment. Default false.
       */
      readonly secure?: boolean;
      /** Excluded by `host`. */
      readonly path?: undefined;
    }
  | {
      /** The path of a Unix socket; a zero byte in front names an abstract socket (Linux). */
      readonly path: string;
      /** Excluded by `path`. */
      readonly host?: undefined;
    };

/**
 * `ordered`: the next interface is tried when the one before has failed. `race`: also when that one
 * takes longer than `attemptDelay`.
 */
export type InterfaceStrategy = "ordered" | "race";

/** How a connection leaves this machine. */
export interface BindOptions {
  /**
   * Local address to connect from: IPv4, or IPv6 (link-local with its scope: `fe80::1%eth0`).
   * Default: chosen by the system.
   */
  readonly localAddress?: string | undefined;
  /** Local port to connect from, 1 to 65,535. Default: chosen by the system. */
  readonly localPort?: number | undefined;
  /**
   * Network interface to connect from, or several (see `interfaceStrategy`). Its address is looked
   * up for each connection. Default: chosen by the system.
   */
  readonly interface?: string | readonly string[] | undefined;
  /** How several interfaces are tried. Default `ordered`. */
  readonly interfaceStrategy?: InterfaceStrategy | undefined;
  /**
   * Linux: binds the socket to `interface` (SO_BINDTODEVICE), so that the routing table cannot
   * choose another one. Needs koffi. Default false.
   */
  readonly bindToDevice?: boolean | undefined;
}

const BIND_OPTIONS: OptionNames<BindOptions> = {
  localAddress: true,
  localPort: true,
  interface: true,
  interfaceStrategy: true,
  bindToDevice: true,
};

/** Options of `dial`. */
export interface DialOptions extends BindOptions {
  /** Resolves host names, with the signature of `lookup` in node:net. Default `dns.lookup`. */
  readonly lookup?: Lookup | undefined;
  /** Address family to use: 4 or 6. Default: both. */
  readonly family?: 4 | 6 | undefined;
  /**
   * URL of a proxy: `http://`, `https://`, `socks4://` and `socks5://` (names are resolved here),
   * `socks4a://` and `socks5h://` (names are resolved by the proxy) or `socks://` (as
   * `socks5h://`), with credentials if needed. `environment` or true: use HTTPS_PROXY, HTTP_PROXY,
   * ALL_PROXY and NO_PROXY. Default: no proxy.
   */
  readonly proxy?: string | URL | boolean | undefined;
  /**
   * Header fields of the CONNECT request to an `http:` or `https:` proxy. Proxy-Authorization
   * replaces the credentials of the proxy's URL, Host replaces the name of the target. Default:
   * none.
   */
  readonly proxyHeaders?: HeaderInput | undefined;
  /** TLS options for an `https:` proxy. */
  readonly proxyTls?: TlsOptions | undefined;
  /**
   * Time limit in ms for each route: name resolution, connection and proxy. 0: no limit. Default
   * 10,000.
   */
  readonly connectTimeout?: number | undefined;
  /**
   * Connection attempt delay in ms: when the next address or interface is tried beside the last one
   * (RFC 8305 §5). Default 250.
   */
  readonly attemptDelay?: number | undefined;
  /** Sends small writes at once (TCP_NODELAY). Default true. */
  readonly noDelay?: boolean | undefined;
  /**
   * TCP keep-alive: true, or the idle time in ms before the first probe. Default false; the
   * WebSocket heartbeat covers it.
   */
  readonly keepAlive?: boolean | number | undefined;
  /**
   * Linux: how long sent data may stay unacknowledged, in ms (TCP_USER_TIMEOUT). Needs koffi.
   * Default: chosen by the system.
   */
  readonly tcpUserTimeout?: number | undefined;
  /** Aborts the attempt, which then rejects with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

export const DIAL_OPTIONS: OptionNames<DialOptions> = {
  ...BIND_OPTIONS,
  lookup: true,
  family: true,
  proxy: true,
  proxyHeaders: true,
  proxyTls: { ...TLS_OPTIONS },
  connectTimeout: true,
  attemptDelay: true,
  noDelay: true,
  keepAlive: true,
  tcpUserTimeout: true,
  signal: true,
};

export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

/** RFC 8305 §8: the recommended Connection Attempt Delay. */
export const DEFAULT_ATTEMPT_DELAY_MS = 250;

/**
 * Checks the options. It reads `proxyHeaders`, which must not be an iterator. Throws
 * INVALID_ARGUMENT, and INVALID_PROXY for `proxy`.
 */
export function checkDialOptions(options: DialOptions): void {
  const { localAddress, localPort, family, bindToDevice, interfaceStrategy, keepAlive } = options;
  const interfaces = interfaceNames(options);
  if (localAddress !== undefined && familyOf(localAddress) === undefined) {
    invalid("localAddress", "an IPv4 or IPv6 address", localAddress);
  }
  checkInteger("localPort", localPort, 1, 65_535);
  checkInteger("connectTimeout", options.connectTimeout, 0, MAX_TIME);
  checkInteger("attemptDelay", options.attemptDelay, 0, MAX_TIME);
  checkInteger("tcpUserTimeout", options.tcpUserTimeout, 1, MAX_TIME);
  if (typeof keepAlive === "number") checkInteger("keepAlive", keepAlive, 1, MAX_TIME);
  if (family !== undefined && family !== 4 && family !== 6) invalid("family", "4 or 6", family);
  if (interfaceStrategy !== undefined && interfaceStrategy !== "ordered" && interfaceStrategy !== "race") {
    invalid("interfaceStrategy", '"ordered" or "race"', interfaceStrategy);
  }
  for (const name of interfaces) {
    if (typeof name !== "string" || name === "" || name.includes("\0"))
      invalid("interface", "the name of an interface", name);
  }
  if (Array.isArray(options.interface) && interfaces.length === 0) invalid("interface", "at least one name", "[]");
  if (bindToDevice === true && interfaces.length === 0) {
    throw argumentError(TypeError, "bindToDevice needs the option interface: the name of a network interface");
  }
  const proxy = proxyFromOption(options.proxy);
  const hasProxyHeaders = checkProxyHeaders(options.proxyHeaders).length > 0;
  // no error for a SOCKS proxy of the environment: the program does not know which kind of proxy
  // that is
  if (hasProxyHeaders && proxy !== undefined && socksKind(proxy.scheme) !== undefined) {
    throw argumentError(TypeError, `proxyHeaders need a proxy with http: or https:, got ${proxy.shown}`);
  }
  if (proxy !== undefined) checkFamilyOfProxy(family, proxy);
  if (localAddress === undefined) return;
  if (interfaces.length > 0 && bindToDevice !== true) {
    throw argumentError(
      TypeError,
      "localAddress and interface each choose the local address: leave one out, or add bindToDevice",
    );
  }
  if (family !== undefined && familyOf(localAddress) !== family) {
    throw argumentError(
      TypeError,
      `localAddress must be an IPv${family} address when family is ${family}, got ${localAddress}`,
    );
  }
}

/**
 * Throws INVALID_ARGUMENT if the proxy cannot be given an address of this family: SOCKS4 has no
 * IPv6. A name that the proxy resolves may have any family.
 */
export function checkFamilyOfProxy(family: DialOptions["family"], proxy: Proxy): void {
  const socks = socksKind(proxy.scheme);
  if (family !== 6 || socks?.version !== 4 || socks.resolves !== "here") return;
  throw argumentError(
    TypeError,
    `family is 6, but ${proxy.shown} connects to IPv4 addresses only: use socks5: or socks4a:, or leave out family`,
  );
}

/** Returns the target with the host checked and without brackets. Throws INVALID_ARGUMENT. */
export function checkTarget(target: DialTarget): DialTarget {
  if (target.path !== undefined) {
    // a leading zero byte: the name of an abstract socket
    const { path } = target;
    if (typeof path !== "string" || path === "" || path === "\0" || path.includes("\0", 1)) {
      invalid("path", "the path of a Unix socket", target.path);
    }
    return target;
  }
  const { port, host: given } = target;
  const host: unknown = typeof given === "string" ? given.replace(/^\[(.*)\]$/, "$1") : given;
  // no character that could end a line or a host in a request to a proxy
  if (typeof host !== "string" || (familyOf(host) === undefined && !/^[\w.-]{1,255}$/.test(host))) {
    invalid("host", "a host name in ASCII or an IP address", host);
  }
  checkInteger("port", port, 1, 65_535);
  if (port === undefined) invalid("port", "an integer from 1 to 65535", port);
  return { ...target, host };
}

export function interfaceNames(options: Pick<BindOptions, "interface">): readonly string[] {
  const { interface: names } = options;
  if (names === undefined) return [];
  if (typeof names === "string") return [names];
  return Array.isArray(names) ? names : invalid("interface", "the name of an interface, or an array of names", names);
}

/** Returns the family that the options require; undefined for both. */
export function onlyFamily(options: Pick<DialOptions, "family" | "localAddress">): Family | undefined {
  return options.family ?? (options.localAddress === undefined ? undefined : familyOf(options.localAddress));
}
