import type { TokenKey } from "@tungstate/hub";
import { WebSocketServer } from "tungstate";
import { type Certificate, readCertificate } from "./certificate.ts";
import type { ServeSettings } from "./settings.ts";
import { tokenKeys } from "./token-keys.ts";

const SHORTEST_KEY = 16; // characters of an API key

/** Settings, with what the files that they name have in them. Can be sent to another process. */
export interface ServePlan extends ServeSettings {
  readonly tokenKeys: readonly TokenKey[];
  readonly certificate: Certificate | undefined;
}

/** What follows from settings, and all that is wrong with them beyond each one by itself; never with a secret in it. */
export function planOf(settings: ServeSettings): { readonly plan: ServePlan; readonly problems: readonly string[] } {
  const { tlsCert, tlsKey, apiKey, namespace } = settings;
  const tokens = tokenKeys(settings);
  const problems = [...tokens.problems];
  for (const { length } of apiKey) {
    if (length < SHORTEST_KEY)
      problems.push(`--api-key has to have at least ${SHORTEST_KEY} characters, got ${length}`);
  }
  for (const name of namespace) {
    if (!/^[-\w]+$/.test(name)) problems.push(`--namespace has to consist of letters, digits, _ and -, got "${name}"`);
    else if (name === "public") problems.push("--namespace: public is there already, and needs no token");
  }
  try {
    new WebSocketServer({ trustProxy: settings.trustProxy });
  } catch (error) {
    problems.push(`--trust-proxy: ${error instanceof Error ? error.message : String(error)}`);
  }
  let certificate: Certificate | undefined;
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const read = readCertificate(tlsCert, tlsKey);
    if ("problems" in read) problems.push(...read.problems);
    else certificate = read.certificate;
  } else if (tlsCert !== undefined) problems.push("--tls-cert needs --tls-key, the private key that belongs to it");
  else if (tlsKey !== undefined) problems.push("--tls-key needs --tls-cert, the certificate that it belongs to");
  return { plan: { ...settings, tokenKeys: tokens.keys, certificate }, problems };
}
