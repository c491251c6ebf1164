import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { explainSystem } from "../system/explain.ts";
import { readCertificate } from "../tls/certificate.ts";
import { flagOf, type ServeSettings } from "./settings.ts";

/**
 * Options of Redis, with the contents of the files that settings name. Can be sent to another
 * process.
 */
export interface RedisConfig {
  readonly prefix: string;
  /** Milliseconds. */
  readonly timeout?: number;
  /** Milliseconds. */
  readonly presenceTtl?: number;
  /** Bytes. */
  readonly memoryLimit?: number;
  /** PEM, for rediss: URLs. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

const ONLY_WITH_TLS = ["redisCa", "redisCert", "redisKey"] as const;
const ONLY_WITH_REDIS = ["redisTimeout", "redisPresenceTtl", "redisMemoryLimit", ...ONLY_WITH_TLS] as const;

/** Reads the files that settings of Redis name, and checks settings that depend on each other. */
export function redisConfig(settings: ServeSettings): {
  readonly redisOptions: RedisConfig;
  readonly problems: readonly string[];
} {
  const { redis, redisPrefix: prefix, redisTimeout: timeout, redisPresenceTtl: presenceTtl } = settings;
  const { redisCa, redisCert, redisKey, redisMemoryLimit: memoryLimit } = settings;
  const problems: string[] = [];
  const requires = (names: readonly (typeof ONLY_WITH_REDIS)[number][], what: string): void => {
    for (const name of names) if (settings[name] !== undefined) problems.push(`${flagOf(name)} requires ${what}`);
  };
  if (redis.length === 0) requires(ONLY_WITH_REDIS, "--redis");
  else if (!redis.some((url) => /^rediss[:+]/.test(url))) requires(ONLY_WITH_TLS, "a --redis with a rediss: URL");
  if (redis.length > 0 && settings.historyBytes !== undefined) {
    problems.push("--history-bytes limits the memory of this server; with --redis, use --redis-memory-limit");
  }
  let tls: RedisConfig["tls"];
  if (redisCa !== undefined) {
    const ca = readAuthorities(redisCa);
    if ("problem" in ca) problems.push(`--redis-ca ${redisCa}: ${ca.problem}`);
    else tls = ca;
  }
  if (redisCert !== undefined && redisKey !== undefined) {
    const read = readCertificate(redisCert, redisKey, { cert: "--redis-cert", key: "--redis-key" });
    if ("problems" in read) problems.push(...read.problems);
    else tls = { ...tls, ...read.certificate };
  } else if (redisCert !== undefined) problems.push("--redis-cert requires --redis-key, the private key");
  else if (redisKey !== undefined) problems.push("--redis-key requires --redis-cert, the certificate of the key");
  const redisOptions = {
    prefix,
    ...(timeout === undefined ? {} : { timeout }),
    ...(presenceTtl === undefined ? {} : { presenceTtl }),
    ...(memoryLimit === undefined ? {} : { memoryLimit }),
    ...(tls === undefined ? {} : { tls }),
  };
  return { redisOptions, problems };
}

/** Node.js ignores a file without certificates, and then rejects every server. */
function readAuthorities(file: string): { readonly ca: string } | { readonly problem: string } {
  let ca: string;
  try {
    ca = readFileSync(file, "latin1");
  } catch (error) {
    return { problem: explainSystem(error) };
  }
  try {
    new X509Certificate(ca);
    return { ca };
  } catch {
    return { problem: "expected a certificate in PEM, found none" };
  }
}
