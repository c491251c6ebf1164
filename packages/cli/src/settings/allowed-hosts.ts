import { isIP } from "node:net";
import type { AllowedHosts } from "tungstate";
import { HostPolicy, LOCAL_HOSTS } from "tungstate/internal";
import type { ServeSettings } from "./settings.ts";

const local = new HostPolicy(LOCAL_HOSTS);

/**
 * Returns the hosts that requests may name. A server on a loopback address serves programs and
 * pages of this machine: a page of another site whose name resolves to that address (DNS rebinding)
 * must not reach it.
 */
export function allowedHosts({ host, allowedHost }: Pick<ServeSettings, "host" | "allowedHost">): AllowedHosts {
  if (allowedHost.includes("any")) return "any";
  const isLocal = local.allows(isIP(host) === 6 ? `[${host}]` : host);
  return allowedHost.length === 0 && !isLocal ? "any" : [...LOCAL_HOSTS, ...allowedHost];
}
