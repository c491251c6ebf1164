/**
 * Returns the path and query of a request target, or undefined. RFC 9112 §3.2.2: "a server MUST
 * accept the absolute-form in requests".
 */
function pathAndQuery(target: string): string | undefined {
  if (target.startsWith("/")) return target;
  if (!URL.canParse(target)) return undefined;
  const { pathname, search } = new URL(target);
  return pathname.startsWith("/") ? pathname + search : undefined;
}

/** Returns the path of a request target without its query. */
export function pathOf(target: string): string | undefined {
  const integer = pathAndQuery(target);
  const query = integer?.indexOf("?") ?? -1;
  return query < 0 ? integer : integer?.slice(0, query);
}

/** Returns the host and port of a request target that is a URL. */
export function authorityOf(target: string): string | undefined {
  if (target.startsWith("/") || !URL.canParse(target)) return undefined;
  const { host } = new URL(target);
  return host === "" ? undefined : host;
}
