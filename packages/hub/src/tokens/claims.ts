import type { Credentials, ServerSubscription, SubscriptionCredentials } from "../settings/credentials.ts";
import { TokenError } from "../settings/credentials.ts";
import { jsonOfBase64 } from "../json/base64.ts";
import { isObject, type JsonObject } from "../json/json.ts";

// The claims that Centrifugo defines. Each is obeyed, or refused by name. Claims that neither
// Centrifugo nor RFC 7519 defines are ignored (RFC 7519 §4). A mistake in a claim that says which
// client may use a token must not admit another client.

/** Claims of a subscription token only: in a connection token they would restrict nothing. */
const OF_SUBSCRIPTIONS = ["channel", "client"];
/** Claims of a connection token only. */
const OF_CONNECTIONS = ["channels", "subs", "meta"];
/** Claims of Centrifugo that the hub does not support. */
const UNSUPPORTED = ["override", "caps", "allow"];
/** Fields of an entry of `subs`. */
const SUB_FIELDS = ["info", "b64info", "data", "b64data", "override"];

/**
 * Returns the credentials in a connection token. `tolerance`: allowed clock difference in s. Throws
 * a TokenError that names the claim.
 */
export function connectionCredentials(payload: unknown, tolerance: number): Credentials {
  const claims = new Claims(payload);
  claims.refuse(OF_SUBSCRIPTIONS, "belongs in a subscription token");
  claims.refuse(UNSUPPORTED, "is not supported");
  claims.string("jti");
  return {
    user: claims.string("sub") ?? "",
    info: claims.json("info", "b64info"),
    meta: claims.value("meta"),
    expireAt: expireAt(claims, tolerance),
    subs: subscriptions(claims),
  };
}

/**
 * Returns the credentials in a subscription token. `tolerance`: allowed clock difference in s.
 * Throws a TokenError that names the claim.
 */
export function subscriptionCredentials(payload: unknown, tolerance: number): SubscriptionCredentials {
  const claims = new Claims(payload);
  claims.refuse(OF_CONNECTIONS, "belongs in a connection token");
  claims.refuse(UNSUPPORTED, "is not supported");
  claims.string("jti");
  const channel = claims.string("channel") ?? "";
  if (channel === "") throw claims.fault("channel", "is missing");
  const client = claims.string("client") ?? "";
  return {
    user: claims.string("sub") ?? "",
    channel,
    ...(client === "" ? {} : { client }),
    info: claims.json("info", "b64info"),
    data: claims.json("data", "b64data"),
    expireAt: expireAt(claims, tolerance),
  };
}

/**
 * Returns when the connection or subscription ends: `expire_at` (0: never), otherwise the expiry of
 * the token.
 */
function expireAt(claims: Claims, tolerance: number): number | undefined {
  const at = claims.time("expire_at") ?? claims.time("exp") ?? 0;
  return at === 0 ? undefined : at + tolerance;
}

/** `channels` has names, `subs` has options too. */
function subscriptions(claims: Claims): ReadonlyMap<string, ServerSubscription> {
  const subs = new Map<string, ServerSubscription>();
  for (const channel of claims.strings("channels")) subs.set(channel, {});
  for (const [channel, options] of claims.objects("subs")) {
    const unknown = Object.keys(options.fields).find((name) => !SUB_FIELDS.includes(name));
    if (unknown !== undefined) throw options.fault(unknown, "is not supported");
    options.refuse(UNSUPPORTED, "is not supported");
    subs.set(channel, { info: options.json("info", "b64info"), data: options.json("data", "b64data") });
  }
  return subs;
}

/** The claims of a token, or the fields of one claim. null counts as absent. */
class Claims {
  readonly fields: JsonObject;
  private readonly path: string;
  /** The claim that errors name; undefined: the field itself. */
  private readonly claim: string | undefined;

  constructor(fields: unknown, path = "token", claim?: string) {
    this.path = path;
    this.claim = claim;
    if (!isObject(fields)) throw new TokenError(`${path} must be an object`, false, { claim: claim ?? "payload" });
    this.fields = fields;
  }

  value(name: string): unknown {
    return Object.hasOwn(this.fields, name) ? (this.fields[name] ?? undefined) : undefined;
  }

  string(name: string): string | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === "string") return value;
    throw this.unexpected(name, "a string", value);
  }

  /** RFC 7519 §2, NumericDate: seconds since 1970, "non-integer values can be represented". */
  time(name: string): number | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
    throw this.unexpected(name, "a Unix time in seconds, from 0", value);
  }

  strings(name: string): readonly string[] {
    const value = this.value(name) ?? [];
    if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
    throw this.unexpected(name, "an array of strings", value);
  }

  *objects(name: string): Iterable<readonly [string, Claims]> {
    const value = this.value(name) ?? {};
    if (!isObject(value)) throw this.unexpected(name, "an object", value);
    for (const [key, each] of Object.entries(value)) {
      yield [key, new Claims(each ?? {}, `${this.path}.${name}[${JSON.stringify(key)}]`, name)];
    }
  }

  /** Returns the JSON of `name`, or of `encoded`, which has it in base64. */
  json(name: string, encoded: string): unknown {
    const text = this.string(encoded);
    const value = this.value(name);
    if (text === undefined || text === "") return value;
    if (value !== undefined) throw this.fault(encoded, `must not come with ${name}`);
    try {
      return JSON.parse(jsonOfBase64(text)) as unknown;
    } catch {
      throw this.fault(encoded, "must be JSON in base64: the protocol variant in use is JSON");
    }
  }

  refuse(names: readonly string[], why: string): void {
    for (const name of names) if (this.value(name) !== undefined) throw this.fault(name, why);
  }

  fault(name: string, what: string): TokenError {
    return new TokenError(`${this.path}.${name} ${what}`, false, { claim: this.claim ?? name });
  }

  private unexpected(name: string, expected: string, value: unknown): TokenError {
    const got = typeof value === "number" ? String(value) : Array.isArray(value) ? "array" : typeof value;
    return this.fault(name, `must be ${expected}, got ${got}`);
  }
}
