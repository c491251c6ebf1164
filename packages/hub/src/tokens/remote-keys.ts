import { unescape } from "node:querystring";
import { createLocalJWKSet, type CryptoKey, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { argumentError } from "tungstate/internal";
import type { Clock } from "../schedule/clock.ts";
import { commandError } from "../codes.ts";
import { jittered, type Random } from "../schedule/jitter.ts";
import { HubError } from "../errors.ts";

const FETCH_TIMEOUT = 5_000; // ms
const MAX_BODY = 1_048_576; // bytes
const FRESH_FOR = 600_000; // ms, after which keys are fetched again while those known stay in use
const USABLE_FOR = 3_600_000; // ms without a successful fetch, after which no key is trusted any more
const FIRST_RETRY_DELAY = 1_000; // ms
const MAX_RETRY_DELAY = 60_000; // ms
const UNKNOWN_KEY_BURST = 3; // fetches for unknown keys at once
const UNKNOWN_KEY_INTERVAL = 5_000; // ms per further fetch

type Local = ReturnType<typeof createLocalJWKSet>;

export interface RemoteKeysOptions {
  readonly clock: Clock;
  /** Called once for each failed fetch. */
  readonly onError: ((error: Error) => void) | undefined;
  readonly random: Random;
}

/**
 * The public keys at an address (a JWK set). Anyone can send tokens, so at most one fetch runs at a
 * time. A failed fetch is repeated after 1 s to 60 s. An unknown key causes a fetch at once, but
 * after the first three at most one every 5 s.
 */
export class RemoteKeys {
  private readonly url: URL;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly options: RemoteKeysOptions;
  private keys: { readonly local: Local; readonly fetchedAt: number } | undefined;
  private fetching: Promise<void> | undefined;
  private failures = 0;
  private retryAt = -Infinity;
  private unknownKeyFetches = UNKNOWN_KEY_BURST;
  private countedAt: number;

  /** Throws a TypeError unless keys can be fetched from `address`. */
  constructor(address: string | URL, options: RemoteKeysOptions) {
    const { url, headers } = parseAddress(address);
    this.url = url;
    this.headers = headers;
    this.options = options;
    this.countedAt = options.clock.now();
  }

  /**
   * Returns the key that a token names. Rejects with JWKSNoMatchingKey if the set, fetched after
   * the token came, does not have it; with a temporary CommandError while that is unknown; with an
   * Error if a fetch has just failed.
   */
  readonly find: JWTVerifyGetKey = async (header, token): Promise<CryptoKey> => {
    const keys = this.usable() ?? (await this.fetched());
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    return await this.findAgain(header, token);
  };

  /** As `find`, with keys fetched now: for a token that none of the present keys fits. */
  readonly findAgain = async (...[header, token]: Parameters<JWTVerifyGetKey>): Promise<CryptoKey> => {
    // a fetch under way may have been answered before the key was added
    const isFresh = this.fetching === undefined;
    if (isFresh && !this.takeUnknownKeyFetch()) throw commandError("INTERNAL");
    try {
      return await (
        await this.fetched()
      )(header, token);
    } catch (error) {
      if (!isFresh && error instanceof errors.JWKSNoMatchingKey) throw commandError("INTERNAL");
      throw error;
    }
  };

  /** Returns the present keys; keys that are no longer fresh are fetched again meanwhile. */
  private usable(): Local | undefined {
    if (this.keys === undefined) return undefined;
    const age = this.options.clock.now() - this.keys.fetchedAt;
    if (age >= USABLE_FOR) return undefined;
    if (age >= FRESH_FOR && this.mayFetch()) this.fetch().catch(() => undefined); // onError was called
    return this.keys.local;
  }

  /** Returns the keys, fetched now. */
  private async fetched(): Promise<Local> {
    if (this.fetching === undefined) {
      if (!this.mayFetch()) throw commandError("INTERNAL");
      await this.fetch();
    } else {
      await this.fetching.catch(() => {
        throw commandError("INTERNAL"); // the caller that started the fetch gets the error itself
      });
    }
    const { keys } = this;
    if (keys === undefined) throw commandError("INTERNAL");
    return keys.local;
  }

  private mayFetch(): boolean {
    return this.fetching === undefined && this.options.clock.now() >= this.retryAt;
  }

  private takeUnknownKeyFetch(): boolean {
    const now = this.options.clock.now();
    const earned = (now - this.countedAt) / UNKNOWN_KEY_INTERVAL;
    this.unknownKeyFetches = Math.min(this.unknownKeyFetches + earned, UNKNOWN_KEY_BURST);
    this.countedAt = now;
    if (this.unknownKeyFetches < 1) return false;
    this.unknownKeyFetches--;
    return true;
  }

  private fetch(): Promise<void> {
    this.fetching = this.load().finally(() => {
      this.fetching = undefined;
    });
    return this.fetching;
  }

  private async load(): Promise<void> {
    const { clock, onError, random } = this.options;
    try {
      const local = createLocalJWKSet(await fetchKeys(this.url, this.headers));
      this.keys = { local, fetchedAt: clock.now() };
      this.failures = 0;
    } catch (cause) {
      const delay = Math.min(FIRST_RETRY_DELAY * 2 ** this.failures++, MAX_RETRY_DELAY);
      this.retryAt = clock.now() + jittered(delay, random);
      const { origin, pathname } = this.url; // the rest of the address may be secret
      const error = new HubError(
        "KEYS_UNAVAILABLE",
        `cannot fetch keys from ${origin}${pathname}: ${reasonOf(cause)}`,
        { cause },
      );
      onError?.(error);
      throw onError === undefined ? error : commandError("INTERNAL", undefined, { cause: error });
    }
  }
}

const ACCEPT = { accept: "application/json, application/jwk-set+json" } as const;

/**
 * Returns the address without credentials, and the header fields of a request. Errors do not
 * contain the address, because it may be secret.
 */
function parseAddress(address: string | URL): {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
} {
  const url = URL.canParse(String(address)) ? new URL(address) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    const got = url === undefined ? "text that is no address" : `an address with ${url.protocol}`;
    throw argumentError(TypeError, `jwks must be a JWK set, or an address with http: or https:, got ${got}`);
  }
  const { username, password } = url;
  if (username === "" && password === "") return { url, headers: ACCEPT };
  url.username = "";
  url.password = "";
  // fetch refuses an address with credentials with an error that shows them
  const credentials = Buffer.from(`${unescape(username)}:${unescape(password)}`).toString("base64");
  return { url, headers: { ...ACCEPT, authorization: `Basic ${credentials}` } };
}

/**
 * Returns why a fetch failed. The message of fetch is the same for all connection errors; its cause
 * has the details.
 */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  const detail = cause.message === "" && "code" in cause ? String(cause.code) : cause.message;
  return `${error.message}: ${detail}`;
}

async function fetchKeys(url: URL, headers: Readonly<Record<string, string>>): Promise<JSONWebKeySet> {
  const response = await fetch(url, { headers, redirect: "error", signal: AbortSignal.timeout(FETCH_TIMEOUT) });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new HubError("KEYS_UNAVAILABLE", `expected status 200, got ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BODY) throw new HubError("KEYS_UNAVAILABLE", `expected at most ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString()) as JSONWebKeySet;
}
