import type { Address, ClientOptions, ResolvedOptions } from "./options.ts";
import type { ClientSocket } from "./socket.ts";

/** Field names in the lower case, so that they can be removed. */
function lowerCased(headers: Record<string, unknown> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
}

/**
 * Does not send credentials to other hosts. A redirect to another host, or from `wss:` to `ws:`,
 * removes the fields `Authorization` and `Cookie` and the credentials of the URL, unless there is a
 * listener for `redirect`. Returns the options for the next redirect.
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
  // credentials of the first URL are kept for its redirects
  const { headers = {} } = next;
  if (resolved.auth && !headers["authorization"]) {
    headers["authorization"] = `Basic ${Buffer.from(resolved.auth).toString("base64")}`;
  }
  return next;
}
