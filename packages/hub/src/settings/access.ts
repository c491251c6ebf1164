import type { ClientSession } from "./client-session.ts";
import { isObject, type JsonObject } from "../json/json.ts";

/** A client wants something of a channel. */
export interface AccessRequest {
  /** The session that asks. */
  readonly session: ClientSession;
  /** The channel that it asks for. */
  readonly channel: string;
  /** Of a publication, or what the client gave its subscription for the server. */
  readonly data: unknown;
}

/** What goes with a subscription that is allowed. An object with other fields is no grant, and denies. */
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

/**
 * Only a literal `true`, or a promise of it, allows. Anything else is answered with "permission denied" (103). A CommandError or Disconnect
 * thrown reaches the client; any other error is answered with a temporary error (100) and reported to `onError`.
 */
export type AccessFunction = (request: AccessRequest) => boolean | PromiseLike<boolean>;

/** As AccessFunction; a SubscribeGrant allows too. */
export type SubscribeFunction = (
  request: SubscribeRequest,
) => boolean | SubscribeGrant | PromiseLike<boolean | SubscribeGrant>;

const PLAIN_GRANT: SubscribeGrant = {};
const GRANT_FIELDS: ReadonlySet<string> = new Set(["info", "data", "expireAt"] satisfies (keyof SubscribeGrant)[]);

/**
 * Judges what a permission function returned. Returns the grant, or undefined: denied. A promise or any other thenable is awaited, then
 * judged. `takesGrant`: whether a SubscribeGrant allows as well as `true`.
 */
export function judge(
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
  return hasOnly(answer, GRANT_FIELDS) && isTimeOrAbsent(answer["expireAt"]);
}

/** Whether `value` is a plain object without fields other than `fields`. */
export function hasOnly(value: unknown, fields: ReadonlySet<string>): value is JsonObject {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // an object of a class, such as an Error or a Map, is no grant
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return false;
  return Reflect.ownKeys(value).every((name) => typeof name === "string" && fields.has(name));
}

/** Whether `value` is a Unix time that can be compared with others, or absent. */
export function isTimeOrAbsent(value: unknown): boolean {
  return value === undefined || (typeof value === "number" && Number.isFinite(value));
}

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
