import { hasOnly } from "tungstate/internal";
import type { JsonObject } from "../json/json.ts";
import { isTimeOrAbsent } from "./access.ts";
import { HubError } from "../errors.ts";

/**
 * The connect command of a client, as `authenticate` gets it. For a refresh, all fields but the
 * token are empty.
 */
export interface ConnectRequest {
  /** The id that the connection will have. */
  readonly client: string;
  /** Data that the application gave its SDK for the server. */
  readonly data: unknown;
  /** The name of the client's software. */
  readonly name: string;
  /** The version of the client's software. */
  readonly version: string;
  /**
   * Header fields that a browser cannot send in the handshake, with the names that the client
   * wrote.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** The connection token; "" if there is none. */
  readonly token: string;
  /** The `context` of `attachSocket`, such as the request. */
  readonly context: unknown;
}

/** A server-side subscription of a client. */
export interface ServerSubscription {
  /** What others may know of this client in this channel. */
  readonly info?: unknown;
  /** Data for the client, sent with the subscription. */
  readonly data?: unknown;
}

/** The identity of a client. An object with unknown fields, or without `user`, is refused. */
export interface Credentials {
  /** The user; "" is an anonymous one. */
  readonly user: string;
  /** What others may know of the client: goes with its publications, presence, joins and leaves. */
  readonly info?: unknown;
  /** Data for the application only. */
  readonly meta?: unknown;
  /** Data for the client, sent with the reply to its connect command. */
  readonly data?: unknown;
  /** Unix time in seconds at which the connection ends, unless it is refreshed. Default: never. */
  readonly expireAt?: number | undefined;
  /**
   * Server-side subscriptions of the client. The credentials of a refresh replace the earlier ones:
   * the client is unsubscribed from channels that they omit, and subscribed to new ones.
   */
  readonly subs?: ReadonlyMap<string, ServerSubscription>;
}

const CREDENTIAL_FIELDS: ReadonlySet<string> = new Set([
  "user",
  "info",
  "meta",
  "data",
  "expireAt",
  "subs",
] satisfies (keyof Credentials)[]);

const SUBSCRIPTION_FIELDS: ReadonlySet<string> = new Set(["info", "data"] satisfies (keyof ServerSubscription)[]);

/** Whether `value` is a valid Credentials object. */
export function isCredentials(value: unknown): value is Credentials {
  if (!hasOnly<JsonObject>(value, CREDENTIAL_FIELDS)) return false;
  const { user, expireAt, subs } = value;
  return typeof user === "string" && isTimeOrAbsent(expireAt) && (subs === undefined || areSubscriptions(subs));
}

function areSubscriptions(value: unknown): boolean {
  if (!isMap(value)) return false;
  for (const [channel, subscription] of value) {
    if (typeof channel !== "string" || !hasOnly<JsonObject>(subscription, SUBSCRIPTION_FIELDS)) return false;
  }
  return true;
}

/** A Map of any realm: a test runner may have its own. */
function isMap(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return Object.prototype.toString.call(value) === "[object Map]";
}

/**
 * Returns the credentials of a client, or a promise of them. Any other value refuses the client
 * (101). A CommandError or Disconnect that is thrown reaches the client; any other error is an
 * internal error (100), after which the client tries again.
 */
export type Authenticate = (request: ConnectRequest) => Credentials | undefined | PromiseLike<Credentials | undefined>;

/** The content of a subscription token. */
export interface SubscriptionCredentials {
  /** The user that the token is for; "" is an anonymous one. */
  readonly user: string;
  /** The channel that the token is for. */
  readonly channel: string;
  /** The only client that may use the token; undefined: any client of the user. */
  readonly client?: string | undefined;
  /** What others may know of this client in this channel. */
  readonly info?: unknown;
  /** Data for the client, sent with the subscription. */
  readonly data?: unknown;
  /** Unix time in seconds at which the subscription ends, unless it is refreshed. */
  readonly expireAt?: number | undefined;
}

export interface TokenErrorOptions extends ErrorOptions {
  /** The wrong claim of a properly signed token. The hub reports such an error to `onError`. */
  readonly claim?: string | undefined;
  /**
   * Whether the same token may be accepted later; the client gets a temporary error then. Default:
   * false.
   */
  readonly temporary?: boolean | undefined;
}

/** A token was refused. The client is not told the message. */
export class TokenError extends HubError {
  override readonly name = "TokenError";
  /** Whether the client should get another token. */
  readonly expired: boolean;
  /** The claim that is wrong, of a properly signed token. */
  readonly claim: string | undefined;
  /** Whether the same token may be accepted later. */
  readonly temporary: boolean;

  constructor(message: string, expired: boolean, options?: TokenErrorOptions) {
    super("INVALID_TOKEN", message, options);
    this.expired = expired;
    this.claim = options?.claim;
    this.temporary = options?.temporary ?? false;
  }
}

/**
 * Verifies tokens. Rejects with a TokenError, and with another error if it cannot decide, for
 * example because keys cannot be fetched.
 */
export interface TokenVerifier {
  /** Checks a connection token. Rejects with a TokenError. */
  connection(token: string): Promise<Credentials>;
  /** Checks a subscription token. Rejects with a TokenError. */
  subscription(token: string): Promise<SubscriptionCredentials>;
}
