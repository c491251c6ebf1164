import { WebSocketError } from "@tungstate/protocol";
import { argumentError } from "@tungstate/protocol/internal";
import type { Socket } from "node:net";
import { combineFailures, ConnectError, connectError, type Tried } from "../errors.ts";
import { checkNames } from "../options/names.ts";
import { secureOver } from "../tls/secure.ts";
import { linkedController } from "../schedule/linked-controller.ts";
import { connectTcp, connectUnix, type Endpoints } from "./connect.ts";
import { checkSocketSettings } from "./device.ts";
import { chooseAddress, findInterface, interfaceOf, type NetworkInterface } from "./interfaces.ts";
import { scopeOf } from "../transport/ip.ts";
import {
  checkDialOptions,
  checkFamilyOfProxy,
  checkTarget,
  DEFAULT_CONNECT_TIMEOUT_MS,
  DEFAULT_ATTEMPT_DELAY_MS,
  DIAL_OPTIONS,
  type DialOptions,
  type DialTarget,
  interfaceNames,
  onlyFamily,
} from "./options.ts";
import { type Proxy, proxyFromEnvironment, proxyFromOption, socksKind } from "./proxy/proxy.ts";
import { checkProxyHeaders, type HeaderList } from "./proxy/headers.ts";
import { race } from "./race.ts";
import { resolve, type ResolvedAddress } from "./resolve.ts";
import { Routes } from "./routes.ts";
import { openSocks, socks4Obstacle } from "./proxy/socks.ts";
import { openTunnel } from "./proxy/tunnel.ts";
import type { Route } from "../transport/route.ts";

/** Result of `dial`. */
export interface Dialed {
  /** The connected socket. */
  readonly stream: Socket;
  /** The route that it takes. */
  readonly route: Route;
}

/**
 * Opens a byte stream to a host: over the chosen interface or address, directly or through a proxy.
 * It does no WebSocket handshake, and TLS only towards an `https:` proxy. Rejects with a
 * ConnectError, and with INVALID_ARGUMENT for wrong options; no socket is left open then.
 */
export async function dial(target: DialTarget, options: DialOptions = {}): Promise<Dialed> {
  checkNames(options, DIAL_OPTIONS);
  return await dialAny(target, options);
}

/** As `dial`, for options that are part of a larger set. */
export async function dialAny(target: DialTarget, given: DialOptions): Promise<Dialed> {
  // an iterator can be read only once, and every attempt sends these fields
  const options = { ...given, proxyHeaders: checkProxyHeaders(given.proxyHeaders) };
  checkDialOptions(options);
  const to = checkTarget(target);
  const device = options.bindToDevice === true ? interfaceNames(options)[0] : undefined;
  checkSocketSettings(
    { device, userTimeout: options.tcpUserTimeout },
    {
      host: to.host,
      remotePort: to.host === undefined ? undefined : to.port,
      interface: device,
    },
  );
  const proxy = chooseProxy(to, options);
  if (to.path !== undefined) refuseForUnixSocket(options, proxy);
  else if (proxy !== undefined) checkSocks4(to.host, options, proxy);
  return await new Routes(options).take(
    (route, signal) => dialRoute(to, { ...options, interface: route.interface }, proxy, signal),
    {
      signal: options.signal,
      discard: ({ stream }) => stream.destroy(),
    },
  );
}

/** What an attempt is doing, for the error on a timeout. */
interface Progress {
  step: "resolve" | "connect" | "proxy";
  tried: Tried;
  failures: WebSocketError[];
}

interface RouteOptions extends DialOptions {
  readonly interface: string | undefined;
  readonly proxyHeaders: HeaderList;
}

async function dialRoute(
  target: DialTarget,
  options: RouteOptions,
  proxy: Proxy | undefined,
  parent: AbortSignal,
): Promise<Dialed> {
  const milliseconds = options.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT_MS;
  const progress: Progress = { step: "resolve", tried: {}, failures: [] };
  const { signal, abort, unlink } = linkedController(parent);
  const timer =
    milliseconds === 0 ? undefined : setTimeout(() => abort(deadlineError(progress, milliseconds)), milliseconds);
  try {
    if (target.path !== undefined) {
      progress.step = "connect";
      progress.tried = { path: target.path };
      return { stream: await connectUnix(target.path, signal), route: unixRoute(target.path) };
    }
    return await dialHost(target, options, proxy, progress, signal);
  } finally {
    clearTimeout(timer);
    unlink();
  }
}

function deadlineError(progress: Progress, milliseconds: number): ConnectError {
  const code = { resolve: "RESOLVE_TIMEOUT", connect: "CONNECT_TIMEOUT", proxy: "PROXY_TIMEOUT" } as const;
  const failed = progress.failures.map((failure) => `, after ${failure.code}`).join("");
  return connectError(code[progress.step], `connectTimeout is ${milliseconds} ms${failed}`, {
    tried: progress.tried,
    attempts: progress.failures,
  });
}

type HostTarget = Extract<DialTarget, { readonly host: string }>;

async function dialHost(
  target: HostTarget,
  options: RouteOptions,
  proxy: Proxy | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<Dialed> {
  if (proxy === undefined) {
    const stream = await reach(target, options, undefined, progress, signal);
    return { stream, route: routeOf(stream, options, undefined) };
  }
  // the name is resolved here; the proxy is asked for each address in turn
  let addresses: readonly string[] = [target.host];
  const socks = socksKind(proxy.scheme);
  if (socks?.resolves === "here") {
    const { lookup } = options;
    const family = socks.version === 4 ? 4 : options.family;
    const tried: Tried = { host: target.host, proxy: proxy.shown };
    progress.tried = tried;
    addresses = (await resolve(target.host, { lookup, family }, signal, tried)).map(({ address }) => address);
  }
  const result = await race<string, Dialed, WebSocketError>(
    addresses,
    (address, attemptSignal) => dialThrough(proxy, { ...target, host: address }, options, progress, attemptSignal),
    (error) => {
      if (!(error instanceof WebSocketError)) throw error;
      return error;
    },
    { stagger: Infinity, signal, discard: ({ stream }) => stream.destroy() },
  );
  if (result.won) return result.value;
  throw combineFailures(result.failures, "addresses");
}

/** Connects to the proxy, then through it. */
async function dialThrough(
  proxy: Proxy,
  target: HostTarget,
  options: RouteOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Dialed> {
  let stream = await reach(proxy, options, proxy, progress, signal);
  const route = routeOf(stream, options, proxy);
  const tried: Tried = { host: target.host, remotePort: target.port, interface: options.interface, proxy: proxy.shown };
  progress.step = "proxy";
  progress.tried = tried;
  try {
    if (proxy.scheme === "https") {
      const secured = await secureOver(stream, {
        ...options.proxyTls,
        host: proxy.host,
        port: proxy.port,
        timeout: 0,
        signal,
      });
      stream = secured.stream;
    }
    if (socksKind(proxy.scheme) === undefined) {
      await openTunnel(stream, proxy, target.host, target.port, options.proxyHeaders, tried, signal);
    } else {
      await openSocks(stream, proxy, target.host, target.port, tried, signal);
    }
  } catch (error) {
    stream.destroy();
    throw atProxy(error, tried);
  }
  return { stream, route };
}

/** Turns a TLS error of the connection to a proxy into an error of the proxy. */
function atProxy(error: unknown, tried: Tried): unknown {
  if (!(error instanceof ConnectError) || error.step !== "tls") return error;
  return connectError(error.code, `at the proxy: ${error.message}`, { step: "proxy", cause: error, tried });
}

/**
 * Connects to a host by TCP. Its addresses are raced (RFC 8305), each from the matching local
 * address.
 */
async function reach(
  to: { readonly host: string; readonly port: number },
  options: RouteOptions,
  proxy: Proxy | undefined,
  progress: Progress,
  signal: AbortSignal,
): Promise<Socket> {
  const { host, port } = to;
  const { lookup } = options;
  const common: Tried = { host, remotePort: port, interface: options.interface, proxy: proxy?.shown };
  // Checked before the name is resolved: without the interface there is no route to any address.
  const networkInterface = options.interface === undefined ? undefined : findInterface(options.interface, common);
  if (networkInterface?.up === false) throw connectError("INTERFACE_DOWN", undefined, { tried: common });
  progress.step = "resolve";
  progress.tried = common;
  const addresses = await resolve(host, { lookup, family: onlyFamily(options) }, signal, common);
  const candidates = endpoints(addresses, port, networkInterface, options, common);
  progress.step = "connect";
  const result = await race<Endpoints, Socket, WebSocketError>(
    candidates,
    (ends, attemptSignal) => {
      const { localAddress, localPort, remoteAddress } = ends;
      const tried = { ...common, localAddress, localPort, remoteAddress };
      progress.tried = tried;
      return connectTcp(ends, options, tried, attemptSignal);
    },
    (error) => {
      if (!(error instanceof WebSocketError)) throw error;
      progress.failures.push(error);
      return error;
    },
    { stagger: options.attemptDelay ?? DEFAULT_ATTEMPT_DELAY_MS, signal, discard: (late) => late.destroy() },
  );
  if (result.won) return result.value;
  throw combineFailures(result.failures, "addresses");
}

/**
 * Pairs each remote address with a local one. Throws NO_ADDRESS_OF_FAMILY if the interface has no
 * address for any of them.
 */
function endpoints(
  addresses: readonly ResolvedAddress[],
  remotePort: number,
  networkInterface: NetworkInterface | undefined,
  options: RouteOptions,
  common: Tried,
): Endpoints[] {
  const { localAddress, localPort } = options;
  const ends = addresses.map(({ address, family }) => ({ remoteAddress: address, remotePort, family, localPort }));
  if (networkInterface === undefined) return ends.map((end) => ({ ...end, localAddress, device: undefined }));
  const { name } = networkInterface;
  const scoped = ends.map((end) => {
    const { remoteAddress, family } = end;
    // a link-local address has no meaning without an interface, and the interface is known here
    const bare = family === 6 && !remoteAddress.includes("%") && scopeOf(remoteAddress) === "link-local";
    return { ...end, remoteAddress: bare ? `${remoteAddress}%${name}` : remoteAddress };
  });
  // with SO_BINDTODEVICE the kernel chooses a source address of that device
  if (options.bindToDevice === true) return scoped.map((end) => ({ ...end, localAddress, device: name }));
  const fitting = scoped.flatMap((end) => {
    const source = chooseAddress(networkInterface, end.remoteAddress);
    return source === undefined ? [] : [{ ...end, localAddress: source.address, device: undefined }];
  });
  if (fitting.length > 0) return fitting;
  const families = [...new Set(ends.map(({ family }) => `IPv${family}`))].join(" and ");
  const has = networkInterface.addresses.map(({ address }) => address).join(", ");
  throw connectError("NO_ADDRESS_OF_FAMILY", `${families} is needed, ${name} has ${has}`, { tried: common });
}

/** Returns the proxy that the options, or the environment, name for a target. */
export function chooseProxy(target: DialTarget, { proxy: option }: DialOptions): Proxy | undefined {
  if (option === true || option === "environment") {
    return target.path === undefined ? proxyFromEnvironment(target) : undefined;
  }
  return proxyFromOption(option);
}

/** Throws, before a socket is opened, for a target or options that SOCKS4 cannot express. */
function checkSocks4(host: string, { family }: DialOptions, proxy: Proxy): void {
  const socks = socksKind(proxy.scheme);
  if (socks?.version !== 4) return;
  const obstacle = socks4Obstacle(host);
  if (obstacle !== undefined) throw connectError("INVALID_PROXY", obstacle, { tried: { host, proxy: proxy.shown } });
  // the options were checked without the proxy of the environment
  checkFamilyOfProxy(family, proxy);
}

function refuseForUnixSocket(options: DialOptions, proxy: Proxy | undefined): void {
  const { localAddress, localPort, family } = options;
  const set = { localAddress, localPort, family, interface: interfaceNames(options)[0], proxy };
  for (const [name, value] of Object.entries(set)) {
    if (value !== undefined) throw argumentError(TypeError, `${name} cannot be used with a Unix socket: leave it out`);
  }
}

function routeOf(stream: Socket, options: RouteOptions, proxy: Proxy | undefined): Route {
  const { localAddress, localPort, remoteAddress, remotePort } = stream;
  return {
    interface: options.interface ?? (localAddress === undefined ? undefined : interfaceOf(localAddress)),
    localAddress,
    localPort,
    remoteAddress,
    remotePort,
    path: undefined,
    proxy: proxy?.shown,
    httpVersion: "1.1",
    session: undefined,
  };
}

function unixRoute(path: string): Route {
  const nothing = undefined;
  return {
    interface: nothing,
    localAddress: nothing,
    localPort: nothing,
    remoteAddress: nothing,
    remotePort: nothing,
    path,
    proxy: nothing,
    httpVersion: "1.1",
    session: nothing,
  };
}
