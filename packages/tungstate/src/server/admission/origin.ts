import type { UpgradeRequest } from "@tungstate/protocol";

/**
 * Web pages that may connect. `same`: pages of the host that the request was sent to. `any`: every
 * page. Otherwise a list of origins, or a function, async or not, of which only `true`, or a
 * promise of it, admits. A request without Origin does not come from a browser and passes.
 */
export type OriginPolicy =
  "same" | "any" | readonly string[] | ((origin: string, host: string) => boolean | PromiseLike<boolean>);

const DEFAULT_PORTS = new Map([
  ["http:", "80"],
  ["https:", "443"],
]);

/**
 * Returns whether a request may connect. Of a function, returns its result: a thenable, or any
 * value, of which only `true` admits. RFC 6455 §10.2: servers "SHOULD verify the |Origin| field is
 * an origin they expect." `encrypted`: the request came over TLS.
 */
export function mayConnect(
  policy: OriginPolicy,
  { origin, host }: Pick<UpgradeRequest, "origin" | "host">,
  encrypted: boolean,
): unknown {
  if (origin === undefined || policy === "any") return true;
  if (typeof policy === "function") return policy(origin, host);
  const url = parseOrigin(origin);
  if (url === undefined) return false; // "null" and other values that are not an origin
  if (policy === "same") return sameHost(url, host) && (url.protocol === "https:" || !encrypted);
  return policy.some((allowed) => {
    const other = parseOrigin(allowed);
    return other !== undefined && other.protocol === url.protocol && authority(other) === authority(url);
  });
}

/** Parses an origin: scheme, host, and an optional port. Returns undefined for anything else. */
export function parseOrigin(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const bare = url.pathname === "/" || url.pathname === "";
  if (!bare || url.search !== "" || url.hash !== "" || url.username !== "" || url.password !== "" || url.host === "") {
    return undefined;
  }
  return /[/?#@\\]$/.test(text) ? undefined : url;
}

function authority(url: URL): string {
  return `${url.hostname}:${url.port || (DEFAULT_PORTS.get(url.protocol) ?? "")}`;
}

/**
 * Whether the origin is of this host. Behind a proxy that ends TLS the server cannot know its own
 * scheme, so the scheme of the origin applies to Host too (unless TLS reaches this server):
 * `https://example.com` matches `example.com` and `example.com:443`, and no other port.
 */
function sameHost(origin: URL, host: string): boolean {
  if (!DEFAULT_PORTS.has(origin.protocol)) return false;
  const own = `${origin.protocol}//${host}`;
  return URL.canParse(own) && authority(new URL(own)) === authority(origin);
}
