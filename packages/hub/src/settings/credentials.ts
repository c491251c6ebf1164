import { hasOnly, isTimeOrAbsent } from "./access.ts";

/** A client's connect command, as `authenticate` gets it. For a refresh, all but the token is empty. */
export interface ConnectRequest {
  /** The id that the connection will have. */
  readonly client: string;
  /** What the client gave its SDK for the server. */
  readonly data: unknown;
  /** Of the client's software. */
  readonly name: string;
  /** The version of the client's software. */
  readonly version: string;
  /** Headers that a browser can't send in the handshake, in the names that the client wrote. */
  readonly headers: Readonly<Record<string, string>>;
  /** "" where there is none. */
  readonly token: string;
  /** The `context` of `attachSocket`, such as the request. */
  readonly context: unknown;
}

/** A channel that the server subscribes a client to. */
export interface ServerSubscription {
  /** What others may know of this client in this channel. */
  readonly info?: unknown;
  /** For the client: comes with the subscription. */
  readonly data?: unknown;
}

/** Who a client is. An object with unknown fields, or without `user`, is refused. */
export interface Credentials {
  /** "" is an anonymous user. */
  readonly user: string;
  /** What others may know of the client: goes with its publications, presence, joins and leaves. */
  readonly info?: unknown;
  /** What only the application knows of it. */
  readonly meta?: unknown;
  /** For the client: comes with the answer to its connect command. */
  readonly data?: unknown;
  /** Unix time in seconds at which the connection ends, unless it is refreshed. */
  readonly expireAt?: number | undefined;
  /**
   * Channels that the client is subscribed to without asking. Credentials of a refresh replace those of before: the client is unsubscribed from
   * channels that they no longer name, and subscribed to new ones.
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

/** Whether `value` has the shape of Credentials. */
export function isCredentials(value: unknown): value is Credentials {
  if (!hasOnly(value, CREDENTIAL_FIELDS)) return false;
  const { user, expireAt, subs } = value;
  return typeof user === "string" && isTimeOrAbsent(expireAt) && (subs === undefined || areSubscriptions(subs));
}

function areSubscriptions(value: unknown): boolean {
  if (!isMap(value)) return false;
  for (const [channel, subscription] of value) {
    if (typeof channel !== "string" || !hasOnly(subscription, SUBSCRIPTION_FIELDS)) return false;
  }
  return true;
}

/** Of any realm: a test runner may have a Map of its own. */
function isMap(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return Object.prototype.toString.call(value) === "[object Map]";
}

/**
 * Returns who a client is, or a promise of it. Any value but Credentials refuses the client (101). A CommandError or Disconnect thrown reaches the
 * client; anything else is an internal error (100), after which the client tries again.
 */
export type Authenticate = (request: ConnectRequest) => Credentials | undefined | PromiseLike<Credentials | undefined>;

/** What a subscription token says. */
export interface SubscriptionCredentials {
  /** The user that the token is for; "" is an anonymous one. */
  readonly user: string;
  /** The channel that the token is for. */
  readonly channel: string;
  /** The only client that may use the token; undefined: any client of the user. */
  readonly client?: string | undefined;
  /** What others may know of this client in this channel. */
  readonly info?: unknown;
  /** For the client: comes with the subscription. */
  readonly data?: unknown;
  /** Unix time in seconds at which the subscription ends, unless it is refreshed. */
  readonly expireAt?: number | undefined;
}

export interface TokenErrorOptions extends ErrorOptions {
  /** The claim of a properly signed token that is wrong. The hub reports such an error to `onError`. */
  readonly claim?: string | undefined;
  /** The same token may be accepted later: the client is answered with a temporary error. Default: false. */
  readonly temporary?: boolean | undefined;
}

/** Why a token is refused. `expired`: the client should get another one. The client is not told the message. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  /** Whether the client should get another token. */
  readonly expired: boolean;
  /** The claim that is wrong, of a properly signed token. */
  readonly claim: string | undefined;
  /** Whether the same token may be accepted later. */
  readonly temporary: boolean;

  constructor(message: string, expired: boolean, options?: TokenErrorOptions) {
    super(message, options);
    this.expired = expired;
    this.claim = options?.claim;
    this.temporary = options?.temporary ?? false;
  }
}

/** Checks tokens. Rejects with a TokenError, or with another error where it can't tell, such as keys that can't be fetched. */
export interface TokenVerifier {
  /** Checks a connection token. Rejects with a TokenError. */
  connection(token: string): Promise<Credentials>;
  /** Checks a subscription token. Rejects with a TokenError. */
  subscription(token: string): Promise<SubscriptionCredentials>;
}
