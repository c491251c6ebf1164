import { hasOnly } from "tungstate/internal";
import type { ClientSession } from "./client-session.ts";
import type { JsonObject } from "../json/json.ts";

/** A request of a client for a channel. */
export interface AccessRequest {
  /** The session of the client. */
  readonly session: ClientSession;
  /** The channel. */
  readonly channel: string;
  /** The publication, or the data that the client sent with its subscription. */
  readonly data: unknown;
}

/**
 * Allows a subscription, and adds to it. An object with other fields is not a grant, and denies.
 */
export interface SubscribeGrant {
  /** What others may know of this client in this channel. */
  readonly info?: unknown;
  /** Data for the client, sent with the reply. */
  readonly data?: unknown;
  /**
   * Unix time in seconds at which the subscription ends, unless it is refreshed. Default: never.
   */
  readonly expireAt?: number | undefined;
}

/**
 * Which sessions may do something: all connected clients, those with a user, those subscribed to
 * the channel, or none.
 */
export type Audience = "anyone" | "authenticated" | "subscribers" | "nobody";

/** A request to subscribe. */
export interface SubscribeRequest extends AccessRequest {
  /**
   * The subscription token; "" if there is none. If a TokenVerifier is in use, it checks tokens
   * instead of this function.
   */
  readonly token: string;
}

/**
 * Only a literal `true`, or a promise of it, allows. Anything else is answered with "permission
 * denied" (103). A CommandError or Disconnect thrown reaches the client; any other error is
 * answered with a temporary error (100) and reported to `onError`.
 */
export type AccessFunction = (request: AccessRequest) => boolean | PromiseLike<boolean>;

/** As AccessFunction; a SubscribeGrant allows too. */
export type SubscribeFunction = (
  request: SubscribeRequest,
) => boolean | SubscribeGrant | PromiseLike<boolean | SubscribeGrant>;

const PLAIN_GRANT: SubscribeGrant = {};
const GRANT_FIELDS: ReadonlySet<string> = new Set(["info", "data", "expireAt"] satisfies (keyof SubscribeGrant)[]);

/**
 * Returns the grant in the result of a permission function, or undefined if access is denied. A
 * promise or any other thenable is awaited first. `takesGrant`: whether a SubscribeGrant allows as
 * well as `true`.
 */
export function resolveAccess(
  answer: unknown,
  takesGrant: boolean,
): SubscribeGrant | undefined | Promise<SubscribeGrant | undefined> {
  if (typeof answer !== "object" && typeof answer !== "function") return grantIn(answer, takesGrant);
  return Promise.resolve(answer).then((settled) => grantIn(settled, takesGrant));
}

function grantIn(answer: unknown, takesGrant: boolean): SubscribeGrant | undefined {
  if (answer === true) return PLAIN_GRANT;
  return takesGrant && isGrant(answer) ? answer : undefined;
}

function isGrant(answer: unknown): answer is SubscribeGrant {
  return hasOnly<JsonObject>(answer, GRANT_FIELDS) && isTimeOrAbsent(answer["expireAt"]);
}

/** Whether `value` is a valid Unix time, or undefined. */
export function isTimeOrAbsent(value: unknown): boolean {
  return value === undefined || (typeof value === "number" && Number.isFinite(value));
}

/** Whether the session belongs to `audience`. */
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
