import { isAmong, type SubscribeGrant } from "../access.ts";
import { commandError } from "../codes.ts";
import { type SubscriptionCredentials, TokenError, type TokenVerifier } from "../credentials.ts";
import { optionalJson } from "../json.ts";
import type { Namespace } from "../namespaces.ts";
import { namespaceOf, type Parts } from "../parts.ts";
import type { SubRefreshCommand, SubscribeCommand, UnsubscribeCommand } from "../protocol/command.ts";
import { reply, subRefreshJson, subscribeJson } from "../protocol/encode.ts";
import type { Session } from "../session.ts";

export async function subscribe(session: Session, parts: Parts, command: SubscribeCommand): Promise<void> {
  const { channel, since } = command;
  const namespace = namespaceOf(parts, channel);
  if (session.memberships.has(channel)) throw commandError("ALREADY_SUBSCRIBED");
  const grant = await authorize(session, parts, namespace, command);
  if (session.state === "closed") return;
  // it may have been subscribed by the server meanwhile
  if (session.memberships.has(channel)) throw commandError("ALREADY_SUBSCRIBED");
  const limit = parts.settings.limits.channels;
  if (session.memberships.size >= limit) throw commandError("LIMIT_EXCEEDED", `at most ${limit} channels`);
  const expiry = session.secondsTo(grant.expireAt);
  if (expiry !== undefined && expiry <= 0) throw commandError("EXPIRED", "the subscription's time has passed");
  const chanInfo = optionalJson(grant.info, "the info of a subscription");
  const data = optionalJson(grant.data, "the data of a subscription");
  const positioned = namespace.recovery || (namespace.hasHistory && command.positioned);
  const delta = namespace.delta && command.delta && positioned;
  const membership = session.join(channel, namespace, {
    serverSide: false,
    positioned,
    delta,
    hearsJoins: namespace.joinLeave === true || (namespace.joinLeave === "asking" && command.joinLeave),
    info: session.makeInfo(chanInfo),
    expireAt: grant.expireAt,
  });
  try {
    await membership.prepare(since);
    if (command.rejectUnrecovered && since !== undefined && !membership.isRecoverable) {
      throw commandError("UNRECOVERABLE_POSITION");
    }
  } catch (error) {
    if (session.memberships.get(channel) === membership) session.leave(channel);
    throw error;
  }
  const beginning = membership.commit();
  const recoverable = namespace.recovery;
  session.outbox.line(
    reply(command.id, "subscribe", subscribeJson({ ...beginning, recoverable, expiry, delta, data })),
  );
  membership.announce();
  if (grant.expireAt !== undefined) session.reschedule();
}

export function unsubscribe(session: Session, _parts: Parts, command: UnsubscribeCommand): void {
  session.leave(command.channel); // of no subscription: as good as done
  session.outbox.line(reply(command.id, "unsubscribe", "{}"));
}

/** A new token for the same subscription: it expires later. */
export async function subRefresh(session: Session, parts: Parts, command: SubRefreshCommand): Promise<void> {
  const { channel, token } = command;
  const membership = session.memberships.get(channel);
  if (membership?.isLive !== true) throw commandError("PERMISSION_DENIED", "not subscribed");
  const { expireAt } = await authorize(session, parts, membership.namespace, { channel, token, data: undefined });
  if (!membership.isLive) throw commandError("PERMISSION_DENIED", "not subscribed");
  membership.subscription.expireAt = expireAt;
  const expiry = session.secondsTo(expireAt);
  if (expiry !== undefined && expiry <= 0) throw commandError("EXPIRED", "the subscription's time has passed");
  session.reschedule();
  session.outbox.line(reply(command.id, "sub_refresh", subRefreshJson(expiry)));
}

async function authorize(
  session: Session,
  parts: Parts,
  { subscribe }: Namespace,
  { channel, token, data }: Pick<SubscribeCommand, "channel" | "token" | "data">,
): Promise<SubscribeGrant> {
  const { tokens } = parts.settings;
  if (token !== "" && tokens !== undefined) return checkToken(session, tokens, token, channel);
  if (typeof subscribe !== "function") {
    if (token === "" && isAmong(subscribe, session, false)) return {};
    throw commandError("PERMISSION_DENIED");
  }
  const granted = await subscribe({ session, channel, data, token });
  if (granted === false) throw commandError("PERMISSION_DENIED");
  return granted === true ? {} : granted;
}

async function checkToken(
  session: Session,
  tokens: TokenVerifier,
  token: string,
  channel: string,
): Promise<SubscriptionCredentials> {
  let credentials: SubscriptionCredentials;
  try {
    credentials = await tokens.subscription(token);
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    throw error.expired ? commandError("TOKEN_EXPIRED") : commandError("PERMISSION_DENIED", "the token is not valid");
  }
  if (credentials.user !== session.user || credentials.channel !== channel) {
    throw commandError("PERMISSION_DENIED", "the token is for another user or channel");
  }
  return credentials;
}
