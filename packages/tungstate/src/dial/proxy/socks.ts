import type { Duplex } from "node:stream";
import { type ConnectError, connectError, type ConnectionErrorCode, type Tried } from "../../errors.ts";
import { familyOf, hexDigits } from "../../transport/ip.ts";
import { type Proxy, socksKind } from "./proxy.ts";
import { take } from "./take.ts";

/**
 * The client's side of the SOCKS protocol. It sends requests, yields the number of bytes that it
 * needs next, and receives exactly these. It returns when the proxy has connected, and throws a
 * ConnectError if the proxy has not.
 */
type Dialogue = Generator<number, void, Buffer>;

interface Exchange {
  readonly proxy: Proxy;
  /** An IP address, or a name that the proxy resolves. */
  readonly host: string;
  readonly port: number;
  readonly send: (...parts: readonly (readonly number[] | Uint8Array)[]) => void;
  readonly fail: (code: ConnectionErrorCode, detail: string) => ConnectError;
}

/**
 * Asks a SOCKS proxy for a connection to `host`. Bytes after the proxy's reply stay in the stream.
 */
export async function openSocks(
  stream: Duplex,
  proxy: Proxy,
  host: string,
  port: number,
  tried: Tried,
  signal: AbortSignal,
): Promise<void> {
  const speak = socksKind(proxy.scheme)?.version === 4 ? speakSocks4 : speakSocks5;
  const dialogue = speak({
    proxy,
    host,
    port,
    send: (...parts) => stream.write(Buffer.concat(parts.map((part) => Uint8Array.from(part)))),
    fail: (code, detail) => connectError(code, detail, { tried }),
  });
  await take(stream, feeding(dialogue), signal, { step: "proxy", tried });
}

/**
 * Starts a dialogue. The function returned takes each chunk from the proxy; at the end it returns
 * the bytes after the last reply.
 */
function feeding(dialogue: Dialogue): (chunk: Buffer) => { readonly result: void; readonly rest: Buffer } | undefined {
  let next = dialogue.next();
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (next.done !== true && pending.length >= next.value) {
      const part = pending.subarray(0, next.value);
      pending = pending.subarray(next.value);
      next = dialogue.next(part);
    }
    return next.done === true ? { result: undefined, rest: pending } : undefined;
  };
}

/** Why a SOCKS4 or SOCKS4a proxy cannot be asked for this host; undefined if it can. */
export function socks4Obstacle(host: string): string | undefined {
  if (familyOf(host) === 6) {
    return `SOCKS4 has no IPv6 addresses, and the host is ${host}: use a SOCKS5 proxy (socks5: or socks5h:)`;
  }
  // SOCKS4a gives these addresses another meaning
  return /^0\.0\.0\.[1-9]/.test(host) ? `SOCKS4 cannot name the address ${host}` : undefined;
}

const SOCKS4 = 4;
const SOCKS4_GRANTED = 90;
const CONNECT = 1;

/** The SOCKS4 protocol's replies, and what the proxy means by them. */
const SOCKS4_FAILURES: ReadonlyMap<number, readonly [code: ConnectionErrorCode, detail: string]> = new Map([
  [91, ["PROXY_FAILED", "it answers Rejected (or failed to connect)"]],
  [92, ["PROXY_AUTH", "it answers IdentUnreachable: it asks an ident server on this machine for the user id"]],
  [93, ["PROXY_AUTH", "it answers IdentMismatch: the ident server on this machine names another user id"]],
]);

/**
 * SOCKS 4 (Ying-Da Lee, "SOCKS: A protocol for TCP proxy across firewalls") and its extension 4a.
 */
function* speakSocks4({ proxy, host, port, send, fail }: Exchange): Dialogue {
  const userId = Buffer.from(proxy.credentials?.username ?? "");
  const head = [SOCKS4, CONNECT, port >> 8, port & 0xff];
  if (familyOf(host) === 4) send(head, addressBytes(host), userId, [0]);
  // 4a: an address 0.0.0.x, x not 0, says that a name follows the user id
  else send(head, [0, 0, 0, 1], userId, [0], Buffer.from(host), [0]);
  const [version, reply] = yield 2;
  // "VN is the version of the reply code and should be 0"
  if (version !== 0) throw fail("PROXY_FAILED", `expected a SOCKS4 reply, which begins with 0, got ${version}`);
  if (reply !== SOCKS4_GRANTED) {
    throw fail(...(SOCKS4_FAILURES.get(reply) ?? (["PROXY_FAILED", unknownCode(reply)] as const)));
  }
  yield 6; // a port and an address, without meaning for CONNECT
}

const SOCKS5 = 5;
const NO_AUTHENTICATION = 0;
const USERNAME_PASSWORD = 2;
const NO_ACCEPTABLE_METHOD = 0xff;
const ADDRESS_TYPE = { ipv4: 1, name: 3, ipv6: 4 } as const;

/** RFC 1928 §6: the replies. */
const SOCKS5_FAILURES: ReadonlyMap<number, readonly [code: ConnectionErrorCode, name: string]> = new Map([
  [1, ["PROXY_FAILED", "Failure"]],
  [2, ["PROXY_DENIED", "NotAllowed"]],
  [3, ["PROXY_FAILED", "NetworkUnreachable"]],
  [4, ["PROXY_FAILED", "HostUnreachable"]],
  [5, ["PROXY_FAILED", "ConnectionRefused"]],
  [6, ["PROXY_FAILED", "TTLExpired"]],
  [7, ["PROXY_DENIED", "CommandNotSupported"]],
  [8, ["PROXY_DENIED", "AddressNotSupported"]],
]);

/** RFC 1928, with a user name and password by RFC 1929. */
function* speakSocks5({ proxy, host, port, send, fail }: Exchange): Dialogue {
  const { credentials } = proxy;
  const methods = credentials === undefined ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, USERNAME_PASSWORD];
  send([SOCKS5, methods.length, ...methods]);
  const [version, method] = yield 2;
  if (version !== SOCKS5) throw fail("PROXY_FAILED", `expected version 5 of SOCKS, got ${version}`);
  if (method === USERNAME_PASSWORD && credentials !== undefined) {
    const username = Buffer.from(credentials.username);
    const password = Buffer.from(credentials.password);
    send([1, username.length], username, [password.length], password);
    const [, status] = yield 2;
    if (status !== 0) throw fail("PROXY_AUTH", "those given were refused");
  } else if (method === NO_ACCEPTABLE_METHOD) {
    throw fail("PROXY_AUTH", credentials === undefined ? "none were given" : "it accepts no user name and password");
  } else if (method !== NO_AUTHENTICATION) {
    throw fail("PROXY_FAILED", `it chose the authentication method ${method}, which was not offered`);
  }
  send([SOCKS5, CONNECT, 0], socks5Address(host), [port >> 8, port & 0xff]);
  const [replyVersion, reply] = yield 2;
  if (replyVersion !== SOCKS5) throw fail("PROXY_FAILED", `expected a reply of version 5, got ${replyVersion}`);
  if (reply !== 0) {
    const [code, name] = SOCKS5_FAILURES.get(reply) ?? [];
    throw fail(code ?? "PROXY_FAILED", name === undefined ? unknownCode(reply) : `it answers ${name}`);
  }
  const [, type] = yield 2;
  let length: number; // the address that the proxy connects from
  if (type === ADDRESS_TYPE.ipv4) length = 4;
  else if (type === ADDRESS_TYPE.ipv6) length = 16;
  else if (type === ADDRESS_TYPE.name) [length] = yield 1;
  else throw fail("PROXY_FAILED", `its answer has an address of the unknown type ${type}`);
  yield length + 2;
}

/** RFC 1928 §5: ATYP and DST.ADDR. */
function socks5Address(host: string): Uint8Array {
  const family = familyOf(host);
  if (family !== undefined) {
    return Buffer.concat([Buffer.of(family === 4 ? ADDRESS_TYPE.ipv4 : ADDRESS_TYPE.ipv6), addressBytes(host)]);
  }
  const name = Buffer.from(host);
  return Buffer.concat([Buffer.of(ADDRESS_TYPE.name, name.length), name]);
}

function addressBytes(address: string): Uint8Array {
  return Buffer.from(hexDigits(address), "hex");
}

function unknownCode(reply: number): string {
  return `it answers with an unknown code (${reply})`;
}
