/** Path and query of a request's target. RFC 9112 §3.2.2: "a server MUST accept the absolute-form in requests". */
export function pathAndQuery(target: string): string | undefined {
  if (target.startsWith("/")) return target;
  if (!URL.canParse(target)) return undefined;
  const { pathname, search } = new URL(target);
  return pathname.startsWith("/") ? pathname + search : undefined;
}

/** The same without the query. */
export function pathOf(target: string): string | undefined {
  const whole = pathAndQuery(target);
  const query = whole?.indexOf("?") ?? -1;
  return query < 0 ? whole : whole?.slice(0, query);
}
