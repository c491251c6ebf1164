import type { Address, ClientOptions, ResolvedOptions } from "./options.ts";
import type { ClientSocket } from "./socket.ts";

/** Field names in the lower case, so that they can be removed. */
function lowerCased(headers: Record<string, unknown> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
}

/**
 * Keeps credentials from other hosts, as curl does: a redirect to another host, or from `wss:` to `ws:`, drops the fields `Authorization` and
 * `Cookie` and the credentials of the URL, unless a listener for `redirect` decides about it. Returns the options for the redirect that may follow.
 */
export function guardRedirect(
  websocket: ClientSocket,
  resolved: ResolvedOptions,
  { url, isSecure, isIpc }: Address,
  options: ClientOptions | undefined,
): ClientOptions {
  const host = isIpc ? (resolved.socketPath ?? undefined) : url.host;
  let next: ClientOptions = options ?? {};
  if (websocket._redirects === 0) {
    websocket._originalIpc = isIpc;
    websocket._originalSecure = isSecure;
    websocket._originalHostOrSocketPath = host;
    next = { ...options, headers: lowerCased(options?.headers) };
  } else if (websocket.listenerCount("redirect") === 0) {
    const isSameHost = websocket._originalIpc === isIpc && websocket._originalHostOrSocketPath === host;
    const { headers = {} } = resolved;
    if (!isSameHost || (websocket._originalSecure && !isSecure)) {
      delete headers["authorization"];
      delete headers["cookie"];
      if (!isSameHost) delete headers["host"];
      delete resolved.auth;
    }
  }
  // the first credentials of a URL are kept for what it redirects to
  const { headers = {} } = next;
  if (resolved.auth && !headers["authorization"]) {
    headers["authorization"] = `Basic ${Buffer.from(resolved.auth).toString("base64")}`;
  }
  return next;
}
