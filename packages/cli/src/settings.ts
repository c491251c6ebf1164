import type { HubFileOptions } from "./hub-settings.ts";
import { flag, inFiles, isObject, type Kind, list, matching, oneOf, text, whole } from "./kinds.ts";
import type { Namespaces } from "./namespaces.ts";

/** What `tungstate serve` can be told, by flags, by the environment, and in a file. */
export interface ServeSettings {
  readonly host: string;
  readonly port: number;
  readonly origin: readonly string[];
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly trustProxy: readonly string[];
  readonly compression: boolean;
  readonly workers: number;
  /** seconds */
  readonly drain: number;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly redis: readonly string[];
  readonly redisPrefix: string;
  readonly tokenSecret: string | undefined;
  readonly tokenPublicKey: readonly string[];
  readonly tokenJwks: string | undefined;
  readonly tokenAudience: readonly string[];
  readonly tokenIssuer: readonly string[];
  readonly apiKey: readonly string[];
  readonly namespace: readonly string[];
  readonly namespaces: Namespaces;
  /** Options of the hub; in a file they stand beside the others. */
  readonly hub: HubFileOptions;
  readonly logLevel: string;
}

export type Name = Exclude<keyof ServeSettings, "hub">;

/** One of them, as it is documented and checked. */
export interface Setting<T> {
  readonly kind: Kind<T>;
  /** Of the flag, as in `--port <number>`; without: it is there or not. */
  readonly argument?: string;
  readonly help: string;
  readonly byDefault?: Extract<T, number | string>;
  /** Several flags, or elements of a list between commas in the environment. */
  readonly several?: true;
  /** What else is between them there, as their texts have commas in them. */
  readonly separator?: RegExp;
  /** Nothing of it is shown. */
  readonly secret?: true;
  /** Where it can be said. Default: everywhere. */
  readonly only?: "file" | "flags";
}

const several = true;
const secret = true;
const MOST_CONNECTIONS = 10_000_000;

const origins = list(
  matching("something like https://example.com, without a path, or `any`", isOrigin),
  'a list of origins such as "https://example.com", or "any"',
);
const texts = list(text, "a list of strings");

/** In the order in which they are documented. */
export const SETTINGS: { readonly [N in Name]: Setting<Exclude<ServeSettings[N], undefined>> } = {
  host: {
    // node:net takes an empty one for all addresses
    kind: matching("an address, or a name that is not empty", (value) => value !== ""),
    argument: "<address>",
    help: "the address to listen on; 0.0.0.0 or :: for all",
    byDefault: "127.0.0.1",
  },
  port: {
    kind: whole(0, 65_535),
    argument: "<number>",
    help: "the port to listen on; 0 picks a free one",
    byDefault: 8000,
  },
  origin: {
    kind: origins,
    argument: "<origin>",
    help: "pages that may connect beside those served here, as https://example.com, or `any`; may be given several times",
    several,
  },
  maxConnections: {
    kind: whole(1, MOST_CONNECTIONS),
    argument: "<count>",
    help: "WebSocket connections of each route at a time, in each worker; more get 503",
  },
  maxConnectionsPerAddress: {
    kind: whole(1, MOST_CONNECTIONS),
    argument: "<count>",
    help: "the same from one address; more get 429",
  },
  trustProxy: {
    kind: texts,
    argument: "<address>",
    help: "a proxy that is believed about its clients' addresses: an address, a network, or `loopback`; may be given several times",
    several,
  },
  compression: { kind: flag, help: "compress messages for clients that offer it (permessage-deflate)" },
  workers: {
    kind: whole(1, 1024),
    argument: "<count>",
    help: "processes that share the port, and all channels, so that several cores are used",
    byDefault: 1,
  },
  drain: {
    kind: whole(0, 3600),
    argument: "<seconds>",
    help: "how long clients have to go after SIGTERM or SIGINT",
    byDefault: 5,
  },
  tlsCert: { kind: text, argument: "<file>", help: "serve https: and wss: with the certificates in this PEM file" },
  tlsKey: {
    kind: text,
    argument: "<file>",
    help: "the private key that belongs to it, in PEM; SIGHUP reads both again",
  },
  redis: {
    kind: texts,
    argument: "<url>",
    help: "share channels through Redis: redis://, rediss://, redis+cluster:// or redis+sentinel://; several share the load",
    several,
    separator: /,(?=\s*\w[\w+]*:\/\/)/,
    secret,
  },
  redisPrefix: {
    kind: matching("a text without spaces that is not empty", (value) => /^\S+$/.test(value)),
    argument: "<prefix>",
    help: "what the names of all keys there begin with: servers with the same one are one hub",
    byDefault: "tungstate",
  },
  tokenSecret: {
    kind: text,
    argument: "<secret>",
    help: "the secret of tokens (HS256), of at least 32 bytes",
    secret,
  },
  tokenPublicKey: {
    kind: texts,
    argument: "<file>",
    help: "a public key of tokens (RS256, ES256, ES384, ES512 or EdDSA, as the key is), in PEM; may be given several times",
    several,
  },
  tokenJwks: {
    kind: matching("an http: or https: URL", isWebUrl),
    argument: "<url>",
    help: "where the public keys of tokens are fetched from, as a JWK set",
  },
  tokenAudience: { kind: texts, argument: "<name>", help: "what the claim `aud` of tokens has to have in it", several },
  tokenIssuer: { kind: texts, argument: "<name>", help: "what the claim `iss` of tokens has to be", several },
  apiKey: {
    kind: texts,
    argument: "<key>",
    help: "turn the HTTP API on, for callers with this key; may be given several times",
    several,
    secret,
  },
  namespace: {
    kind: texts,
    argument: "<name>",
    help: "a namespace beside `public`, whose channels take a token; may be given several times",
    several,
    only: "flags",
  },
  namespaces: { kind: inFiles("an object", isNamespaces), help: "namespaces and their options", only: "file" },
  logLevel: {
    kind: oneOf("silent", "error", "warn", "info", "debug"),
    argument: "<level>",
    help: "which log lines to write: silent, error, warn, info, debug",
    byDefault: "info",
  },
};

export const SETTING_NAMES: readonly Name[] = Object.keys(SETTINGS).filter((name): name is Name =>
  Object.hasOwn(SETTINGS, name),
);

/** `--max-connections` */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `TUNGSTATE_MAX_CONNECTIONS` */
export function variableOf(name: string): string {
  return `TUNGSTATE_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function isOrigin(value: string): boolean {
  return value === "any" || (URL.canParse(value) && new URL(value).origin === value);
}

/** What each of them has in it is looked at where the file is read. */
function isNamespaces(value: unknown): value is Namespaces {
  return isObject(value);
}

function isWebUrl(value: string): boolean {
  return URL.canParse(value) && ["http:", "https:"].includes(new URL(value).protocol);
}
