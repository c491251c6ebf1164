import { commandError, DISCONNECTS } from "../codes.ts";
import { type Credentials, TokenError } from "../credentials.ts";
import { type JsonText, toJson } from "../json.ts";
import type { Membership } from "../membership.ts";
import { disconnect, namespaceOf, type Parts } from "../parts.ts";
import type { ConnectCommand, RefreshCommand } from "../protocol/command.ts";
import { connectJson, refreshJson, reply, subscribeJson } from "../protocol/encode.ts";
import type { Session } from "../session.ts";

/** Who the client is, then its server-side subscriptions, then the answer. On an error the session is as before. */
export async function connect(session: Session, parts: Parts, command: ConnectCommand): Promise<void> {
  const { settings } = parts;
  const credentials = await identify(session, parts, command);
  if (session.isClosed) return;
  const limit = settings.limits.connectionsPerUser;
  if (limit > 0 && credentials.user !== "" && parts.registry.of(credentials.user).size >= limit) {
    throw disconnect(DISCONNECTS.CONNECTION_LIMIT);
  }
  session.identify(credentials);
  const { expiry } = session;
  if (expiry !== undefined && expiry <= 0) throw commandError("EXPIRED", "the connection's time has passed");
  const data = credentials.data === undefined ? undefined : toJson(credentials.data, "the data of a connection");
  let memberships: readonly Membership[];
  try {
    memberships = await prepareServerSide(session, parts, credentials, command);
  } catch (error) {
    for (const channel of [...session.memberships.keys()]) session.leave(channel);
    throw error;
  }
  if (session.isClosed) return;
  // from here on in one step, so that nothing is published between a subscription and the answer that tells of it
  const subs = new Map<string, JsonText>();
  for (const membership of memberships) {
    const granted = credentials.subs?.get(membership.subscription.channel);
    const beginning = membership.commit();
    subs.set(
      membership.subscription.channel,
      subscribeJson({
        ...beginning,
        recoverable: membership.namespace.recovery,
        expiry: undefined,
        delta: false,
        data: granted?.data === undefined ? undefined : toJson(granted.data, "the data of a subscription"),
      }),
    );
  }
  const ping = settings.ping === false ? 0 : settings.ping.interval / 1000;
  const { client } = session;
  const { version, name } = settings;
  session.connected();
  session.outbox.line(
    reply(command.id, "connect", connectJson({ client, version, expiry, data, subs, ping, node: name })),
  );
  for (const membership of memberships) membership.announce();
  settings.onConnect(session);
}

/** A new token for the same user: the connection expires later. */
export async function refresh(session: Session, parts: Parts, command: RefreshCommand): Promise<void> {
  const credentials = await checkToken(parts, command.token);
  if (credentials.user !== session.user) throw disconnect(DISCONNECTS.INVALID_TOKEN);
  session.refresh(credentials.expireAt, false);
  const { expiry } = session;
  if (expiry !== undefined && expiry <= 0) throw disconnect(DISCONNECTS.EXPIRED);
  session.outbox.line(reply(command.id, "refresh", refreshJson(session.client, parts.settings.version, expiry)));
}

async function identify(session: Session, parts: Parts, command: ConnectCommand): Promise<Credentials> {
  if (command.token !== "") return checkToken(parts, command.token);
  const { authenticate, anonymous } = parts.settings;
  const { client, context } = session;
  const { data, name, version, headers, token } = command;
  const credentials = await authenticate?.({ client, data, name, version, headers, token, context });
  if (credentials !== undefined) return credentials;
  if (anonymous) return { user: "" };
  throw commandError("UNAUTHORIZED");
}

async function checkToken(parts: Parts, token: string): Promise<Credentials> {
  const { tokens } = parts.settings;
  if (tokens === undefined) throw disconnect(DISCONNECTS.INVALID_TOKEN);
  try {
    return await tokens.connection(token);
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    throw error.expired ? commandError("TOKEN_EXPIRED") : disconnect(DISCONNECTS.INVALID_TOKEN);
  }
}

async function prepareServerSide(
  session: Session,
  parts: Parts,
  credentials: Credentials,
  command: ConnectCommand,
): Promise<readonly Membership[]> {
  const subs = credentials.subs ?? new Map();
  if (subs.size > parts.settings.limits.channels) throw disconnect(DISCONNECTS.CHANNEL_LIMIT);
  const memberships: Membership[] = [];
  for (const [channel, { info }] of subs) {
    const namespace = namespaceOf(parts, channel);
    const chanInfo = info === undefined ? undefined : toJson(info, "the info of a subscription");
    memberships.push(
      session.join(channel, namespace, {
        serverSide: true,
        positioned: namespace.recovery,
        delta: false,
        hearsJoins: namespace.joinLeave === true,
        info: session.makeInfo(chanInfo),
        expireAt: undefined,
      }),
    );
  }
  const { positions } = command;
  await Promise.all(memberships.map((each) => each.prepare(positions.get(each.subscription.channel))));
  return memberships;
}
