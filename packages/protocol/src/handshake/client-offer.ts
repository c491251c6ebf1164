import { argumentError, describe, invalidOption, quote } from "../arguments.ts";
import { protocolError } from "../errors.ts";
import type { ProtocolErrorCode, WebSocketError } from "../errors.ts";
import { acceptAnswer, checkExtensions, formatExtensions } from "./extensions.ts";
import type { ClientExtension } from "./extensions.ts";
import { isToken, parseTokenList } from "./header-fields.ts";
import type { HeaderFields } from "./header-fields.ts";
import { checkFieldValue, checkHeaders } from "./outgoing-headers.ts";
import type { HeaderInput } from "./outgoing-headers.ts";
import type { Agreement } from "./server-handshake.ts";
import { isAuthority, parseTarget } from "./target.ts";

/** What a client asks for, in every version of HTTP. */
export interface ClientOffer {
  /**
   * Host, and port if it is not the scheme's own: "example.com:8080". A Host among `headers` takes
   * its place.
   */
  readonly host: string;
  /** Path and query: "/chat?room=1". */
  readonly target: string;
  /** Sent as Origin. Default none. */
  readonly origin?: string | undefined;
  /** Subprotocols, most wanted first. Default none. */
  readonly protocols?: readonly string[] | undefined;
  /** More header fields, but none that the handshake sets itself. */
  readonly headers?: HeaderInput | undefined;
  /** Extensions to offer, most wanted first. Default none. */
  readonly extensions?: readonly ClientExtension[] | undefined;
}

/** Throws INVALID_ARGUMENT. */
export function checkTarget(target: string): string {
  if (typeof target !== "string" || !target.startsWith("/") || parseTarget(target) === undefined) {
    throw invalidOption("target", "a path with an optional query, in visible ASCII without #", target);
  }
  return target;
}

/** Throws INVALID_ARGUMENT. */
export function checkProtocols(protocols: readonly string[]): readonly string[] {
  if (!Array.isArray(protocols)) throw invalidOption("protocols", "an array of tokens", protocols);
  for (const protocol of protocols) {
    if (typeof protocol !== "string" || !isToken(protocol))
      throw invalidOption("each of protocols", "a token", protocol);
  }
  // RFC 6455 §4.1: the elements "MUST all be unique strings"
  const twice = protocols.find((protocol, at) => protocols.indexOf(protocol) !== at);
  if (twice !== undefined) throw invalidOption("each of protocols", "distinct", twice);
  return [...protocols];
}

/** Throws INVALID_ARGUMENT. */
export function checkOffers(extensions: readonly ClientExtension[]): readonly ClientExtension[] {
  checkExtensions(extensions);
  for (const { name, offers } of extensions) {
    const other = offers.find((offer) => offer.name !== name);
    if (other !== undefined) throw invalidOption(`the name in each offer of ${name}`, JSON.stringify(name), other.name);
  }
  return [...extensions];
}

function checkHost(what: string, host: string): string {
  if (typeof host === "string" && isAuthority(host)) return host;
  throw invalidOption(what, "a host with an optional port", host);
}

/**
 * Returns the host, and the fields that a request of any version of HTTP has. Throws
 * INVALID_ARGUMENT for what can't be sent.
 */
export function offerFields(options: ClientOffer): {
  readonly host: string;
  readonly fields: (readonly [name: string, value: string])[];
} {
  const { origin, protocols = [], extensions = [] } = options;
  const own = checkHeaders(options.headers);
  const named = (wanted: string) => own.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
  const [host = options.host, ...more] = named("host");
  if (more.length > 0) throw argumentError(TypeError, `headers must have at most one Host, got ${describe(more[0])}`);
  const fields: (readonly [string, string])[] = [["Sec-WebSocket-Version", "13"]];
  const origins = named("origin");
  if (origin !== undefined) {
    checkFieldValue("origin", origin);
    origins.push(origin);
    fields.push(["Origin", origin]);
  }
  if (origins.length > 1)
    throw argumentError(TypeError, `headers must have at most one Origin, got ${describe(origins.join(", "))}`);
  if (protocols.length > 0) fields.push(["Sec-WebSocket-Protocol", protocols.join(", ")]);
  const offers = formatExtensions(extensions.flatMap((extension) => extension.offers));
  if (offers !== "") fields.push(["Sec-WebSocket-Extensions", offers]);
  const others = own.filter(([name]) => name.toLowerCase() !== "host");
  return { host: checkHost("host", host), fields: [...fields, ...others] };
}

/** Reads what the server chose: items 5 and 6 of what a client validates (RFC 6455 §4.1). */
export function checkAnswer(
  offered: readonly ClientExtension[],
  protocols: readonly string[],
  headers: HeaderFields,
): Agreement | WebSocketError<ProtocolErrorCode> {
  // 5. "an extension that was not present in the client's handshake"
  const extensions = acceptAnswer(offered, headers.get("sec-websocket-extensions"));
  if (extensions instanceof Error) return extensions;
  // 6. "a subprotocol that was not present in the client's handshake"
  const value = headers.get("sec-websocket-protocol");
  const protocol = chosenProtocol(protocols, value ?? "");
  if (protocol === undefined) return protocolError("UNREQUESTED_SUBPROTOCOL", `got ${quote(value ?? "")}`);
  return { protocol, extensions, extensionsHeader: formatExtensions(extensions) };
}

/**
 * The subprotocol that a server's value names: "" if the value is an empty list, undefined if it is
 * not one that was offered.
 */
function chosenProtocol(protocols: readonly string[], value: string): string | undefined {
  const [chosen = "", ...others] = parseTokenList(value) ?? [value];
  if (chosen === "") return chosen;
  return others.length === 0 && protocols.includes(chosen) ? chosen : undefined;
}
