/** A client's connect command, as those see it who decide who it is. Of a refresh, all but the token is empty. */
export interface ConnectRequest {
  /** The id that the connection will have. */
  readonly client: string;
  /** What the client gave its SDK for the server. */
  readonly data: unknown;
  /** Of the client's software. */
  readonly name: string;
  readonly version: string;
  /** Headers that a browser can't send in the handshake, in the names that the client wrote. */
  readonly headers: Readonly<Record<string, string>>;
  /** "" where there is none. */
  readonly token: string;
  /** What whoever accepted the connection gave to the hub, such as the request. */
  readonly context: unknown;
}

/** A channel that the server subscribes a client to. */
export interface ServerSubscription {
  /** What others may know of this client in this channel. */
  readonly info?: unknown;
  /** For the client: comes with the subscription. */
  readonly data?: unknown;
}

/** Who a client is. */
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
  /** Channels that the client is subscribed to without asking. */
  readonly subs?: ReadonlyMap<string, ServerSubscription>;
}

/**
 * Says who a client is; undefined: nobody (101). A CommandError or Disconnect thrown reaches the client; anything else is an
 * internal error (100), after which the client tries again.
 */
export type Authenticate = (request: ConnectRequest) => Credentials | undefined | Promise<Credentials | undefined>;

/** What a subscription token says. */
export interface SubscriptionCredentials {
  readonly user: string;
  readonly channel: string;
  readonly info?: unknown;
  readonly data?: unknown;
  /** Unix time in seconds at which the subscription ends, unless it is refreshed. */
  readonly expireAt?: number | undefined;
}

/** Why a token does not count. `expired`: the client should get another one. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  readonly expired: boolean;

  constructor(message: string, expired: boolean, options?: ErrorOptions) {
    super(message, options);
    this.expired = expired;
  }
}

/** Checks tokens. Rejects with a TokenError, or with another error where it can't tell, such as keys that can't be fetched. */
export interface TokenVerifier {
  connection(token: string): Promise<Credentials>;
  subscription(token: string): Promise<SubscriptionCredentials>;
}
