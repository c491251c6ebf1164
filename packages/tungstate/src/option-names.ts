import { type HeadLimits, type Heartbeat, protocolError } from "@tungstate/protocol";
import type { ClientOptions } from "./client/client.ts";
import type { ClientTlsOptions, ConnectOptions } from "./client/connect.ts";
import type { CompressionOptions } from "./deflate/settings.ts";
import type { BindOptions, DialOptions } from "./dial/options.ts";
import { type ConnectionOptions, describe, type MinProgress } from "./connection/options.ts";
import type { BackoffOptions } from "./reconnecting/backoff.ts";
import type { ReconnectOptions } from "./reconnecting/options.ts";
import type { OutboxOptions } from "./reconnecting/outbox.ts";
import type { AcceptOptions } from "./server/accept.ts";
import type { AdmissionOptions } from "./server/admission.ts";
import type { WebSocketServerOptions } from "./server/server.ts";
import type { TlsOptions } from "./tls/options.ts";
import type { SecureOptions } from "./tls/secure.ts";
import type { TlsSessionCacheOptions } from "./tls/session-cache.ts";

/** The names of all options of a kind, and those of options in options. The compiler sees to it that none is missing, and none too many. */
export type OptionNames<T> = { readonly [K in keyof T]-?: true | Names };
interface Names {
  readonly [name: string]: true | Names;
}

const HEARTBEAT: OptionNames<Heartbeat> = { interval: true, timeout: true };
const PROGRESS: OptionNames<MinProgress> = { bytes: true, interval: true };
const HEAD_LIMITS: OptionNames<HeadLimits> = { maxHeadSize: true, maxHeaders: true, maxParts: true };
const COMPRESSION: OptionNames<CompressionOptions> = {
  contextTakeover: true,
  windowBits: true,
  fallbackOffers: true,
  memoryLevel: true,
  level: true,
  threshold: true,
  asyncSize: true,
  binary: true,
};

const CONNECTION: OptionNames<ConnectionOptions> = {
  maxFrameSize: true,
  maxMessageSize: true,
  maxWriteBufferSize: true,
  writeBufferSize: true,
  inboxSize: true,
  readAheadSize: true,
  acceptUnmaskedFrames: true,
  closeTimeout: true,
  maxCloseTime: true,
  heartbeat: { ...HEARTBEAT },
  minProgress: { ...PROGRESS },
  memoryBudget: true,
  noDelay: true,
  compression: { ...COMPRESSION },
  clock: true,
  fillRandom: true,
};

const TLS: OptionNames<TlsOptions> = {
  ca: true,
  cert: true,
  key: true,
  pfx: true,
  passphrase: true,
  crl: true,
  ciphers: true,
  sigalgs: true,
  ecdhCurve: true,
  minVersion: true,
  maxVersion: true,
  checkServerIdentity: true,
  servername: true,
  rejectUnauthorized: true,
  pins: true,
  alpnProtocols: true,
  sessionCache: true,
};

const BIND: OptionNames<BindOptions> = {
  localAddress: true,
  localPort: true,
  interface: true,
  interfaceStrategy: true,
  bindToDevice: true,
};

const ADMISSION: OptionNames<AdmissionOptions> = {
  path: true,
  protocols: true,
  origin: true,
  authorize: true,
  trustProxy: true,
  handshakeTimeout: true,
  handshakeLimits: { ...HEAD_LIMITS },
};

export const DIAL_OPTIONS: OptionNames<DialOptions> = {
  ...BIND,
  lookup: true,
  family: true,
  proxy: true,
  proxyHeaders: true,
  proxyTls: { ...TLS },
  connectTimeout: true,
  raceDelay: true,
  noDelay: true,
  keepAlive: true,
  tcpUserTimeout: true,
  signal: true,
};

export const SECURE_OPTIONS: OptionNames<SecureOptions> = {
  ...TLS,
  host: true,
  port: true,
  timeout: true,
  signal: true,
};

export const CLIENT_OPTIONS: OptionNames<ClientOptions> = {
  ...CONNECTION,
  protocols: true,
  headers: true,
  origin: true,
  handshakeTimeout: true,
  handshakeLimits: { ...HEAD_LIMITS },
  signal: true,
};

export const CLIENT_TLS_OPTIONS: OptionNames<ClientTlsOptions> = {
  ...CLIENT_OPTIONS,
  tls: { ...TLS },
  tlsTimeout: true,
};

export const CONNECT_OPTIONS: OptionNames<ConnectOptions> = {
  ...DIAL_OPTIONS,
  ...CLIENT_TLS_OPTIONS,
  timeout: true,
  maxRedirects: true,
  wrap: true,
};

const BACKOFF: OptionNames<BackoffOptions> = { base: true, ceiling: true, stableAfter: true };
const OUTBOX: OptionNames<OutboxOptions> = { size: true, policy: true };

export const RECONNECT_OPTIONS: OptionNames<ReconnectOptions> = {
  ...CONNECT_OPTIONS,
  providerTimeout: true,
  backoff: { ...BACKOFF },
  retry: true,
  outbox: { ...OUTBOX },
  watchNetworks: true,
  random: true,
  connect: true,
};

export const ACCEPT_OPTIONS: OptionNames<AcceptOptions> = { ...CONNECTION, ...ADMISSION, signal: true };

export const SERVER_OPTIONS: OptionNames<WebSocketServerOptions> = {
  ...CONNECTION,
  ...ADMISSION,
  maxConnections: true,
  maxHandshakes: true,
  maxConnectionsPerAddress: true,
};

export const SESSION_CACHE_OPTIONS: OptionNames<TlsSessionCacheOptions> = {
  maxPeers: true,
  maxPerPeer: true,
  maxAge: true,
  reuseTickets: true,
  now: true,
};

/**
 * Throws INVALID_ARGUMENT for a name that is no option's, with the one that may have been meant: a misspelled limit is no limit. And for an
 * option that the object has from its prototype, as with the getters and methods of a class: copies of it would not have that. What is undefined is
 * not there. What the values are is looked at elsewhere.
 */
export function checkNames<T>(given: T, names: OptionNames<T>): void {
  if (typeof given !== "object" || given === null) {
    throw protocolError("INVALID_ARGUMENT", `options are an object, got ${describe(given)}`);
  }
  check(given, names, "");
}

function check(given: unknown, names: Names, prefix: string): void {
  if (typeof given !== "object" || given === null) return;
  for (const [name, value] of Object.entries(given) as [string, unknown][]) {
    if (value === undefined) continue;
    const known = Object.hasOwn(names, name) ? names[name] : undefined;
    if (known === undefined) {
      throw protocolError(
        "INVALID_ARGUMENT",
        `there is no option ${prefix}${name}: ${expected(name, Object.keys(names))}`,
      );
    }
    if (known !== true) check(value, known, `${prefix}${name}.`);
  }
  const prototype: unknown = Object.getPrototypeOf(given);
  if (prototype === Object.prototype || prototype === null) return;
  for (const name of Object.keys(names)) {
    if (Object.hasOwn(given, name) || Reflect.get(given, name) === undefined) continue;
    throw protocolError(
      "INVALID_ARGUMENT",
      `options are properties of the object itself, got ${prefix}${name} from its prototype`,
    );
  }
}

const MOST_EDITS = 2;

function expected(name: string, names: readonly string[]): string {
  const near = names.find((each) => edits(name.toLowerCase(), each.toLowerCase()) <= MOST_EDITS);
  return near === undefined ? `there are ${names.toSorted().join(", ")}` : `is it ${near}?`;
}

/** How many characters have to be put in, taken out or replaced to make one of the other (Levenshtein's distance). */
function edits(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (same ? 0 : 1)));
    }
    row = next;
  }
  return row[other.length];
}
