import type { Position } from "../broker/broker.ts";
import { DISCONNECTS } from "../codes.ts";
import type { JsonText } from "../json/json.ts";
import type { Namespace } from "../settings/namespaces.ts";
import type { Parts } from "./parts.ts";
import { channelPush, subscribeJson } from "../protocol/encode.ts";
import type { Session } from "./session.ts";

/** A subscription that the server makes for a connected client. */
export interface ServerSubscriptionRequest {
  readonly channel: string;
  /** What others may know of the client in the channel. */
  readonly info: JsonText | undefined;
  /** For the client: comes with the push. */
  readonly data: JsonText | undefined;
  /** The client's position, where it gets what it missed. */
  readonly since: Position | undefined;
  /** Unix time in seconds; undefined: never. */
  readonly expireAt: number | undefined;
  /** The client's credentials name the channel. */
  readonly byCredentials: boolean;
}

/**
 * Subscribes a connected session and tells its client by a push. One that is subscribed already
 * gets the info and the expiry where they are given, without a push.
 */
export async function subscribeByServer(
  session: Session,
  parts: Parts,
  namespace: Namespace,
  { channel, info, data, since, expireAt, byCredentials }: ServerSubscriptionRequest,
): Promise<void> {
  const existing = session.memberships.get(channel);
  if (existing !== undefined) {
    if (info !== undefined) existing.describe(session.makeInfo(info));
    if (expireAt === undefined) return;
    existing.subscription.expireAt = expireAt;
    session.reschedule();
    return;
  }
  if (session.memberships.size >= parts.settings.limits.channels) {
    session.close(DISCONNECTS.CHANNEL_LIMIT);
    return;
  }
  const membership = session.join(channel, namespace, {
    serverSide: true,
    positioned: namespace.recovery,
    delta: false,
    hearsJoins: namespace.joinLeave === true,
    info: session.makeInfo(info),
    expireAt,
  });
  membership.byCredentials = byCredentials;
  const begin = async (): Promise<void> => {
    try {
      await membership.prepare(since);
    } catch (error) {
      if (session.memberships.get(channel) !== membership) return; // it was unsubscribed meanwhile, or has gone
      session.leave(channel);
      throw error;
    }
    const { publications, ...beginning } = membership.commit();
    const name = JSON.stringify(channel);
    const result = { ...beginning, publications: [], recoverable: namespace.recovery, expiry: undefined, delta: false };
    session.outbox.line(channelPush(name, "subscribe", subscribeJson({ ...result, data })));
    // the push has no place for them
    for (const publication of publications) session.outbox.line(channelPush(name, "pub", publication));
    membership.announce();
    if (expireAt !== undefined) session.reschedule();
  };
  // what it missed is read when the connection takes it
  await (since === undefined ? begin() : session.pages.run(begin));
}
