import type { TokenKey } from "@tungstate/hub";
import { WebSocketServer } from "tungstate";
import { allowedHosts } from "./allowed-hosts.ts";
import { type Certificate, readCertificate } from "../tls/certificate.ts";
import { type RedisConfig, redisConfig } from "./redis.ts";
import type { ServeSettings } from "./settings.ts";
import { tokenKeys } from "./token-keys.ts";

const MIN_API_KEY_LENGTH = 16; // characters

/**
 * Settings together with the contents of the files that they name. Can be sent to another process.
 */
export interface ServeConfig extends ServeSettings {
  readonly tokenKeys: readonly TokenKey[];
  readonly redisOptions: RedisConfig;
  readonly certificate: Certificate | undefined;
}

/**
 * Reads the files that settings name, and checks settings that depend on each other. The problems
 * never contain a secret.
 */
export function resolveConfig(settings: ServeSettings): {
  readonly config: ServeConfig;
  readonly problems: readonly string[];
} {
  const { tlsCert, tlsKey, apiKey, namespace } = settings;
  const tokens = tokenKeys(settings);
  const redis = redisConfig(settings);
  const problems = [...tokens.problems, ...redis.problems];
  for (const { length } of apiKey) {
    if (length < MIN_API_KEY_LENGTH)
      problems.push(`--api-key must have at least ${MIN_API_KEY_LENGTH} characters, got ${length}`);
  }
  for (const name of namespace) {
    if (!/^[-\w]+$/.test(name)) problems.push(`--namespace must consist of letters, digits, _ and -, got "${name}"`);
    else if (name === "public") problems.push('--namespace: "public" already exists and requires no token');
  }
  try {
    new WebSocketServer({ trustProxy: settings.trustProxy });
  } catch (error) {
    problems.push(`--trust-proxy: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    new WebSocketServer({ allowedHosts: allowedHosts(settings) });
  } catch (error) {
    problems.push(`--allowed-host: ${error instanceof Error ? error.message : String(error)}`);
  }
  let certificate: Certificate | undefined;
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const read = readCertificate(tlsCert, tlsKey);
    if ("problems" in read) problems.push(...read.problems);
    else certificate = read.certificate;
  } else if (tlsCert !== undefined) problems.push("--tls-cert requires --tls-key, the private key of the certificate");
  else if (tlsKey !== undefined) problems.push("--tls-key requires --tls-cert, the certificate of the key");
  if (settings.http2 && tlsCert === undefined) problems.push("--http2 requires --tls-cert and --tls-key");
  if (settings.http2 && settings.workers > 1)
    problems.push("--http2 requires --workers 1: workers speak HTTP/1.1 only");
  return { config: { ...settings, tokenKeys: tokens.keys, redisOptions: redis.redisOptions, certificate }, problems };
}
