import type { RejectedResponse } from "@tungstate/protocol";
import { isUtf8 } from "node:buffer";
import { connectError } from "../errors.ts";
import { parseUrl, type WebSocketUrl } from "./url.ts";

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]); // RFC 9110 §15.4

const MAX_SHOWN = 200; // characters of a Location in an error

/** Whether a response is a redirect. */
export function isRedirect({ status, headers }: RejectedResponse): boolean {
  return REDIRECTS.has(status) && headers.has("location");
}

/**
 * Returns the URL that a redirect from `from` leads to. Throws REDIRECT_INVALID if Location is not
 * a WebSocket URL, and REDIRECT_INSECURE for a redirect from `wss:` to `ws:`.
 */
export function redirectTarget(from: WebSocketUrl, { headers }: RejectedResponse): WebSocketUrl {
  const [value = "", ...others] = headers.getAll("location");
  if (others.some((other) => other !== value)) throw invalid("there are several Location headers", value);
  const location = decodeLocation(value);
  let next: WebSocketUrl;
  try {
    const url = new URL(location, `${from.secure ? "wss" : "ws"}://${from.host}${from.resource}`);
    // RFC 9110 §10.2.2 allows a fragment in Location; RFC 6455 §3: fragments "MUST NOT be used on
    // these URIs"
    url.hash = "";
    next = parseUrl(url);
  } catch (cause) {
    throw invalid("expected a ws:, wss:, http: or https: URL, or a path", value, cause);
  }
  // a path refers to the same Unix socket
  if (from.socketPath !== undefined && next.host === from.host && !URL.canParse(location)) {
    return { ...next, socketPath: from.socketPath, port: from.port };
  }
  // another host must not choose a socket of this machine
  if (next.socketPath !== undefined) throw connectError("REDIRECT_INVALID", "to a Unix socket");
  if (from.secure && !next.secure) throw connectError("REDIRECT_INSECURE", next.href);
  return next;
}

/** Whether two URLs have the same origin, so that credentials may be sent to both. */
export function isSameOrigin(one: WebSocketUrl, other: WebSocketUrl): boolean {
  return one.secure === other.secure && one.host === other.host && one.socketPath === other.socketPath;
}

/**
 * Decodes a Location. RFC 9110 §10.2.2 requires a URI reference, which is ASCII, but some servers
 * send UTF-8. A header value has one character per byte: bytes that are valid UTF-8 are decoded,
 * other bytes above 0x7f are percent-encoded.
 */
function decodeLocation(value: string): string {
  const bytes = Buffer.from(value, "latin1");
  if (isUtf8(bytes)) return bytes.toString("utf8");
  return value.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

function invalid(detail: string, location: string, cause?: unknown): Error {
  const shown = JSON.stringify(location.slice(0, MAX_SHOWN)).replace(
    /[\x7f-\xff]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16)}`,
  );
  return connectError("REDIRECT_INVALID", `${detail}, got ${shown}`, { cause });
}
