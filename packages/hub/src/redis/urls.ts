import { argumentError } from "tungstate/internal";
/** One host of a deployment. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A Redis as a URL names it. */
export interface RedisUrl {
  readonly kind: "single" | "cluster" | "sentinel";
  readonly tls: boolean;
  /** The servers to ask: one for a single Redis, sentinels for "sentinel". */
  readonly hosts: readonly Address[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  /** Name of the primary at the sentinels; "" without sentinels. */
  readonly master: string;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** Name for sharding: the fragment of the URL, or the URL without credentials. */
  readonly name: string;
}

const FORM =
  /^(rediss?)(?:\+(cluster|sentinel))?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?(?:#(.+))?$/;
const HOST = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;

/**
 * `redis://[user:password@]host[:port][/db]`, `redis+cluster://h1,h2,h3`,
 * `redis+sentinel://h1,h2/master[/db]`; with `rediss` instead of `redis` over TLS. Sentinels' own
 * credentials: `?sentinelUsername=..&sentinelPassword=..`. Throws a TypeError without the
 * credentials in it.
 */
export function parseRedisUrl(url: string): RedisUrl {
  const [, scheme, suffix, credentials = "", list = "", path = "", query = "", fragment] = FORM.exec(url) ?? [];
  if (scheme === undefined) {
    throw argumentError(
      TypeError,
      `a Redis URL must begin with redis://, rediss://, redis+cluster:// or redis+sentinel://, got ${JSON.stringify(withoutCredentials(url))}`,
    );
  }
  const fail = (expected: string): never => {
    throw argumentError(TypeError, `${expected}, got ${JSON.stringify(withoutCredentials(url))}`);
  };
  const kind = suffix === "cluster" || suffix === "sentinel" ? suffix : "single";
  const hosts = list.split(",").map((each): Address => {
    const [, v6, name, port] = HOST.exec(each) ?? [];
    const host = v6 ?? name ?? fail("a Redis URL has hosts as host:port");
    const number = port === undefined ? (kind === "sentinel" ? 26_379 : 6379) : Number(port);
    if (number < 1 || number > 65_535) fail("a port is from 1 to 65535");
    return { host, port: number };
  });
  if (kind === "single" && hosts.length > 1) fail("redis:// has one host; several are for redis+cluster:// or shards");
  const parts = path === "" ? [] : path.split("/");
  const master = kind === "sentinel" ? decode(parts.shift() ?? "") : "";
  if (kind === "sentinel" && master === "") fail("redis+sentinel:// ends with the name of the primary");
  const [db = "0", ...rest] = parts;
  if (rest.length > 0 || !/^\d+$/.test(db)) fail("the path of a Redis URL is the number of a database");
  if (kind === "cluster" && db !== "0") fail("a cluster has no databases");
  const params = new URLSearchParams(query);
  const known = kind === "sentinel" ? ["sentinelUsername", "sentinelPassword"] : [];
  if ([...params.keys()].some((key) => !known.includes(key))) {
    const parameters = "sentinelUsername and sentinelPassword";
    fail(`a Redis URL has no query${kind === "sentinel" ? ` parameters but ${parameters}` : ""}`);
  }
  const colon = credentials.indexOf(":");
  return {
    kind,
    tls: scheme === "rediss",
    hosts,
    username: decode(colon < 0 ? credentials : credentials.slice(0, colon)) || undefined,
    password: (colon < 0 ? "" : decode(credentials.slice(colon + 1))) || undefined,
    db: Number(db),
    master,
    sentinelUsername: params.get("sentinelUsername") ?? undefined,
    sentinelPassword: params.get("sentinelPassword") ?? undefined,
    name: fragment ?? `${list}/${path}`,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw argumentError(
      TypeError,
      "a percent sign in a Redis URL must be followed by two hexadecimal digits: encode % as %25",
    );
  }
}

/**
 * Returns a URL without the part before its last @ and without its query, for error messages. A
 * password may contain a ? that is not encoded.
 */
function withoutCredentials(url: string): string {
  const at = url.lastIndexOf("@");
  const [plain = ""] = url.slice(at + 1).split("?");
  return at < 0 ? plain : `${/^[a-z+]*:\/\//.exec(url)?.[0] ?? ""}...@${plain}`;
}

/** Returns the URL without credentials, for messages. */
export function describeRedis({ kind, tls, hosts, master, db }: RedisUrl): string {
  const scheme = `${tls ? "rediss" : "redis"}${kind === "single" ? "" : `+${kind}`}`;
  const list = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(",");
  return `${scheme}://${list}${master === "" ? "" : `/${master}`}${db === 0 ? "" : `/${db}`}`;
}
