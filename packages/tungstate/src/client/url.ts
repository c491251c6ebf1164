import { connectError } from "../errors.ts";
import type { ByteStream } from "../transport/byte-stream.ts";

/** The parts of a WebSocket URL (RFC 6455 §3). */
export interface WebSocketUrl {
  /** Whether the scheme is `wss:`. */
  readonly secure: boolean;
  /** Value of the Host field: with the port, unless it is the default of the scheme. */
  readonly host: string;
  /** Host name or IP address, without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Path and query. */
  readonly resource: string;
  /** Path of the Unix socket of a `ws+unix:` URL. */
  readonly socketPath: string | undefined;
  /** Value of the Authorization field, if the URL has a user. */
  readonly authorization: string | undefined;
  /** The URL without user and password, for messages. */
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
 * Parses a `ws:`, `wss:`, `http:` or `https:` URL, `ws+unix:/path/of/socket:/resource` or
 * `wss+unix:`. Throws INVALID_URL. RFC 6455 §3: "Fragment identifiers are meaningless in the
 * context of WebSocket URIs and MUST NOT be used on these URIs."
 */
export function parseUrl(given: string | URL): WebSocketUrl {
  // the error of `new URL` contains the whole text
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
  if (url.port === "0") throw connectError("INVALID_URL", "its port is 0");
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
 * Splits the path of a `ws+unix:` URL at its first colon, as the npm package ws does: the path of
 * the socket, and the path of the resource, which may contain colons. In the path of the socket,
 * `%3A` is a colon, and a leading `%00` marks the name of an abstract socket (Linux).
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
  // the URL parser keeps spaces in a path without a leading slash
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

/** Shortens a URL for a message and removes what may be a password. */
function shorten(text: string): string {
  const bare = text.replace(/\/\/.*@/s, "//");
  return JSON.stringify(bare.length <= 80 ? bare : `${bare.slice(0, 80)}...`);
}

/**
 * Whether a byte stream is encrypted: a `tls.TLSSocket`, or another stream with the property
 * `encrypted: true`.
 */
export function isEncrypted(stream: ByteStream): boolean {
  return stream instanceof Object && "encrypted" in stream && stream.encrypted === true;
}
