import { commandError, DISCONNECTS } from "../codes.ts";
import { type Credentials, TokenError, type TokenVerifier } from "../credentials.ts";
import { type JsonText, optionalJson } from "../json.ts";
import type { Membership } from "../membership.ts";
import { disconnect, namespaceOf, type Parts } from "../parts.ts";
import type { ConnectCommand, RefreshCommand } from "../protocol/command.ts";
import { connectJson, refreshJson, reply, subscribeJson } from "../protocol/encode.ts";
import type { Session } from "../session.ts";

/** A membership that is prepared, and what the client is told with it. */
interface Prepared {
  readonly membership: Membership;
  readonly data: JsonText | undefined;
}

/** Who the client is, then its server-side subscriptions, then the answer. On an error the session is as before. */
export async function connect(session: Session, parts: Parts, command: ConnectCommand): Promise<void> {
  const { settings } = parts;
  const credentials = await identify(session, parts, command);
  if (session.isClosed) return;
  session.identify(credentials);
  const { expiry } = session;
  if (expiry !== undefined && expiry <= 0) throw commandError("EXPIRED", "the connection's time has passed");
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
  // from here on in one step, so that nothing is published between a subscription and the answer that tells of it
  const subs = new Map<string, JsonText>();
  for (const { membership, data } of prepared) {
    const recoverable = membership.namespace.recovery;
    const result = { ...membership.commit(), recoverable, expiry: undefined, delta: false, data };
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

/** A new token for the same user: the connection expires later. */
export async function refresh(session: Session, parts: Parts, command: RefreshCommand): Promise<void> {
  const { token } = command;
  const credentials = await identify(session, parts, { token, data: undefined, name: "", version: "", headers: {} });
  if (session.isClosed) return;
  if (credentials.user !== session.user) throw disconnect(DISCONNECTS.INVALID_TOKEN);
  session.refresh(credentials.expireAt, false);
  const { expiry } = session;
  if (expiry !== undefined && expiry <= 0) throw disconnect(DISCONNECTS.EXPIRED);
  session.outbox.line(reply(command.id, "refresh", refreshJson(session.client, parts.settings.version, expiry)));
}

/** What a client says of itself. */
type Claims = Pick<ConnectCommand, "token" | "data" | "name" | "version" | "headers">;

async function identify(session: Session, parts: Parts, claims: Claims): Promise<Credentials> {
  const { tokens, authenticate, anonymous } = parts.settings;
  const { token, data, name, version, headers } = claims;
  if (token !== "" && tokens !== undefined) return checkToken(tokens, token);
  const { client, context } = session;
  const credentials = await authenticate?.({ client, data, name, version, headers, token, context });
  if (credentials !== undefined) return credentials;
  // a token that nobody knows of is no way in as nobody
  if (token !== "") throw disconnect(DISCONNECTS.INVALID_TOKEN);
  if (anonymous) return { user: "" };
  throw commandError("UNAUTHORIZED");
}

async function checkToken(tokens: TokenVerifier, token: string): Promise<Credentials> {
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
): Promise<readonly Prepared[]> {
  const { subs } = credentials;
  if (subs === undefined) return [];
  if (subs.size > parts.settings.limits.channels) throw disconnect(DISCONNECTS.CHANNEL_LIMIT);
  const prepared = Array.from(subs, ([channel, { info, data }]): Prepared => {
    const namespace = namespaceOf(parts, channel);
    const membership = session.join(channel, namespace, {
      serverSide: true,
      positioned: namespace.recovery,
      delta: false,
      hearsJoins: namespace.joinLeave === true,
      info: session.makeInfo(optionalJson(info, "the info of a subscription")),
      expireAt: undefined,
    });
    return { membership, data: optionalJson(data, "the data of a subscription") };
  });
  await Promise.all(
    prepared.map(({ membership }) => membership.prepare(command.positions.get(membership.subscription.channel))),
  );
  return prepared;
}
