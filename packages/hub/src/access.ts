import type { ClientSession } from "./client-session.ts";

/** A client wants something of a channel. */
export interface AccessRequest {
  readonly session: ClientSession;
  readonly channel: string;
  /** Of a publication, or what the client gave its subscription for the server. */
  readonly data: unknown;
}

/** What goes with a subscription that is allowed. */
export interface SubscribeGrant {
  /** What others may know of this client in this channel. */
  readonly info?: unknown;
  /** For the client: comes with the answer. */
  readonly data?: unknown;
  /** Unix time in seconds at which the subscription ends, unless it is refreshed. */
  readonly expireAt?: number | undefined;
}

/** Who may do something: all connected clients, those with a user, those subscribed to the channel, or nobody. */
export type Audience = "anyone" | "authenticated" | "subscribers" | "nobody";

/** A client wants to subscribe. */
export interface SubscribeRequest extends AccessRequest {
  /** "" where there is none. Where a TokenVerifier is in use it has checked it, and this function is not asked. */
  readonly token: string;
}

/** True allows, false is answered with "permission denied" (103). A CommandError or Disconnect thrown reaches the client. */
export type AccessFunction = (request: AccessRequest) => boolean | Promise<boolean>;

export type SubscribeFunction = (
  request: SubscribeRequest,
) => boolean | SubscribeGrant | Promise<boolean | SubscribeGrant>;

/** Whether `audience` holds the session. */
export function isAmong(audience: Audience, session: ClientSession, isSubscribed: boolean): boolean {
  switch (audience) {
    case "anyone":
      return true;
    case "authenticated":
      return session.user !== "";
    case "subscribers":
      return isSubscribed;
    case "nobody":
      return false;
  }
}
