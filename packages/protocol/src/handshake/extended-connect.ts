import { quote } from "../arguments.ts";
import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { HeaderFields } from "./header-fields.ts";
import type { HttpResponse } from "./refusal.ts";
import { agree } from "./server-handshake.ts";
import type { AcceptOptions, Agreement, ServerNegotiation } from "./server-handshake.ts";
import { isAuthority, parseTarget } from "./target.ts";
import { checkOffer, checkVersion } from "./upgrade-request.ts";
import type { HandshakeOffer } from "./upgrade-request.ts";

/** Header fields of HTTP/2: names in lower case, pseudo-header fields first. */
export type Http2Fields = readonly (readonly [name: string, value: string])[];

/** A request for a WebSocket over HTTP/2 (RFC 8441) that was found to be in order. */
export interface ConnectRequest extends HandshakeOffer {
  /** The method, always CONNECT. */
  readonly method: "CONNECT";
  /** Whether the scheme is https. */
  readonly encrypted: boolean;
  /** Path and query. */
  readonly target: string;
  /** Host and port as the client named them. */
  readonly host: string;
  /** The header fields, without the pseudo-header fields. */
  readonly headers: HeaderFields;
}

/**
 * Returns whether a request is an extended CONNECT. RFC 8441 §4: "A new pseudo-header field
 * :protocol MAY be included on request HEADERS indicating the desired protocol to be spoken on the
 * tunnel created by CONNECT."
 */
export function isExtendedConnect(fields: Http2Fields): boolean {
  return fields.some(([name]) => name === ":protocol");
}

/**
 * RFC 9113 §8.2.2: fields that belong to one connection, and make a message of HTTP/2 malformed.
 */
export const CONNECTION_FIELDS = [
  "connection",
  "upgrade",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
] as const;
const PSEUDO_FIELDS: ReadonlySet<string> = new Set([":method", ":protocol", ":scheme", ":path", ":authority"]);

/**
 * Checks a request against RFC 8441 §4 and §5. The error's `status` is that of the response: see
 * `refusalFor`.
 */
export function checkConnect(fields: Http2Fields): ConnectRequest | WebSocketError<ProtocolErrorCode> {
  const pseudo = new Map<string, string>();
  const rest: (readonly [string, string])[] = [];
  for (const [name, value] of fields) {
    if (!name.startsWith(":")) rest.push([name, value]);
    // RFC 9113 §8.3: "Endpoints MUST treat a request [...] that contains undefined or invalid
    // pseudo-header fields as malformed"
    else if (!PSEUDO_FIELDS.has(name) || pseudo.has(name) || rest.length > 0) return malformed(quote(name));
    else pseudo.set(name, value);
  }
  const method = pseudo.get(":method");
  if (method !== "CONNECT") return protocolError("METHOD_NOT_CONNECT", shown(method));
  const protocol = pseudo.get(":protocol");
  if (protocol !== "websocket") return protocolError("UNSUPPORTED_PROTOCOL", shown(protocol));
  // RFC 8441 §4: "On requests that contain the :protocol pseudo-header field, the :scheme and :path
  // pseudo-header fields [...] MUST also be included." §5: the scheme is "https" for wss and "http"
  // for ws
  const scheme = pseudo.get(":scheme");
  if (scheme !== "https" && scheme !== "http") return malformed(`:scheme, ${shown(scheme)}`);
  const path = pseudo.get(":path");
  const target = path?.startsWith("/") === true ? parseTarget(path) : undefined;
  if (target === undefined) return malformed(`:path, ${shown(path)}`);
  const host = pseudo.get(":authority");
  if (host === undefined || !isAuthority(host)) return protocolError("INVALID_HOST", `:authority, ${shown(host)}`);

  const headers = new HeaderFields(withOneCookie(rest));
  const forbidden = CONNECTION_FIELDS.find((name) => headers.has(name));
  if (forbidden !== undefined) return malformed(forbidden);
  // RFC 9113 §8.3.1: "A server SHOULD treat a request as malformed if it contains a Host header
  // field that identifies an entity that differs from the entity in the ":authority" pseudo-header
  // field."
  const hosts = headers.getAll("host");
  if (hosts.some((each) => each !== host)) return protocolError("INVALID_HOST", shown(hosts.join(", ")));
  // DATA frames carry the WebSocket
  const length = headers.get("content-length");
  if (length !== undefined && length !== "0") return protocolError("UNEXPECTED_BODY");
  const version = checkVersion(headers);
  if (version !== undefined) return version;
  const offer = checkOffer(headers);
  if (offer instanceof Error) return offer;
  return { method, encrypted: scheme === "https", target: target.resource, host, headers, ...offer };
}

/** An accepted request. */
export interface AcceptedConnect extends Agreement {
  /** The fields of the response. */
  readonly fields: Http2Fields;
}

/**
 * Agrees to a request that `checkConnect` has passed. RFC 8441 §5: status 200, and neither Key nor
 * Accept. Throws INVALID_ARGUMENT for a subprotocol that was not offered and for header fields that
 * can't be sent.
 */
export function acceptConnect(
  request: ConnectRequest,
  negotiation: Pick<ServerNegotiation, "extensions">,
  options: AcceptOptions = {},
): AcceptedConnect {
  const { fields, ...agreement } = agree(request, negotiation, options);
  return { ...agreement, fields: [[":status", "200"], ...fields.map(lowerCase)] };
}

/**
 * Returns the fields of a response that refuses a request: those of HTTP/1.1 without what belongs
 * to its connection.
 */
export function refuseConnect({ status, headers }: HttpResponse): Http2Fields {
  const kept = headers.map(lowerCase).filter(([name]) => !CONNECTION_FIELDS.some((each) => each === name));
  return [[":status", String(status)], ...kept];
}

/**
 * RFC 9113 §8.2: "Field names MUST be converted to lowercase when constructing an HTTP/2 message."
 */
export function lowerCase([name, value]: readonly [string, string]): readonly [string, string] {
  return [name.toLowerCase(), value];
}

/**
 * RFC 9113 §8.2.3: multiple Cookie fields "MUST be concatenated into a single octet string using
 * the two-octet delimiter of 0x3b, 0x20". Clients split them to compress them better.
 */
function withOneCookie(fields: Http2Fields): Http2Fields {
  const cookies = fields.filter(([name]) => name === "cookie");
  if (cookies.length < 2) return fields;
  const [first] = cookies;
  const cookie = ["cookie", cookies.map(([, value]) => value).join("; ")] as const;
  return fields
    .filter((field) => field === first || field[0] !== "cookie")
    .map((each) => (each === first ? cookie : each));
}

function malformed(what: string): WebSocketError<ProtocolErrorCode> {
  return protocolError("MALFORMED_HEAD", what);
}

function shown(value: string | undefined): string {
  return value === undefined ? "got none" : `got ${quote(value)}`;
}
