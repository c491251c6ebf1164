import { codes, consistsOf } from "./header-fields.ts";

const LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const DIGIT_CODES: Uint8Array = codes("0123456789");
/** RFC 3986 §3.2.2. */
const REG_NAME_CODES: Uint8Array = codes(`${LETTERS_AND_DIGITS}-._~%!$&'()*+,;=`);
const IP_LITERAL_CODES: Uint8Array = codes("0123456789ABCDEFabcdef:.");
const LARGEST_PORT = 65535;

/** RFC 3986 §3.2: a host that is not empty, and a port if there is one. No user, no password. */
export function isAuthority(text: string): boolean {
  const bracket = text.startsWith("[") ? text.indexOf("]") : -1;
  const colon = text.indexOf(":", bracket + 1);
  const hostEnd = colon === -1 ? text.length : colon;
  const port = text.slice(hostEnd + 1);
  const host =
    bracket === -1
      ? hostEnd > 0 && consistsOf(REG_NAME_CODES, text, 0, hostEnd)
      : bracket > 1 && hostEnd === bracket + 1 && consistsOf(IP_LITERAL_CODES, text, 1, bracket);
  return host && (port === "" || (consistsOf(DIGIT_CODES, port) && Number(port) <= LARGEST_PORT));
}

/**
 * Whether a path is visible ASCII. Wider than RFC 3986 because browsers send some characters as
 * they are ("|", "{"); a fragment is never sent.
 */
function isVisible(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false;
  }
  return true;
}

/** A request target (RFC 9112 §3.2). */
export interface Target {
  /** The authority of an absolute target. */
  readonly authority: string | undefined;
  /** RFC 6455 §3: the resource name, that is path and query. */
  readonly resource: string;
}

/**
 * A request target in origin form (`/chat?room=1`) or absolute form (`http://example.com/chat`),
 * the two that RFC 6455 §4.1 lets a client use; undefined for all others.
 */
export function parseTarget(target: string): Target | undefined {
  if (target.startsWith("/")) return isVisible(target) ? { authority: undefined, resource: target } : undefined;
  const scheme = /^https?:\/\//i.exec(target)?.[0];
  if (scheme === undefined) return undefined;
  let end = scheme.length;
  while (end < target.length && target[end] !== "/" && target[end] !== "?") end++;
  const authority = target.slice(scheme.length, end);
  const rest = target.slice(end);
  const resource = rest.startsWith("/") ? rest : `/${rest}`;
  return isAuthority(authority) && isVisible(resource) ? { authority, resource } : undefined;
}
