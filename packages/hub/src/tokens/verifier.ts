import {
  createLocalJWKSet,
  createRemoteJWKSet,
  type CryptoKey,
  decodeProtectedHeader,
  errors,
  importJWK,
  importSPKI,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from "jose";
import { type Clock, systemClock } from "../clock.ts";
import { CommandError } from "../codes.ts";
import { TokenError, type TokenVerifier } from "../credentials.ts";
import { checkNames } from "../option-names.ts";
import { connectionCredentials, subscriptionCredentials } from "./claims.ts";

const SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"] as const;
const PUBLIC_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"] as const;

/** Where the signature of a token is checked. An algorithm belongs to its key: a token can't choose another one for it. */
export type TokenKey =
  /** A secret shared with whoever makes the tokens, of at least 32 bytes. */
  | { readonly algorithm: (typeof SECRET_ALGORITHMS)[number]; readonly secret: string | Uint8Array }
  /** A public key: SPKI in PEM, or a JWK. */
  | { readonly algorithm: (typeof PUBLIC_ALGORITHMS)[number]; readonly publicKey: string | JWK }
  /** A set of public keys: the address it is fetched from, again from time to time, or the set itself. */
  | { readonly jwks: string | URL | JSONWebKeySet };

export interface TokenOptions {
  /** One of them has to fit: old and new ones side by side while keys are changed. */
  readonly keys: readonly TokenKey[];
  /** What the claim `aud` has to have in it. Default: not looked at. */
  readonly audience?: string | readonly string[];
  /** What the claim `iss` has to be. Default: not looked at. */
  readonly issuer?: string | readonly string[];
  /** How far the clocks of whoever makes the tokens may be off, s. Default: 0. */
  readonly clockTolerance?: number;
  readonly clock?: Clock;
}

/** A key that tokens with some algorithms can be checked by. */
interface Candidate {
  readonly algorithms: readonly string[];
  readonly key: JWTVerifyGetKey;
}

/** Thrown by jose for a token that does not count, as opposed to keys that can't be had. */
const INVALID = [
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
] as const;

/**
 * Checks connection and subscription tokens: JWT with the claims that Centrifugo defined. Throws a TypeError where an option makes
 * no sense; a public key that is none is found out by the first token.
 */
export function createTokenVerifier(options: TokenOptions): TokenVerifier {
  const { audience, issuer, clockTolerance = 0, clock = systemClock } = options;
  checkNames("the options of a token verifier", options, {
    keys: true,
    audience: true,
    issuer: true,
    clockTolerance: true,
    clock: true,
  });
  if (options.keys.length === 0) throw new TypeError("keys has to have at least one key in it");
  const candidates = options.keys.map(candidate);

  const verify = async (token: string): Promise<JWTPayload> => {
    const { alg } = headerOf(token);
    const fitting = candidates.filter((each) => each.algorithms.includes(alg));
    let failure: unknown = new TokenError(`no key for tokens with the algorithm ${alg}`, false);
    for (const { algorithms, key } of fitting) {
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [...algorithms],
          currentDate: new Date(clock.unix()),
          clockTolerance,
          ...(audience === undefined ? {} : { audience: listOf(audience) }),
          ...(issuer === undefined ? {} : { issuer: listOf(issuer) }),
        });
        return payload;
      } catch (error) {
        failure = asTokenError(error);
        // another key of the same algorithm may be the right one
        if (!isWrongKey(error)) break;
      }
    }
    throw failure;
  };

  const claims = async <T>(token: string, read: (payload: JWTPayload) => T): Promise<T> => {
    const payload = await verify(token);
    try {
      return read(payload);
    } catch (error) {
      if (error instanceof CommandError) throw new TokenError(error.message, false, { cause: error });
      throw error;
    }
  };

  return {
    connection: (token) => claims(token, connectionCredentials),
    subscription: (token) => claims(token, subscriptionCredentials),
  };
}

function candidate(key: TokenKey): Candidate {
  if ("secret" in key) {
    checkAlgorithm(key.algorithm, SECRET_ALGORITHMS);
    const secret = typeof key.secret === "string" ? new TextEncoder().encode(key.secret) : key.secret;
    // RFC 7518 §3.2: "A key of the same size as the hash output (for instance, 256 bits for "HS256") or larger MUST be used"
    if (secret.length < 32) throw new TypeError(`a secret has to have at least 32 bytes, got ${secret.length}`);
    return { algorithms: [key.algorithm], key: () => secret };
  }
  if ("publicKey" in key) {
    checkAlgorithm(key.algorithm, PUBLIC_ALGORITHMS);
    let imported: Promise<CryptoKey | Uint8Array> | undefined;
    return { algorithms: [key.algorithm], key: () => (imported ??= importPublicKey(key.publicKey, key.algorithm)) };
  }
  const { jwks } = key;
  const isAddress = typeof jwks === "string" || jwks instanceof URL;
  return {
    algorithms: PUBLIC_ALGORITHMS,
    key: isAddress ? createRemoteJWKSet(new URL(jwks)) : createLocalJWKSet(jwks),
  };
}

function importPublicKey(key: string | JWK, algorithm: string): Promise<CryptoKey | Uint8Array> {
  return typeof key === "string" ? importSPKI(key, algorithm) : importJWK(key, algorithm);
}

function checkAlgorithm(algorithm: string, known: readonly string[]): void {
  if (!known.includes(algorithm))
    throw new TypeError(`algorithm has to be one of ${known.join(", ")}, got ${algorithm}`);
}

function headerOf(token: string): { readonly alg: string } {
  try {
    const { alg } = decodeProtectedHeader(token);
    if (typeof alg === "string") return { alg };
  } catch (error) {
    throw new TokenError("not a JWT", false, { cause: error });
  }
  throw new TokenError("a JWT without an algorithm", false);
}

function isWrongKey(error: unknown): boolean {
  return error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey;
}

function asTokenError(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new TokenError("the token has expired", true, { cause: error });
  if (INVALID.some((each) => error instanceof each)) {
    return new TokenError(error instanceof Error ? error.message : "not valid", false, { cause: error });
  }
  return error;
}

function listOf(value: string | readonly string[]): string[] {
  return typeof value === "string" ? [value] : [...value];
}
