import { channelNameFault } from "../../options/channel-name.ts";
import { commandError, DISCONNECTS, UNSUBSCRIBES } from "../../codes.ts";
import { type Credentials, type ServerSubscription, TokenError } from "../../settings/credentials.ts";
import { type JsonText, optionalJson } from "../../json/json.ts";
import type { Membership } from "../../channels/membership.ts";
import type { Namespace } from "../../settings/namespaces.ts";
import { disconnect, type Parts } from "../parts.ts";
import type { ConnectCommand, RefreshCommand } from "../../protocol/command.ts";
import { connectJson, refreshJson, reply, subscribeJson } from "../../protocol/encode.ts";
import { subscribeByServer } from "../server-subscription.ts";
import type { Session } from "../session.ts";
import { identify, type Identity, type IdentityClaims, tokenRefusal } from "./identity.ts";

const NO_SUBS: ReadonlyMap<string, ServerSubscription> = new Map();

/** A membership that is prepared, and what the client is told with it. */
interface Prepared {
  readonly membership: Membership;
  readonly data: JsonText | undefined;
}

/**
 * Who the client is, then its server-side subscriptions, then the answer. On an error the session
 * is as before.
 */
export async function connect(session: Session, parts: Parts, command: ConnectCommand): Promise<void> {
  const { settings } = parts;
  const { credentials, byToken } = await identified(session, parts, command);
  if (session.isClosed) return;
  session.identify(credentials, byToken ? command.token.length : 0);
  const { expiry } = session;
  // after TOKEN_EXPIRED the client gets another token; EXPIRED ends it permanently
  if (expiry !== undefined && expiry <= 0) throw commandError(byToken ? "TOKEN_EXPIRED" : "EXPIRED");
  const data = optionalJson(credentials.data, "the data of a connection");
  let prepared: readonly Prepared[];
  try {
    prepared = await prepareServerSide(session, parts, credentials, command);
  } catch (error) {
    for (const channel of [...session.memberships.keys()]) session.leave(channel);
    throw error;
  }
  if (session.isClosed) return;
  const limit = settings.limits.connectionsPerUser;
  if (limit > 0 && credentials.user !== "" && parts.registry.of(credentials.user).size >= limit) {
    throw disconnect(DISCONNECTS.CONNECTION_LIMIT);
  }
  // from here on in one step, so that nothing is published between a subscription and the answer
  // that tells of it
  const subs = new Map<string, JsonText>();
  let room = settings.limits.pageBytes;
  for (const { membership, data } of prepared) {
    const recoverable = membership.namespace.recovery;
    const beginning = membership.commit(room);
    for (const publication of beginning.publications) room -= Buffer.byteLength(publication);
    const result = { ...beginning, recoverable, expiry: undefined, delta: false, data };
    subs.set(membership.subscription.channel, subscribeJson(result));
  }
  const ping = settings.ping === false ? 0 : settings.ping.interval / 1000;
  const { client } = session;
  const { version, name } = settings;
  session.connected();
  session.outbox.line(
    reply(command.id, "connect", connectJson({ client, version, expiry, data, subs, ping, node: name })),
  );
  for (const { membership } of prepared) membership.announce();
  settings.onConnect(session);
}

/** New credentials for the same user: the connection expires later, and has what they say. */
export async function refresh(session: Session, parts: Parts, command: RefreshCommand): Promise<void> {
  const { token } = command;
  const { settings } = parts;
  let identity: Identity;
  try {
    identity = await identify(session, parts, { token, data: undefined, name: "", version: "", headers: {} });
  } catch (error) {
    // after 3005 the client comes back with a new token; any command error that is not temporary
    // would end it permanently
    throw tokenRefusal(error, parts, disconnect(DISCONNECTS.EXPIRED));
  }
  if (session.isClosed) return;
  const { credentials } = identity;
  if (credentials.user !== session.user) {
    const fault = new TokenError("token.sub is not the user of the connection", false, { claim: "sub" });
    throw tokenRefusal(fault, parts, commandError("TOKEN_EXPIRED"));
  }
  session.refresh(credentials.expireAt, false);
  const { expiry } = session;
  if (expiry !== undefined && expiry <= 0) throw disconnect(DISCONNECTS.EXPIRED);
  session.describe(credentials.info, credentials.meta);
  await renewServerSide(session, parts, credentials);
  if (session.isClosed) return;
  session.outbox.line(reply(command.id, "refresh", refreshJson(session.client, settings.version, session.expiry)));
}

/**
 * The namespace of a channel that credentials name. Throws a CommandError, and tells the operator,
 * where there is no such channel.
 */
function grantedNamespace(parts: Parts, channel: string): Namespace {
  const { namespaces, limits } = parts.settings;
  const namespace = namespaces.of(channel);
  const fault = channelNameFault(channel, limits.channelLength) ?? (namespace === undefined ? "no such namespace" : "");
  if (namespace !== undefined && fault === "") return namespace;
  const message = `token.subs, token.channels or credentials name the channel ${JSON.stringify(channel.slice(0, 80))}: ${fault}`;
  parts.settings.onTokenRefused(new TokenError(message, false, { claim: "channels" }));
  throw commandError("UNKNOWN_CHANNEL");
}

async function identified(session: Session, parts: Parts, claims: IdentityClaims): Promise<Identity> {
  try {
    return await identify(session, parts, claims);
  } catch (error) {
    throw tokenRefusal(error, parts, commandError("TOKEN_EXPIRED"));
  }
}

/**
 * Server-side subscriptions follow the credentials: those that they no longer name end, new ones
 * begin.
 */
async function renewServerSide(session: Session, parts: Parts, { subs = NO_SUBS }: Credentials): Promise<void> {
  for (const [channel, { byCredentials }] of [...session.memberships]) {
    if (byCredentials && !subs.has(channel)) session.expel(channel, UNSUBSCRIBES.SERVER);
  }
  const added: Promise<void>[] = [];
  for (const [channel, subscription] of subs) {
    const namespace = grantedNamespace(parts, channel);
    const info = optionalJson(subscription.info, "the info of a subscription");
    const membership = session.memberships.get(channel);
    if (membership?.byCredentials === true) membership.describe(session.makeInfo(info));
    if (membership !== undefined) continue;
    const data = optionalJson(subscription.data, "the data of a subscription");
    const request = { channel, info, data, since: undefined, expireAt: undefined, byCredentials: true };
    added.push(subscribeByServer(session, parts, namespace, request));
  }
  await Promise.all(added);
}

async function prepareServerSide(
  session: Session,
  parts: Parts,
  credentials: Credentials,
  command: ConnectCommand,
): Promise<readonly Prepared[]> {
  const { subs } = credentials;
  if (subs === undefined) return [];
  if (subs.size > parts.settings.limits.channels) throw disconnect(DISCONNECTS.CHANNEL_LIMIT);
  const prepared = Array.from(subs, ([channel, { info, data }]): Prepared => {
    const namespace = grantedNamespace(parts, channel);
    const membership = session.join(channel, namespace, {
      serverSide: true,
      positioned: namespace.recovery,
      delta: false,
      hearsJoins: namespace.joinLeave === true,
      info: session.makeInfo(optionalJson(info, "the info of a subscription")),
      expireAt: undefined,
    });
    membership.byCredentials = true;
    return { membership, data: optionalJson(data, "the data of a subscription") };
  });
  // all of them share a page
  const pageBytes = Math.floor(parts.settings.limits.pageBytes / Math.max(1, command.positions.size));
  await Promise.all(
    prepared.map(({ membership }) =>
      membership.prepare(command.positions.get(membership.subscription.channel), pageBytes),
    ),
  );
  return prepared;
}
