import { connectError } from "../errors.ts";
import type { ByteStream } from "../transport/byte-stream.ts";

/** A WebSocket URL, taken apart (RFC 6455 §3). */
export interface WebSocketUrl {
  /** Whether TLS belongs to it: `wss:`. */
  readonly secure: boolean;
  /** What the Host header says: with the port unless it is the scheme's own. */
  readonly host: string;
  /** Name or address without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Path and query. */
  readonly resource: string;
  /** The path of the Unix socket of a `ws+unix:` URL. */
  readonly socketPath: string | undefined;
  /** The value for an Authorization header if the URL has a user. */
  readonly authorization: string | undefined;
  /** For messages: without user and password. */
  readonly href: string;
}

const SECURE = new Map([
  ["ws:", false],
  ["wss:", true],
  ["http:", false],
  ["https:", true],
  ["ws+unix:", false],
  ["wss+unix:", true],
]);

/**
 * Takes `ws:`, `wss:`, `http:` and `https:` URLs, `ws+unix:/path/of/socket:/resource` and `wss+unix:`. Throws INVALID_URL. RFC 6455 §3: "Fragment identifiers are
 * meaningless in the context of WebSocket URIs and MUST NOT be used on these URIs."
 */
export function parseUrl(given: string | URL): WebSocketUrl {
  // not by what `new URL` throws, which has the whole text in it
  if (!URL.canParse(String(given))) {
    throw connectError("INVALID_URL", `expected something like wss://example.com/path, got ${shorten(String(given))}`);
  }
  const url = new URL(given);
  const secure = SECURE.get(url.protocol);
  if (secure === undefined) {
    throw connectError("INVALID_URL", `expected ws:, wss: or ws+unix:, got ${url.protocol}`);
  }
  if (url.hash !== "" || url.href.endsWith("#"))
    throw connectError("INVALID_URL", `a fragment (${url.hash || "#"}) has no meaning here`);
  const authorization = authorizationOf(url);
  if (url.protocol.endsWith("+unix:")) {
    const { socketPath, resource } = parseUnixPath(url);
    const host = url.host === "" ? "localhost" : url.host;
    const href = `${url.protocol}${url.pathname}`;
    return { secure, host, hostname: host, port: 0, resource, socketPath, authorization, href };
  }
  if (url.hostname === "") throw connectError("INVALID_URL", "there is no host in it");
  return {
    secure,
    host: url.host,
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    resource: url.pathname + url.search,
    socketPath: undefined,
    authorization,
    href: `${url.protocol}//${url.host}${url.pathname}`,
  };
}

/**
 * Splits the path of a `ws+unix:` URL at its first colon, as the npm package ws does: before it the path of the socket, behind it the path
 * of the resource, which may have colons of its own. A colon in the path of the socket is written `%3A`, the zero byte in front of the name
 * of an abstract socket (Linux) `%00`.
 */
function parseUnixPath(url: URL): { readonly socketPath: string; readonly resource: string } {
  const { pathname, search } = url;
  const colon = pathname.indexOf(":");
  const socketPath = decode(colon < 0 ? pathname : pathname.slice(0, colon), "the path of the socket");
  const path = colon < 0 ? "" : pathname.slice(colon + 1);
  if (socketPath === "" || (path !== "" && !path.startsWith("/"))) {
    throw connectError("INVALID_URL", `expected ws+unix:/path/of/socket:/resource, got ${shorten(pathname)}`);
  }
  if (socketPath.includes("\0", 1)) {
    throw connectError(
      "INVALID_URL",
      `the path of the socket has a zero byte (%00) behind its start: ${shorten(pathname)}`,
    );
  }
  // a URL whose path begins with no slash keeps its spaces
  return { socketPath, resource: (path === "" ? "/" : path.replaceAll(" ", "%20")) + search };
}

/** RFC 7617 §2: base64 of user, a colon and password in UTF-8. */
function authorizationOf(url: URL): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  const pair = `${decode(url.username, "the user")}:${decode(url.password, "the password")}`;
  return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw connectError("INVALID_URL", `${what} has a percent sign that encodes nothing`, { cause });
  }
}

/** For messages: without what may be a password, and not too much of it. */
function shorten(text: string): string {
  const bare = text.replace(/\/\/.*@/s, "//");
  return JSON.stringify(bare.length <= 80 ? bare : `${bare.slice(0, 80)}...`);
}

/** Whether a byte stream says that it is encrypted, as `tls.TLSSocket` does. Other streams can by a property `encrypted: true`. */
export function isEncrypted(stream: ByteStream): boolean {
  return stream instanceof Object && "encrypted" in stream && stream.encrypted === true;
}
