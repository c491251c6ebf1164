import { argumentError, checkNames } from "tungstate/internal";
import {
  createLocalJWKSet,
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
  type JWTVerifyOptions,
} from "jose";
import { type Clock, systemClock } from "../schedule/clock.ts";
import { TokenError, type TokenVerifier } from "../settings/credentials.ts";
import { systemRandom } from "../schedule/jitter.ts";
import { quiet } from "../schedule/quiet.ts";
import { connectionCredentials, subscriptionCredentials } from "./claims.ts";
import { RemoteKeys, type RemoteKeysOptions } from "./remote-keys.ts";

const SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"] as const;
const PUBLIC_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"] as const;

/**
 * A key that verifies tokens. The algorithm belongs to the key: a token cannot choose another one.
 */
export type TokenKey =
  /** A secret shared with the issuer of the tokens, at least 32 bytes. */
  | { readonly algorithm: (typeof SECRET_ALGORITHMS)[number]; readonly secret: string | Uint8Array }
  /** A public key: SPKI in PEM, or a JWK. */
  | { readonly algorithm: (typeof PUBLIC_ALGORITHMS)[number]; readonly publicKey: string | JWK }
  /**
   * A set of public keys (JWKS): its http: or https: address, which is fetched again from time to
   * time, or the set itself.
   */
  | { readonly jwks: string | URL | JSONWebKeySet };

/** Options of `createTokenVerifier`. */
export interface TokenOptions {
  /** The keys. To rotate a key, list the old and the new one. */
  readonly keys: readonly TokenKey[];
  /** Accepted values of the claim `aud`. Default: any. */
  readonly audience?: string | readonly string[];
  /** Accepted values of the claim `iss`. Default: any. */
  readonly issuer?: string | readonly string[];
  /**
   * Allowed difference of the issuer's clock in s. Tokens, and connections and subscriptions made
   * with them, are valid that much longer. Default: 0.
   */
  readonly clockTolerance?: number;
  /**
   * Called when a set of keys could not be fetched. Default: the verification of the token rejects
   * with the error.
   */
  readonly onError?: (error: Error) => void;
  /** Time; for tests. Default: the system's. */
  readonly clock?: Clock;
}

/** A key with the algorithms that it verifies. */
interface Candidate {
  readonly algorithms: readonly string[];
  readonly key: JWTVerifyGetKey;
  /** Returns newer keys, for a token that does not name its key and that no present key fits. */
  readonly newerKey?: JWTVerifyGetKey;
}

/**
 * Errors of jose for an invalid token. Its other errors are about keys that could not be fetched or
 * read.
 */
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

/** Errors of jose after which the next key is tried. */
const WRONG_KEY = [
  errors.JWSSignatureVerificationFailed,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
] as const;

/**
 * Creates a verifier of connection and subscription tokens: JWTs with the claims that Centrifugo
 * defines. Throws a TypeError for an invalid option. An invalid public key makes the verification
 * of the first token fail.
 */
export function createTokenVerifier(options: TokenOptions): TokenVerifier {
  const { audience, issuer, clockTolerance = 0, clock = systemClock, onError } = options;
  checkNames(
    options,
    {
      keys: true,
      audience: true,
      issuer: true,
      clockTolerance: true,
      onError: true,
      clock: true,
    },
    "a token verifier",
  );
  if (options.keys.length === 0) throw argumentError(TypeError, "keys must contain at least one key");
  if (!Number.isFinite(clockTolerance) || clockTolerance < 0) {
    throw argumentError(
      TypeError,
      `clockTolerance must be a number of seconds, from 0, got ${JSON.stringify(clockTolerance)}`,
    );
  }
  checkTexts("audience", audience);
  checkTexts("issuer", issuer);
  if (onError !== undefined && typeof onError !== "function") {
    throw argumentError(TypeError, `onError must be a function, got ${typeof onError}`);
  }
  const report = onError === undefined ? undefined : quiet(onError, () => undefined);
  const remote: RemoteKeysOptions = { clock, onError: report, random: systemRandom };
  const candidates = options.keys.map((key) => candidate(key, remote));

  const verify = async (token: string): Promise<JWTPayload> => {
    const { alg, kid } = headerOf(token);
    let failure: unknown = new TokenError(`no key for tokens with the algorithm ${alg.slice(0, 40)}`, false);
    let isSettled = true;
    for (const { algorithms, key, newerKey } of candidates) {
      if (!algorithms.includes(alg)) continue;
      try {
        const options: JWTVerifyOptions = {
          algorithms: [...algorithms],
          currentDate: new Date(clock.unix()),
          clockTolerance,
          ...(audience === undefined ? {} : { audience: listOf(audience) }),
          ...(issuer === undefined ? {} : { issuer: listOf(issuer) }),
        };
        return await verifyByAny(token, key, kid === undefined ? newerKey : undefined, options);
      } catch (error) {
        const isWrongKey = WRONG_KEY.some((each) => error instanceof each);
        if (!isWrongKey && INVALID.some((each) => error instanceof each)) throw asTokenError(error);
        if (error instanceof errors.JWTExpired) throw asTokenError(error);
        // the keys that could not be fetched may include the right one: report that instead of a
        // wrong key
        if (isSettled) failure = asTokenError(error);
        if (!isWrongKey) isSettled = false;
      }
    }
    throw failure;
  };

  return {
    connection: async (token) => connectionCredentials(await verify(token), clockTolerance),
    subscription: async (token) => subscriptionCredentials(await verify(token), clockTolerance),
  };
}

/**
 * Returns the claims of a token. If none of the present keys fits, those of `newerKey` are tried.
 */
async function verifyByAny(
  token: string,
  key: JWTVerifyGetKey,
  newerKey: JWTVerifyGetKey | undefined,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return await verifyByEach(token, key, options);
  } catch (error) {
    if (newerKey === undefined || !(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    return await verifyByEach(token, newerKey, options);
  }
}

/**
 * Returns the claims of a token. Several keys of a set may fit a token without `kid`; each is
 * tried.
 */
async function verifyByEach(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let failure: unknown = error;
    for await (const each of error) {
      try {
        return (await jwtVerify(token, each, options)).payload;
      } catch (cause) {
        if (!(cause instanceof errors.JWSSignatureVerificationFailed)) throw cause;
        failure = cause;
      }
    }
    throw failure;
  }
}

function candidate(key: TokenKey, remote: RemoteKeysOptions): Candidate {
  if ("secret" in key) {
    checkAlgorithm(key.algorithm, SECRET_ALGORITHMS);
    const secret = typeof key.secret === "string" ? new TextEncoder().encode(key.secret) : key.secret;
    // RFC 7518 §3.2: "A key of the same size as the hash output (for instance, 256 bits for
    // "HS256") or larger MUST be used"
    if (secret.length < 32)
      throw argumentError(TypeError, `a secret must have at least 32 bytes, got ${secret.length}`);
    return { algorithms: [key.algorithm], key: () => secret };
  }
  if ("publicKey" in key) {
    checkAlgorithm(key.algorithm, PUBLIC_ALGORITHMS);
    let imported: Promise<CryptoKey | Uint8Array> | undefined;
    return { algorithms: [key.algorithm], key: () => (imported ??= importPublicKey(key.publicKey, key.algorithm)) };
  }
  const { jwks } = key;
  if (typeof jwks !== "string" && !(jwks instanceof URL)) {
    return { algorithms: PUBLIC_ALGORITHMS, key: localKeys(jwks) };
  }
  const { find, findAgain } = new RemoteKeys(jwks, remote);
  return { algorithms: PUBLIC_ALGORITHMS, key: find, newerKey: findAgain };
}

function localKeys(jwks: JSONWebKeySet): JWTVerifyGetKey {
  try {
    return createLocalJWKSet(jwks);
  } catch (cause) {
    throw argumentError(TypeError, "jwks must be a JWK set ({ keys: [...] }), or an address with http: or https:", {
      cause,
    });
  }
}

function importPublicKey(key: string | JWK, algorithm: string): Promise<CryptoKey | Uint8Array> {
  return typeof key === "string" ? importSPKI(key, algorithm) : importJWK(key, algorithm);
}

function checkAlgorithm(algorithm: string, known: readonly string[]): void {
  if (!known.includes(algorithm))
    throw argumentError(TypeError, `algorithm must be one of ${known.join(", ")}, got ${algorithm}`);
}

function headerOf(token: string): { readonly alg: string; readonly kid: unknown } {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    if (typeof alg === "string") return { alg, kid };
  } catch (error) {
    throw new TokenError("the token is not a JWT", false, { cause: error });
  }
  throw new TokenError("the JWT has no algorithm", false);
}

function asTokenError(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new TokenError("the token has expired", true, { cause: error });
  if (error instanceof errors.JWTClaimValidationFailed) return claimFault(error);
  if (INVALID.some((each) => error instanceof each)) {
    return new TokenError(error instanceof Error ? error.message : "not valid", false, { cause: error });
  }
  return error;
}

/**
 * Returns the error for a claim that jose has rejected. A token whose `nbf` is in the future will
 * be valid.
 */
function claimFault(error: errors.JWTClaimValidationFailed): TokenError {
  const { claim, reason } = error;
  const temporary = claim === "nbf" && reason === "check_failed";
  const value = JSON.stringify(error.payload[claim]) ?? "nothing";
  return new TokenError(`token.${claim} is not accepted: ${error.message}; got ${value.slice(0, 80)}`, false, {
    cause: error,
    claim,
    temporary,
  });
}

/** Throws a TypeError unless `value` is a string, a list of strings, or undefined. */
function checkTexts(name: string, value: unknown): void {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (value === undefined || (list.length > 0 && list.every((each) => typeof each === "string" && each !== ""))) return;
  throw argumentError(
    TypeError,
    `${name} must be a string that is not empty, or an array of them, got ${JSON.stringify(value)}`,
  );
}

function listOf(value: string | readonly string[]): string[] {
  return typeof value === "string" ? [value] : [...value];
}
