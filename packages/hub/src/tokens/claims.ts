import type { Credentials, ServerSubscription, SubscriptionCredentials } from "../credentials.ts";
import { commandError } from "../codes.ts";
import { Fields } from "../fields.ts";

/** The claims of a connection token. Throws a CommandError where one is not what it has to be. */
export function connectionCredentials(payload: unknown): Credentials {
  const claims = new Fields(payload, "token");
  // a token for one subscription says nothing of who may connect
  if (claims.has("channel")) throw commandError("BAD_REQUEST", "token.channel belongs in a subscription token");
  return {
    user: claims.string("sub"),
    info: claims.raw("info"),
    meta: claims.raw("meta"),
    expireAt: expireAt(claims),
    subs: subscriptions(claims),
  };
}

/** The claims of a subscription token. Throws a CommandError where one is not what it has to be. */
export function subscriptionCredentials(payload: unknown): SubscriptionCredentials {
  const claims = new Fields(payload, "token");
  return {
    user: claims.string("sub"),
    channel: claims.requiredString("channel"),
    info: claims.raw("info"),
    data: claims.raw("data"),
    expireAt: expireAt(claims),
  };
}

/** `expire_at` says when the connection or subscription ends, 0 for never; without it, that is when the token does. */
function expireAt(claims: Fields): number | undefined {
  const name = claims.has("expire_at") ? "expire_at" : "exp";
  return claims.integer(name) || undefined;
}

/** `channels` has only names, `subs` has options too. */
function subscriptions(claims: Fields): ReadonlyMap<string, ServerSubscription> {
  const subs = new Map<string, ServerSubscription>();
  for (const channel of claims.strings("channels")) subs.set(channel, {});
  const byChannel = claims.fields("subs");
  for (const channel of byChannel?.keys() ?? []) {
    const options = byChannel?.fields(channel);
    subs.set(channel, { info: options?.raw("info"), data: options?.raw("data") });
  }
  return subs;
}
