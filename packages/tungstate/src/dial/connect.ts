import { Socket, type TcpSocketConnectOpts } from "node:net";
import { type ConnectError, connectError, type ConnectionErrorCode, type Tried } from "../errors.ts";
import { abortable } from "../schedule/abortable.ts";
import { openSocket } from "./device.ts";
import { findInterface } from "./interfaces.ts";
import { type Family, familyOf, scopeOf } from "../transport/ip.ts";
import type { DialOptions } from "./options.ts";

/** One try: from here, to there. */
export interface Endpoints {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly family: Family;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** For SO_BINDTODEVICE. */
  readonly device: string | undefined;
}

export type SocketOptions = Pick<DialOptions, "noDelay" | "keepAlive" | "tcpUserTimeout">;

/** One TCP connection between these two ends. Rejects with an error that says which of bind and connect failed, and why. */
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
  // manualStart (as Node's own modules use it): no reading before the socket is connected.
  const withDescriptor = { fd, manualStart: true };
  const socket = fd === undefined ? new Socket() : new Socket(withDescriptor);
  return await connected(socket, () => socket.connect(connectOptions), options, tried, signal);
}

/** A connection to a Unix socket. */
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
  if (signal.aborted) socket.destroy(); // it may already have a file descriptor
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
        // Destroying without an error emits none; a connection that comes too late is closed with the socket.
        socket.destroy();
      };
    },
    { step: "connect", tried },
  );
}

/** What an error of `net.connect` means. Bind and connect share codes: `syscall` tells which of them it was. */
function connectFailure(error: NodeJS.ErrnoException, tried: Tried): ConnectError {
  const [code, detail] = error.syscall === "bind" ? bindReason(error) : connectReason(error, tried);
  return connectError(code, detail, { cause: error, tried });
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
      // A port that is free to bind but not for this remote end; without a port of ours, either none is left or the family is off.
      if (tried.localPort !== undefined) {
        return ["ADDRESS_IN_USE", "a connection between these two ends is there already"];
      }
      return tried.remoteAddress?.includes(":") === true
        ? ["UNREACHABLE", "no local address to reach it from"]
        : ["ADDRESS_IN_USE", "no local port is free"];
    case "EINVAL":
      // Linux says so for a source that has no way to the destination, such as 127.0.0.1 to another machine.
      return ["UNREACHABLE", "not from this local address (EINVAL)"];
    case "EACCES":
    case "EPERM":
      return ["CONNECT_FAILED", `${error.code}: forbidden by a firewall, a sandbox or the socket's permissions`];
    default:
      return ["CONNECT_FAILED", error.code ?? error.message];
  }
}

/**
 * A link-local IPv6 address means something only together with an interface (RFC 4007 §6). Without one, or with one that is not
 * there, some versions of Node fail and others take the first interface that has such addresses.
 */
function checkScope(address: string | undefined, code: "BIND_FAILED" | "UNREACHABLE", tried: Tried): void {
  if (address === undefined || familyOf(address) !== 6 || scopeOf(address) !== "link-local") return;
  const [, scope] = address.split("%");
  if (scope === undefined) {
    throw connectError(code, "a link-local address needs its scope, as in fe80::1%eth0", { tried });
  }
  // On Windows the scope is a number.
  if (process.platform !== "win32") findInterface(scope, tried);
}
