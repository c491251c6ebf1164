import { type ConnectError, connectError, type Tried } from "../errors.ts";
import { describeInterfaces, listInterfaces } from "./interfaces.ts";
import { isNode, platform } from "../native/platform.ts";
import type { Family } from "../transport/ip.ts";

/** Socket options that Linux has and Node cannot set before connecting. */
export interface SocketSettings {
  /**
   * SO_BINDTODEVICE: the interface for all packets, whatever the routing table says (socket(7)).
   */
  readonly device?: string | undefined;
  /**
   * TCP_USER_TIMEOUT in ms: how long sent data may stay unacknowledged before the connection ends
   * (tcp(7)).
   */
  readonly userTimeout?: number | undefined;
}

// linux: asm-generic/socket.h, bits/socket.h, netinet/tcp.h
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;
const EPERM = 1;
const EACCES = 13;
const ENODEV = 19;
const ENOPROTOOPT = 92;

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number;
  close(fd: number): number;
  errno(): number;
}

/**
 * Creates a TCP socket with these options. Returns a file descriptor for `new net.Socket({ fd })`,
 * which the caller owns. Throws NOT_SUPPORTED (not Linux), PACKAGE_MISSING (no koffi),
 * NO_SUCH_INTERFACE, BIND_NOT_PERMITTED or BIND_FAILED.
 */
export async function openSocket(family: Family, settings: SocketSettings, tried: Tried = {}): Promise<number> {
  const libc = await loadLibc(settings, tried);
  // SOCK_NONBLOCK and SOCK_CLOEXEC, as libuv sets them
  const fd = libc.socket(family === 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw connectError("BIND_FAILED", `socket() says errno ${libc.errno()}`, { tried });
  try {
    const { device, userTimeout } = settings;
    if (device !== undefined) {
      const name = Buffer.from(`${device}\0`);
      if (libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) < 0) {
        throw deviceError(libc.errno(), device, tried);
      }
    }
    if (userTimeout !== undefined) {
      const value = new Uint8Array(Uint32Array.of(userTimeout).buffer);
      if (libc.setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, value.length) < 0) {
        throw connectError("NOT_SUPPORTED", `TCP_USER_TIMEOUT says errno ${libc.errno()}`, { tried });
      }
    }
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

/** Maps an errno of `setsockopt(SO_BINDTODEVICE)` to a ConnectError. */
export function deviceError(errno: number, device: string, tried: Tried = {}): ConnectError {
  const options = { tried: { ...tried, interface: device } };
  switch (errno) {
    case ENODEV:
      return connectError(
        "NO_SUCH_INTERFACE",
        `${JSON.stringify(device)}; there are ${describeInterfaces(listInterfaces())}`,
        options,
      );
    case EPERM:
    case EACCES:
      return connectError(
        "BIND_NOT_PERMITTED",
        "SO_BINDTODEVICE needs the capability CAP_NET_RAW before Linux 5.7, or where a sandbox filters it; " +
          "grant it with `setcap cap_net_raw+ep` on the node binary or with `--cap-add NET_RAW` on the container, or leave out bindToDevice",
        options,
      );
    case ENOPROTOOPT:
      return connectError(
        "NOT_SUPPORTED",
        "this kernel or sandbox has no SO_BINDTODEVICE; leave out bindToDevice",
        options,
      );
    default:
      return connectError("BIND_FAILED", `SO_BINDTODEVICE says errno ${errno}`, options);
  }
}

/** Whether this system and this runtime can have sockets with `SocketSettings`. */
export function supportsSocketSettings(): boolean {
  return isNode && process.platform === "linux";
}

/**
 * Throws NOT_SUPPORTED if an option needs what this system or this runtime lacks. In Bun and Deno,
 * `new net.Socket({ fd })` ignores the file descriptor and connects another socket.
 */
export function checkSocketSettings(settings: SocketSettings, tried: Tried, runtime = platform): void {
  const wanted = nameOf(settings);
  const isNode = runtime.name === "Node.js";
  if (wanted === undefined || (isNode && process.platform === "linux")) return;
  const [needed, here] = isNode
    ? ["Linux", process.platform]
    : ["Node.js on Linux", `${runtime.name} ${runtime.version}`];
  throw connectError("NOT_SUPPORTED", `${wanted} needs ${needed}, this is ${here}; leave it out`, { tried });
}

function nameOf({ device, userTimeout }: SocketSettings): string | undefined {
  if (device !== undefined) return "bindToDevice";
  return userTimeout === undefined ? undefined : "tcpUserTimeout";
}

let loaded: Libc | undefined;

async function loadLibc(settings: SocketSettings, tried: Tried): Promise<Libc> {
  if (loaded !== undefined) return loaded;
  checkSocketSettings(settings, tried);
  const wanted = nameOf(settings);
  let koffi: typeof import("koffi");
  try {
    koffi = await import("koffi");
  } catch (cause) {
    throw connectError("PACKAGE_MISSING", `${wanted} calls the C library through koffi: npm install koffi`, {
      cause,
      tried,
    });
  }
  const library = koffi.load(null);
  loaded = {
    socket: library.func("int socket(int, int, int)"),
    setsockopt: library.func("int setsockopt(int, int, int, const void *, unsigned int)"),
    close: library.func("int close(int)"),
    errno: () => koffi.errno(),
  };
  return loaded;
}
