import type { TokenKey } from "@tungstate/hub";
import { createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { explainSystem } from "../system/explain.ts";
import type { ServeSettings } from "./settings.ts";

type PublicKey = Extract<TokenKey, { readonly publicKey: unknown }>;
type Algorithm = PublicKey["algorithm"];

const MIN_SECRET_BYTES = 32; // bytes; RFC 7518 §3.2 for HS256
const MIN_RSA_BITS = 2048; // bits; RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used"

const CURVES: Readonly<Record<string, Algorithm>> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };

export interface TokenKeys {
  readonly keys: readonly TokenKey[];
  readonly problems: readonly string[];
}

/** Returns the keys that verify tokens. */
export function tokenKeys(
  settings: Pick<ServeSettings, "tokenSecret" | "tokenPublicKey" | "tokenJwks" | "tokenAudience" | "tokenIssuer"> &
    Partial<Pick<ServeSettings, "tokenClockTolerance">>,
): TokenKeys {
  const keys: TokenKey[] = [];
  const problems: string[] = [];
  const { tokenSecret: secret, tokenJwks: jwks } = settings;
  if (secret !== undefined) {
    problems.push(...secretProblems(secret));
    keys.push({ algorithm: "HS256", secret });
  }
  for (const file of settings.tokenPublicKey) {
    const key = readPublicKey(file);
    if (typeof key === "string") problems.push(`--token-public-key ${file}: ${key}`);
    else keys.push(key);
  }
  if (jwks !== undefined) keys.push({ jwks });
  const none = keys.length === 0 && problems.length === 0;
  const claims = {
    "--token-audience": settings.tokenAudience,
    "--token-issuer": settings.tokenIssuer,
    "--token-clock-tolerance": [settings.tokenClockTolerance ?? []].flat(),
  };
  for (const [flag, values] of Object.entries(claims)) {
    if (values.length > 0 && none) {
      problems.push(`${flag} requires --token-secret, --token-public-key or --token-jwks`);
    }
  }
  return { keys, problems };
}

export function secretProblems(secret: string): string[] {
  const got = Buffer.byteLength(secret);
  return got < MIN_SECRET_BYTES ? [`--token-secret must have at least ${MIN_SECRET_BYTES} bytes, got ${got}`] : [];
}

/** Returns the key in a file, or a problem. */
function readPublicKey(file: string): PublicKey | string {
  let key: KeyObject;
  try {
    const pem = readFileSync(file, "latin1");
    // a private key would also work, but must not be on this machine
    if (/PRIVATE KEY/.test(pem)) return "expected a public key, got a private key";
    key = createPublicKey(pem);
  } catch (error) {
    const isSystem = error instanceof Error && "syscall" in error;
    return isSystem ? explainSystem(error) : "expected a public key in PEM, found none";
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) {
    return `expected a key for RS256, ES256, ES384, ES512 or EdDSA, got ${key.asymmetricKeyType ?? "another type"}`;
  }
  const { modulusLength = MIN_RSA_BITS } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < MIN_RSA_BITS) return `expected an RSA key of at least ${MIN_RSA_BITS} bits, got ${modulusLength}`;
  return { algorithm, publicKey: key.export({ type: "spki", format: "pem" }).toString() };
}

function algorithmOf(key: KeyObject): Algorithm | undefined {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return "RS256";
    case "ed25519":
      return "EdDSA";
    case "ec":
      return CURVES[key.asymmetricKeyDetails?.namedCurve ?? ""];
    default:
      return undefined;
  }
}
