import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { isKey } from "./accept-key.ts";
import { parseExtensions } from "./extensions.ts";
import type { ExtensionOffer } from "./extensions.ts";
import { hasToken, parseTokenList } from "./header-fields.ts";
import type { HeaderFields } from "./header-fields.ts";
import { isAuthority, parseTarget } from "./target.ts";
import { quote } from "../arguments.ts";

/** What a client's opening handshake says in every version of HTTP. */
export interface HandshakeOffer {
  /** Undefined if the client sent none, as clients other than browsers do. */
  readonly origin: string | undefined;
  /** The subprotocols offered, most wanted first. */
  readonly protocols: readonly string[];
  /** The extensions offered, most wanted first. */
  readonly offers: readonly ExtensionOffer[];
}

/** A client's opening handshake (RFC 6455 §4.2.1) that was found to be in order. */
export interface UpgradeRequest extends HandshakeOffer {
  /** The method, always GET. */
  readonly method: "GET";
  /** Path and query, also where the request named a whole URL. */
  readonly target: string;
  /** Host and port as the client named them: of the URL if the target is one, else of Host. */
  readonly host: string;
  /** The header fields. */
  readonly headers: HeaderFields;
  /** The value of Sec-WebSocket-Key. */
  readonly key: string;
}

/** What of a request head is looked at: a RequestHead, or made of node:http's IncomingMessage. */
export interface UpgradeHead {
  /** The method. */
  readonly method: string;
  /** The request target. */
  readonly target: string;
  /** "1.1". */
  readonly version: string;
  /** The header fields. */
  readonly headers: HeaderFields;
}

// all share them
const NO_PROTOCOLS: readonly string[] = Object.freeze([]);
const NO_OFFERS: readonly ExtensionOffer[] = Object.freeze([]);

/** What of a request says whether it asks for an upgrade to WebSocket. */
export interface UpgradeFields {
  /** "1.1". */
  readonly version: string;
  /** The value of a field, joined by ", " where it came more than once. `name` is in lower case. */
  readonly headers: { get(name: string): string | undefined };
}

/**
 * Returns whether a request asks for an upgrade to WebSocket, rightly or not. All others are
 * ordinary HTTP requests, an upgrade to something else included. RFC 9110 §7.8: "A server MAY
 * ignore a received Upgrade header field if it wishes to continue using the current protocol on
 * that connection."
 */
export function isWebSocketUpgrade({ version, headers }: UpgradeFields): boolean {
  // "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request."
  if (version === "1.0") return false;
  // "The Upgrade header field value contains a list of protocols"; "A sender of Upgrade MUST also
  // send an "Upgrade" connection option"
  return hasToken(headers.get("upgrade"), "websocket") && hasToken(headers.get("connection"), "upgrade");
}

function shown(value: string | undefined): string {
  return value === undefined ? "got none" : `got ${quote(value)}`;
}

/**
 * Checks a request against RFC 6455 §4.2.1: "If the server, while reading the handshake, finds that
 * the client did not send a handshake that matches the description below [...], the server MUST
 * stop processing the client's handshake and return an HTTP response with an appropriate error
 * code". The error's `status` is that code; `refusalFor` makes the response.
 */
export function checkUpgrade(head: UpgradeHead): UpgradeRequest | WebSocketError<ProtocolErrorCode> {
  const { method, version, headers } = head;
  // 1. "An HTTP/1.1 or higher GET request, including a "Request-URI""
  if (version !== "1.1") return protocolError("UNSUPPORTED_HTTP_VERSION", `got HTTP/${quote(version)}`);
  if (method !== "GET") return protocolError("METHOD_NOT_GET", shown(method));
  const target = parseTarget(head.target);
  if (target === undefined) return protocolError("MALFORMED_HEAD", `the target ${quote(head.target)}`);

  // 2. "A |Host| header field containing the server's authority."
  const hosts = headers.getAll("host");
  if (hosts.length !== 1 || !isAuthority(hosts[0])) return protocolError("INVALID_HOST", shown(headers.get("host")));

  // 3. "An |Upgrade| header field containing the value "websocket", treated as an ASCII
  // case-insensitive value."
  const upgrade = headers.get("upgrade");
  if (!hasToken(upgrade, "websocket")) return protocolError("NOT_AN_UPGRADE", `Upgrade: ${shown(upgrade)}`);
  // 4. "A |Connection| header field that includes the token "Upgrade", treated as an ASCII
  // case-insensitive value."
  const connection = headers.get("connection");
  if (!hasToken(connection, "upgrade")) return protocolError("NOT_AN_UPGRADE", `Connection: ${shown(connection)}`);

  // Bytes after the head are frames. If the head announced a body, an intermediary would read them
  // as that.
  const length = headers.get("content-length");
  if (headers.has("transfer-encoding") || (length !== undefined && length !== "0")) {
    return protocolError("UNEXPECTED_BODY");
  }

  // 6. "A |Sec-WebSocket-Version| header field, with a value of 13." Before the key, whose form
  // belongs to the version (§4.4).
  const version13 = checkVersion(headers);
  if (version13 !== undefined) return version13;
  // 5. "A |Sec-WebSocket-Key| header field with a base64-encoded [...] value that, when decoded, is
  // 16 bytes in length."
  const keys = headers.getAll("sec-websocket-key");
  if (keys.length !== 1 || !isKey(keys[0])) {
    return protocolError("INVALID_KEY", shown(headers.get("sec-websocket-key")));
  }

  const offer = checkOffer(headers);
  if (offer instanceof Error) return offer;
  // RFC 9112 §3.2.2: with an absolute target, the origin server "MUST ignore the received Host
  // header field"
  const host = target.authority ?? hosts[0];
  return { method, target: target.resource, host, headers, key: keys[0], ...offer };
}

/** Checks Sec-WebSocket-Version. */
export function checkVersion(headers: HeaderFields): WebSocketError<ProtocolErrorCode> | undefined {
  const wanted = headers.get("sec-websocket-version");
  return wanted === "13" ? undefined : protocolError("UNSUPPORTED_VERSION", shown(wanted));
}

/** Reads items 7 to 9 of RFC 6455 §4.2.1. */
export function checkOffer(headers: HeaderFields): HandshakeOffer | WebSocketError<ProtocolErrorCode> {
  // 7. "Optionally, an |Origin| header field." Two would let one pass a check that is made for the
  // other.
  const origins = headers.getAll("origin");
  if (origins.length > 1) return protocolError("INVALID_ORIGIN", shown(headers.get("origin")));

  // 8. "Optionally, a |Sec-WebSocket-Protocol| header field"; §4.1: its elements "MUST all be
  // unique strings"
  const named = headers.get("sec-websocket-protocol");
  const protocols = named === undefined ? NO_PROTOCOLS : parseTokenList(named);
  if (protocols === undefined || (protocols.length > 1 && new Set(protocols).size < protocols.length)) {
    return protocolError("INVALID_SUBPROTOCOL", shown(named));
  }

  // 9. "Optionally, a |Sec-WebSocket-Extensions| header field"; §9.1: malformed data "MUST
  // immediately _Fail the WebSocket Connection_"
  const extensions = headers.get("sec-websocket-extensions");
  const offers = extensions === undefined ? NO_OFFERS : parseExtensions(extensions);
  if (offers === undefined) return protocolError("INVALID_EXTENSIONS", shown(extensions));
  return { origin: origins[0], protocols, offers };
}

/**
 * Returns the first subprotocol, in the order of the server, that the client has offered; undefined
 * if there is none.
 */
export function chooseProtocol(offered: readonly string[], supported: readonly string[]): string | undefined {
  return supported.find((protocol) => offered.includes(protocol));
}
