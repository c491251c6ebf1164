import { argumentError } from "tungstate/internal";
import { isAmong, resolveAccess, type SubscribeGrant } from "../../settings/access.ts";
import { commandError, DISCONNECTS } from "../../codes.ts";
import { type SubscriptionCredentials, TokenError } from "../../settings/credentials.ts";
import { optionalJson } from "../../json/json.ts";
import type { Namespace } from "../../settings/namespaces.ts";
import { disconnect, namespaceOf, type Parts } from "../parts.ts";
import type { SubRefreshCommand, SubscribeCommand, UnsubscribeCommand } from "../../protocol/command.ts";
import { reply, subRefreshJson, subscribeJson } from "../../protocol/encode.ts";
import type { Session } from "../session.ts";

export async function subscribe(session: Session, parts: Parts, command: SubscribeCommand): Promise<void> {
  const { channel, since } = command;
  const namespace = namespaceOf(parts, channel);
  if (session.memberships.has(channel)) throw commandError("ALREADY_SUBSCRIBED");
  let grant: SubscribeGrant;
  try {
    grant = await authorize(session, parts, namespace, command);
  } catch (error) {
    throw refusal(error, commandError("TOKEN_EXPIRED"));
  }
  if (session.state === "closed") return;
  // it may have been subscribed by the server meanwhile
  if (session.memberships.has(channel)) throw commandError("ALREADY_SUBSCRIBED");
  const limit = parts.settings.limits.channels;
  if (session.memberships.size >= limit) throw commandError("LIMIT_EXCEEDED", `at most ${limit} channels`);
  const expiry = session.secondsTo(grant.expireAt);
  if (expiry !== undefined && expiry <= 0) {
    // after TOKEN_EXPIRED the client gets another token; EXPIRED ends the subscription permanently
    throw commandError(isByToken(parts, command.token) ? "TOKEN_EXPIRED" : "EXPIRED");
  }
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
  const begin = async (): Promise<void> => {
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
    const text = reply(command.id, "subscribe", subscribeJson({ ...beginning, recoverable, expiry, delta, data }));
    session.charge(text.length);
    session.outbox.line(text);
    membership.announce();
    if (grant.expireAt !== undefined) session.reschedule();
  };
  // what it missed is read when the connection takes it
  await (since === undefined ? begin() : session.pages.run(begin));
}

export function unsubscribe(session: Session, _parts: Parts, command: UnsubscribeCommand): void {
  session.leave(command.channel); // of no subscription: as good as done
  session.outbox.line(reply(command.id, "unsubscribe", "{}"));
}

/** A new token for the same subscription: it expires later, and has what the token says. */
export async function subRefresh(session: Session, parts: Parts, command: SubRefreshCommand): Promise<void> {
  const { channel, token } = command;
  const membership = session.memberships.get(channel);
  if (membership?.isLive !== true) throw commandError("PERMISSION_DENIED", "not subscribed");
  let grant: SubscribeGrant;
  try {
    grant = await authorize(session, parts, membership.namespace, { channel, token, data: undefined });
  } catch (error) {
    // after 3006 the client comes back and subscribes with a new token; an error would end its
    // subscription permanently
    throw refusal(error, disconnect(DISCONNECTS.SUBSCRIPTION_EXPIRED));
  }
  if (!membership.isLive) throw commandError("PERMISSION_DENIED", "not subscribed");
  const expiry = session.secondsTo(grant.expireAt);
  if (expiry !== undefined && expiry <= 0) throw disconnect(DISCONNECTS.SUBSCRIPTION_EXPIRED);
  membership.subscription.expireAt = grant.expireAt;
  const chanInfo = optionalJson(grant.info, "the info of a subscription");
  if (chanInfo !== undefined) membership.describe(session.makeInfo(chanInfo));
  session.reschedule();
  session.outbox.line(reply(command.id, "sub_refresh", subRefreshJson(expiry)));
}

function isByToken(parts: Parts, token: string): boolean {
  return token !== "" && parts.settings.tokens !== undefined;
}

async function authorize(
  session: Session,
  parts: Parts,
  { name, subscribe }: Namespace,
  { channel, token, data }: Pick<SubscribeCommand, "channel" | "token" | "data">,
): Promise<SubscribeGrant> {
  const { tokens } = parts.settings;
  if (token !== "" && tokens !== undefined) {
    try {
      const credentials = await tokens.subscription(token);
      checkBinding(credentials, session, channel);
      return credentials;
    } catch (error) {
      if (error instanceof TokenError) parts.settings.onTokenRefused(error);
      throw error;
    }
  }
  if (typeof subscribe !== "function") {
    if (token === "" && isAmong(subscribe, session, false)) return {};
    throw commandError("PERMISSION_DENIED");
  }
  const answer: unknown = await subscribe({ session, channel, data, token });
  const grant = await resolveAccess(answer, true);
  if (grant !== undefined) return grant;
  if (answer) parts.background.onError(noGrant(name, answer));
  throw commandError("PERMISSION_DENIED");
}

/**
 * What a client is answered where `authorize` failed: `whenExpired` for a token that is too old.
 */
function refusal(error: unknown, whenExpired: Error): unknown {
  if (!(error instanceof TokenError)) return error;
  if (error.temporary) return commandError("INTERNAL");
  return error.expired ? whenExpired : commandError("PERMISSION_DENIED", "the token is not valid");
}

/**
 * Throws a TokenError where the token is for someone else, for another channel or another
 * connection.
 */
function checkBinding(credentials: SubscriptionCredentials, session: Session, channel: string): void {
  const wrong = (claim: string, what: string): TokenError =>
    new TokenError(`token.${claim} is not the ${what}`, false, { claim });
  if (credentials.user !== session.user) throw wrong("sub", "user of the connection");
  if (credentials.channel !== channel) throw wrong("channel", "channel of the subscription");
  const { client } = credentials;
  if (client !== undefined && client !== session.client) throw wrong("client", "id of the connection");
}

function noGrant(namespace: string, answer: unknown): TypeError {
  const what =
    typeof answer === "object" && answer !== null ? `an object with ${Object.keys(answer).join(", ")}` : typeof answer;
  return argumentError(
    TypeError,
    `namespace "${namespace}": subscribe must return true, or an object with no fields but info, data and expireAt, to allow; got ${what}`,
  );
}
