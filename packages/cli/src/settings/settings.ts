import type { HubFileOptions } from "./hub-options.ts";
import { flag, inFiles, isObject, type ValueType, list, matching, oneOf, text, integer } from "./value-types.ts";
import type { Namespaces } from "./namespaces.ts";

/** The settings of `tungstate serve`, from flags, environment variables and a file. */
export interface ServeSettings {
  readonly host: string;
  readonly port: number;
  readonly origin: readonly string[];
  readonly allowedHost: readonly string[];
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly trustProxy: readonly string[];
  readonly compression: boolean;
  readonly workers: number;
  /** Seconds. */
  readonly drain: number;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly http2: boolean;
  readonly redis: readonly string[];
  readonly redisPrefix: string;
  /** Milliseconds. */
  readonly redisTimeout: number | undefined;
  /** Milliseconds. */
  readonly redisPresenceTtl: number | undefined;
  /** Bytes. */
  readonly redisMemoryLimit: number | undefined;
  readonly redisCa: string | undefined;
  readonly redisCert: string | undefined;
  readonly redisKey: string | undefined;
  /** Bytes. */
  readonly historyBytes: number | undefined;
  /** Bytes. */
  readonly memoryBudget: number | undefined;
  readonly tokenSecret: string | undefined;
  readonly tokenPublicKey: readonly string[];
  readonly tokenJwks: string | undefined;
  readonly tokenAudience: readonly string[];
  readonly tokenIssuer: readonly string[];
  /** Seconds. */
  readonly tokenClockTolerance: number | undefined;
  readonly apiKey: readonly string[];
  readonly namespace: readonly string[];
  readonly namespaces: Namespaces;
  /** Options of the hub. In a file they are top-level members. */
  readonly hub: HubFileOptions;
  readonly logLevel: string;
}

export type Name = Exclude<keyof ServeSettings, "hub">;

/** Documentation and type of one setting. */
export interface Setting<T> {
  readonly kind: ValueType<T>;
  /** The argument of the flag, as in `--port <number>`. Without it the flag is a switch. */
  readonly argument?: string;
  readonly help: string;
  readonly defaultValue?: Extract<T, number | string>;
  /** The flag may be repeated. Environment variables separate the values with commas. */
  readonly repeatable?: true;
  /** Separator in environment variables, for values that contain commas. */
  readonly separator?: RegExp;
  /** The value is never shown in messages. */
  readonly secret?: true;
  /** Where the setting is accepted. Default: everywhere. */
  readonly only?: "file" | "flags";
}

const repeatable = true;
const secret = true;
const MAX_CONNECTIONS = 10_000_000;
const MAX_TIME = 2_147_483_647; // ms; the longest time of a Node.js timer

const origins = list(
  matching("an origin such as https://example.com, without a path, or `any`", isOrigin),
  'a list of origins such as "https://example.com", or "any"',
);
const texts = list(text, "a list of strings");

/** All settings, in the order in which they are documented. */
export const SETTINGS: { readonly [N in Name]: Setting<Exclude<ServeSettings[N], undefined>> } = {
  host: {
    // node:net listens on all addresses if the host is empty
    kind: matching("an address or a host name", (value) => value !== ""),
    argument: "<address>",
    help: "address to listen on; 0.0.0.0 or :: for all",
    defaultValue: "127.0.0.1",
  },
  port: {
    kind: integer(0, 65_535),
    argument: "<number>",
    help: "port to listen on; 0 picks a free one",
    defaultValue: 8000,
  },
  origin: {
    kind: origins,
    argument: "<origin>",
    help: "origin of pages that may connect, in addition to the server's own, such as https://example.com, or `any`; repeatable",
    repeatable,
  },
  allowedHost: {
    kind: texts,
    argument: "<host>",
    help: "host that requests may name, in addition to localhost: example.com, .example.com, an address, or `any`; default: any, but localhost only where --host is a loopback address; repeatable",
    repeatable,
  },
  maxConnections: {
    kind: integer(1, MAX_CONNECTIONS),
    argument: "<count>",
    help: "maximum WebSocket connections for each route and worker; further handshakes get 503",
  },
  maxConnectionsPerAddress: {
    kind: integer(1, MAX_CONNECTIONS),
    argument: "<count>",
    help: "maximum WebSocket connections for each client address; further handshakes get 429",
  },
  trustProxy: {
    kind: texts,
    argument: "<address>",
    help: "proxy whose forwarding headers are trusted: an address, a network, or `loopback`; repeatable",
    repeatable,
  },
  compression: { kind: flag, help: "compress messages for clients that offer it (permessage-deflate)" },
  workers: {
    kind: integer(1, 1024),
    argument: "<count>",
    help: "number of processes that share the port and all channels",
    defaultValue: 1,
  },
  drain: {
    kind: integer(0, 3600),
    argument: "<seconds>",
    help: "time for clients to disconnect after SIGTERM or SIGINT",
    defaultValue: 5,
  },
  tlsCert: {
    kind: text,
    argument: "<file>",
    help: "serve https: and wss: with the certificate chain in this PEM file",
  },
  tlsKey: {
    kind: text,
    argument: "<file>",
    help: "private key of the certificate, in PEM; SIGHUP reads both files again",
  },
  http2: { kind: flag, help: "with --tls-cert: serve HTTP/2 as well as HTTP/1.1, for pages and WebSockets" },
  redis: {
    kind: texts,
    argument: "<url>",
    help: "share channels through Redis: redis://, rediss://, redis+cluster:// or redis+sentinel://; repeat to spread channels over several",
    repeatable,
    separator: /,(?=\s*\w[\w+]*:\/\/)/,
    secret,
  },
  redisPrefix: {
    kind: matching("a non-empty string without spaces", (value) => /^\S+$/.test(value)),
    argument: "<prefix>",
    help: "prefix of all keys in Redis; servers with the same prefix form one hub",
    defaultValue: "tungstate",
  },
  redisTimeout: {
    kind: integer(100, MAX_TIME),
    argument: "<ms>",
    help: "time limit of a reply of Redis; default: 5000",
  },
  redisPresenceTtl: {
    kind: integer(100, MAX_TIME),
    argument: "<ms>",
    help: "how long clients of a server that died stay present in Redis; default: 60000",
  },
  redisMemoryLimit: {
    kind: integer(1, Number.MAX_SAFE_INTEGER),
    argument: "<bytes>",
    help: "memory of a Redis above which publications with history are refused; default: three quarters of its maxmemory",
  },
  redisCa: { kind: text, argument: "<file>", help: "certificates that rediss: URLs are verified with, in PEM" },
  redisCert: { kind: text, argument: "<file>", help: "client certificate for rediss: URLs, in PEM" },
  redisKey: { kind: text, argument: "<file>", help: "private key of the client certificate for rediss: URLs, in PEM" },
  historyBytes: {
    kind: integer(0, Number.MAX_SAFE_INTEGER),
    argument: "<bytes>",
    help: "maximum memory of the history of all channels, without Redis; default: an eighth of the heap, at most 256 MiB",
  },
  memoryBudget: {
    kind: integer(1024 * 1024, Number.MAX_SAFE_INTEGER),
    argument: "<bytes>",
    help: "maximum memory of connections and of the hub, all workers together; default: a quarter of the available memory",
  },
  tokenSecret: {
    kind: text,
    argument: "<secret>",
    help: "secret for verifying tokens (HS256), at least 32 bytes",
    secret,
  },
  tokenPublicKey: {
    kind: texts,
    argument: "<file>",
    help: "public key for verifying tokens (RS256, ES256, ES384, ES512 or EdDSA), in PEM; repeatable",
    repeatable,
  },
  tokenJwks: {
    kind: matching("an http: or https: URL", isWebUrl),
    argument: "<url>",
    help: "URL of a JWK set with public keys for verifying tokens",
  },
  tokenAudience: { kind: texts, argument: "<name>", help: "accepted value of the claim `aud` of tokens", repeatable },
  tokenIssuer: { kind: texts, argument: "<name>", help: "accepted value of the claim `iss` of tokens", repeatable },
  tokenClockTolerance: {
    kind: integer(0, 3600),
    argument: "<seconds>",
    help: "how far the clock of the issuer of tokens may be off; default: 0",
  },
  apiKey: {
    kind: texts,
    argument: "<key>",
    help: "enable the HTTP API for callers with this key; repeatable",
    repeatable,
    secret,
  },
  namespace: {
    kind: texts,
    argument: "<name>",
    help: "namespace in which subscribing requires a token; repeatable",
    repeatable,
    only: "flags",
  },
  namespaces: { kind: inFiles("an object", isNamespaces), help: "namespaces and their options", only: "file" },
  logLevel: {
    kind: oneOf("silent", "error", "warn", "info", "debug"),
    argument: "<level>",
    help: "minimum level of log lines: silent, error, warn, info, debug",
    defaultValue: "info",
  },
};

export const SETTING_NAMES: readonly Name[] = Object.keys(SETTINGS).filter((name): name is Name =>
  Object.hasOwn(SETTINGS, name),
);

/** Returns the flag of a setting, such as `--max-connections`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Returns the environment variable of a setting, such as `TUNGSTATE_MAX_CONNECTIONS`. */
export function variableOf(name: string): string {
  return `TUNGSTATE_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function isOrigin(value: string): boolean {
  return value === "any" || (URL.canParse(value) && new URL(value).origin === value);
}

/** The options of each namespace are checked where the file is read. */
function isNamespaces(value: unknown): value is Namespaces {
  return isObject(value);
}

function isWebUrl(value: string): boolean {
  return URL.canParse(value) && ["http:", "https:"].includes(new URL(value).protocol);
}
