import { Socket, type TcpSocketConnectOpts } from "node:net";
import { type ConnectError, connectError, type ConnectionErrorCode, type Tried } from "../errors.ts";
import { abortable } from "../schedule/abortable.ts";
import { readInterfaces } from "../native/network-interfaces.ts";
import { isNode } from "../native/platform.ts";
import { openSocket } from "./device.ts";
import { findInterface, interfaceOf } from "./interfaces.ts";
import { type Family, familyOf, scopeOf } from "../transport/ip.ts";
import type { DialOptions } from "./options.ts";

/** The two ends of one connection attempt. */
export interface Endpoints {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly family: Family;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** The device for SO_BINDTODEVICE. */
  readonly device: string | undefined;
}

export type SocketOptions = Pick<DialOptions, "noDelay" | "keepAlive" | "tcpUserTimeout">;

/**
 * Opens one TCP connection between two ends. Rejects with a ConnectError that says whether bind or
 * connect failed, and why.
 */
export async function connectTcp(
  ends: Endpoints,
  options: SocketOptions,
  tried: Tried,
  signal: AbortSignal,
): Promise<Socket> {
  checkScope(ends.localAddress, "BIND_FAILED", tried);
  checkScope(ends.remoteAddress, "UNREACHABLE", tried);
  const { device } = ends;
  const { tcpUserTimeout } = options;
  const connectOptions: TcpSocketConnectOpts = {
    host: ends.remoteAddress,
    port: ends.remotePort,
    family: ends.family,
    ...(ends.localAddress === undefined ? {} : { localAddress: ends.localAddress }),
    ...(ends.localPort === undefined ? {} : { localPort: ends.localPort }),
  };
  let fd: number | undefined;
  if (device !== undefined || tcpUserTimeout !== undefined) {
    fd = await openSocket(ends.family, { device, userTimeout: tcpUserTimeout }, tried);
  }
  // manualStart, as Node's own modules use it: the socket does not read before it is connected
  const withDescriptor = { fd, manualStart: true };
  const socket = fd === undefined ? new Socket() : new Socket(withDescriptor);
  return await connected(socket, () => socket.connect(connectOptions), options, tried, signal);
}

/** Opens a connection to a Unix socket. */
export function connectUnix(path: string, signal: AbortSignal): Promise<Socket> {
  const socket = new Socket();
  return connected(socket, () => socket.connect({ path }), { noDelay: false }, { path }, signal);
}

function connected(
  socket: Socket,
  start: () => void,
  options: SocketOptions,
  tried: Tried,
  signal: AbortSignal,
): Promise<Socket> {
  if (signal.aborted) socket.destroy(); // the promise may already have a file descriptor
  return abortable<Socket>(
    signal,
    (resolve, reject) => {
      const stop = (): void => {
        socket.off("connect", onConnect);
        socket.off("error", onError);
      };
      const onConnect = (): void => {
        stop();
        if (options.noDelay !== false) socket.setNoDelay(true);
        const { keepAlive } = options;
        if (keepAlive !== undefined && keepAlive !== false) {
          socket.setKeepAlive(true, keepAlive === true ? undefined : keepAlive);
        }
        resolve(socket);
      };
      const onError = (error: NodeJS.ErrnoException): void => {
        stop();
        socket.destroy();
        reject(connectFailure(error, tried));
      };
      socket.on("connect", onConnect);
      socket.on("error", onError);
      start();
      return () => {
        stop();
        // destroy() without an error emits no "error"; a connection that completes later is closed
        // with the socket
        socket.destroy();
      };
    },
    { step: "connect", tried },
  );
}

/**
 * Maps an error of `net.connect` to a ConnectError. Bind and connect share error codes; `syscall`
 * tells them apart.
 */
function connectFailure(error: NodeJS.ErrnoException, tried: Tried): ConnectError {
  const [code, detail] = isForeignAddress(error, tried)
    ? (["ADDRESS_NOT_LOCAL"] as const)
    : error.syscall === "bind"
      ? bindReason(error)
      : connectReason(error, tried);
  return connectError(code, detail, { cause: error, tried });
}

/**
 * Whether binding failed because the local address is not of this machine, in a runtime that
 * reports it differently: Bun as a failure of `connect`, Deno as EINVAL.
 */
function isForeignAddress({ code }: NodeJS.ErrnoException, { localAddress }: Tried): boolean {
  if (isNode || localAddress === undefined || (code !== "EADDRNOTAVAIL" && code !== "EINVAL")) return false;
  return readInterfaces() !== undefined && interfaceOf(localAddress) === undefined;
}

type Reason = readonly [ConnectionErrorCode, string?];

function bindReason(error: NodeJS.ErrnoException): Reason {
  switch (error.code) {
    case "EADDRNOTAVAIL":
      return ["ADDRESS_NOT_LOCAL"];
    case "EADDRINUSE":
      return ["ADDRESS_IN_USE"];
    case "EACCES":
    case "EPERM":
      return ["BIND_NOT_PERMITTED", "a local port below 1024 needs the capability CAP_NET_BIND_SERVICE"];
    default:
      return ["BIND_FAILED", error.code ?? error.message];
  }
}

function connectReason(error: NodeJS.ErrnoException, tried: Tried): Reason {
  switch (error.code) {
    case "ECONNREFUSED":
      return ["REFUSED"];
    case "ENOENT":
      return ["REFUSED", "there is no such socket"];
    case "ETIMEDOUT":
      return ["CONNECT_TIMEOUT", "the system gave up"];
    case "ENETUNREACH":
    case "EHOSTUNREACH":
    case "ENETDOWN":
    case "EHOSTDOWN":
    case "ENONET":
      return ["UNREACHABLE", error.code];
    case "EADDRINUSE":
      return ["ADDRESS_IN_USE", "a connection between these two ends is there already, or no local port is free"];
    case "EADDRNOTAVAIL":
      // With a local port: the port is in use towards this remote end. Without: no port is left, or
      // the family is disabled.
      if (tried.localPort !== undefined) {
        return ["ADDRESS_IN_USE", "a connection between these two ends is there already"];
      }
      return tried.remoteAddress?.includes(":") === true
        ? ["UNREACHABLE", "no local address to reach it from"]
        : ["ADDRESS_IN_USE", "no local port is free"];
    case "EINVAL":
      // Linux reports EINVAL when the source address has no route to the destination, such as
      // 127.0.0.1 to another machine.
      return ["UNREACHABLE", "not from this local address (EINVAL)"];
    case "EACCES":
    case "EPERM":
      return ["CONNECT_FAILED", `${error.code}: forbidden by a firewall, a sandbox or the socket's permissions`];
    default:
      return ["CONNECT_FAILED", error.code ?? error.message];
  }
}

/**
 * Checks the scope of a link-local IPv6 address, which has no meaning without an interface (RFC
 * 4007 §6). Without a scope, or with an unknown one, some versions of Node fail and others use the
 * first interface with a link-local address.
 */
function checkScope(address: string | undefined, code: "BIND_FAILED" | "UNREACHABLE", tried: Tried): void {
  if (address === undefined || familyOf(address) !== 6 || scopeOf(address) !== "link-local") return;
  const [, scope] = address.split("%");
  if (scope === undefined) {
    throw connectError(code, "a link-local address needs its scope, as in fe80::1%eth0", { tried });
  }
  // on Windows the scope is a number
  if (process.platform !== "win32") findInterface(scope, tried);
}
