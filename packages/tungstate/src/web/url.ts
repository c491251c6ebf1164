import { toDomString, toUsvString } from "./web-idl.ts";

/**
 * Returns the URL of a WebSocket, relative to `location.href` where the platform has one. Throws a
 * SyntaxError DOMException for an invalid URL, another scheme or a fragment.
 */
export function parseWebSocketUrl(given: unknown): URL {
  const text = toUsvString(given);
  const base = baseUrl();
  if (!URL.canParse(text, base)) throw new DOMException(`invalid URL: ${shorten(text)}`, "SyntaxError");
  const url = new URL(text, base);
  // "If urlRecord's scheme is "http", then set urlRecord's scheme to "ws"."
  if (url.protocol === "http:") url.protocol = "ws:";
  else if (url.protocol === "https:") url.protocol = "wss:";
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new DOMException(
      `the scheme of the URL must be ws, wss, http or https, got ${url.protocol.slice(0, -1)}`,
      "SyntaxError",
    );
  }
  // an empty fragment counts too
  if (url.hash !== "" || url.href.endsWith("#")) throw new DOMException("the URL must have no fragment", "SyntaxError");
  return url;
}

function baseUrl(): string | undefined {
  try {
    const { location } = globalThis as { location?: { href?: unknown } };
    return typeof location?.href === "string" ? location.href : undefined;
  } catch {
    return undefined; // Deno has none without --location
  }
}

/**
 * Returns the value of the Origin field where the platform has a `location` over HTTP (Fetch,
 * "append a request `Origin` header").
 */
export function pageOrigin(): string | undefined {
  const base = baseUrl();
  if (base === undefined || !URL.canParse(base)) return undefined;
  const { origin, protocol } = new URL(base);
  return protocol === "http:" || protocol === "https:" ? origin : undefined;
}

/** Shortens a URL for a message and removes credentials. */
function shorten(text: string): string {
  const bare = text.replace(/\/\/.*@/s, "//");
  return JSON.stringify(bare.length <= 80 ? bare : `${bare.slice(0, 80)}...`);
}

// RFC 6455 §4.1: "non-empty strings with characters in the range U+0021 to U+007E not including
// separator characters as defined in [RFC2616] and MUST all be unique strings"
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Throws a SyntaxError DOMException for subprotocols that are no tokens or are not unique. Upper
 * and lower case are the same, as in the Web Platform Tests.
 */
export function checkSubprotocols(protocols: readonly string[]): void {
  const seen = new Set<string>();
  for (const protocol of protocols) {
    if (!TOKEN.test(protocol)) {
      throw new DOMException(`invalid subprotocol: ${JSON.stringify(protocol)}`, "SyntaxError");
    }
    const name = protocol.toLowerCase();
    if (seen.has(name)) throw new DOMException(`duplicate subprotocol: ${protocol}`, "SyntaxError");
    seen.add(name);
  }
}

/**
 * Returns the subprotocols of the constructor's second argument: `(DOMString or
 * sequence<DOMString>)`.
 */
export function toSubprotocols(given: unknown): string[] {
  if (given === undefined) return [];
  const isSequence = typeof given === "object" && given !== null && Symbol.iterator in given;
  return isSequence ? Array.from(given as Iterable<unknown>, toDomString) : [toDomString(given)];
}

// Fetch, "port blocking": a "bad port" is a network error.
const BAD_PORTS: ReadonlySet<number> = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
  111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
  540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
  6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

/** Whether Fetch blocks the port of this URL. */
export function hasBadPort(url: URL): boolean {
  return url.port !== "" && BAD_PORTS.has(Number(url.port));
}
