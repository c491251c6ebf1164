import type { TokenKey } from "@tungstate/hub";
import { createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { explainSystem } from "./explain.ts";
import type { ServeSettings } from "./settings.ts";

type PublicKey = Extract<TokenKey, { readonly publicKey: unknown }>;
type Algorithm = PublicKey["algorithm"];

const SHORTEST_SECRET = 32; // bytes; RFC 7518 §3.2 for HS256
const SHORTEST_RSA = 2048; // bits; RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used"

const CURVES: Readonly<Record<string, Algorithm>> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };

export interface TokenKeys {
  readonly keys: readonly TokenKey[];
  readonly problems: readonly string[];
}

/** The keys that tokens are checked with. */
export function tokenKeys(
  settings: Pick<ServeSettings, "tokenSecret" | "tokenPublicKey" | "tokenJwks" | "tokenAudience" | "tokenIssuer">,
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
  const claims = { "--token-audience": settings.tokenAudience, "--token-issuer": settings.tokenIssuer };
  for (const [flag, values] of Object.entries(claims)) {
    if (values.length > 0 && none) {
      problems.push(`${flag} is about tokens: it needs --token-secret, --token-public-key or --token-jwks`);
    }
  }
  return { keys, problems };
}

export function secretProblems(secret: string): string[] {
  const got = Buffer.byteLength(secret);
  return got < SHORTEST_SECRET ? [`--token-secret has to have at least ${SHORTEST_SECRET} bytes, got ${got}`] : [];
}

/** The key in a file, or what is wrong with it. */
function readPublicKey(file: string): PublicKey | string {
  let key: KeyObject;
  try {
    const pem = readFileSync(file, "latin1");
    // a private key would do, too, and has no business here
    if (/PRIVATE KEY/.test(pem)) return "it is a private key; give the public one that belongs to it";
    key = createPublicKey(pem);
  } catch (error) {
    const isSystem = error instanceof Error && "syscall" in error;
    return isSystem ? explainSystem(error) : "expected a public key in PEM, and there is none in it";
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) {
    return `expected a key for RS256, ES256, ES384, ES512 or EdDSA, got ${key.asymmetricKeyType ?? "another one"}`;
  }
  const { modulusLength = SHORTEST_RSA } = key.asymmetricKeyDetails ?? {};
  if (modulusLength < SHORTEST_RSA) return `expected an RSA key of at least ${SHORTEST_RSA} bits, got ${modulusLength}`;
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
