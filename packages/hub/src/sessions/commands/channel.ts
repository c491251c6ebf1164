import {
  type AccessFunction,
  type Audience,
  isAmong,
  resolveAccess,
  type SubscribeGrant,
} from "../../settings/access.ts";
import { isPlaceIn } from "../../broker/broker.ts";
import { CommandError, commandError } from "../../codes.ts";
import type { JsonText } from "../../json/json.ts";
import { namespaceOf, type Parts } from "../parts.ts";
import type { HistoryCommand, PresenceCommand, PresenceStatsCommand, PublishCommand } from "../../protocol/command.ts";
import { historyJson, presenceEntryJson, presenceJson, presenceStatsJson, reply } from "../../protocol/encode.ts";
import { readClients } from "../../presence/pages.ts";
import type { Session } from "../session.ts";

/** Bytes of a reply besides its result, about. */
const REPLY_BYTES = 64;

/** Whether the session may publish. Undefined: yes, at once. */
export function authorizePublish(session: Session, parts: Parts, command: PublishCommand): Promise<void> | undefined {
  const { publish } = namespaceOf(parts, command.channel);
  return allow(session, publish, command.channel, () => JSON.parse(command.data) as unknown);
}

/**
 * Publishes: the call of the broker is made before this returns, so that publications keep their
 * order.
 */
export function publish(session: Session, parts: Parts, command: PublishCommand): Promise<void> {
  const { channel, data } = command;
  const { publishing } = namespaceOf(parts, channel);
  parts.metrics.published++;
  return parts.broker.publish(channel, { data, info: session.infoIn(channel) }, publishing).then(() => {
    session.outbox.line(reply(command.id, "publish", "{}"));
  });
}

export async function presence(session: Session, parts: Parts, command: PresenceCommand): Promise<void> {
  const { channel } = command;
  await allowPresence(session, parts, channel);
  const key = `presence ${channel}`;
  await answerFrom(session, command, key, () => readPresence(session, parts, channel));
}

/** Reads who is in a channel; an error where that is too much for one reply. */
async function readPresence(session: Session, parts: Parts, channel: string): Promise<JsonText | CommandError> {
  // the protocol has one answer for all: it has to fit into what may wait for a connection
  const most = parts.settings.limits.queueBytes - REPLY_BYTES;
  const entries: JsonText[] = [];
  let length = 0; // its bytes are this, or more
  const rest = await readClients(parts.presence, parts.slices, channel, undefined, (clients) => {
    for (const info of clients) {
      const entry = presenceEntryJson(info);
      length += entry.length + 1;
      entries.push(entry);
    }
    return length <= most && !session.isClosed;
  });
  session.charge(length);
  const text = presenceJson(entries);
  const isTooMuch = rest !== undefined || Buffer.byteLength(text) > most;
  return isTooMuch
    ? commandError("LIMIT_EXCEEDED", `presence takes more than ${most} bytes: ask for presence_stats`)
    : text;
}

export async function presenceStats(session: Session, parts: Parts, command: PresenceStatsCommand): Promise<void> {
  await allowPresence(session, parts, command.channel);
  const stats = await parts.presence.stats(command.channel);
  session.outbox.line(reply(command.id, "presence_stats", presenceStatsJson(stats)));
}

export async function history(session: Session, parts: Parts, command: HistoryCommand): Promise<void> {
  const { channel, since, reverse } = command;
  const namespace = namespaceOf(parts, channel);
  if (!namespace.hasHistory) throw commandError("NOT_AVAILABLE", "the channel has no history");
  const allowed = allow(session, namespace.readHistory, channel, () => undefined);
  if (allowed !== undefined) await allowed;
  const { historyPage, pageBytes: maxBytes } = parts.settings.limits;
  const limit = command.limit < 0 ? historyPage : Math.min(command.limit, historyPage);
  const { metaTtl, maxChannels } = namespace.publishing;
  const key = `history ${limit} ${reverse} ${since?.offset} ${since?.epoch} ${channel}`;
  await answerFrom(session, command, key, async () => {
    const page = await parts.broker.history(channel, { since, limit, reverse, maxBytes, maxChannels }, metaTtl);
    if (since !== undefined && !isPlaceIn(page, since)) return commandError("UNRECOVERABLE_POSITION");
    return historyJson(page);
  });
}

/**
 * Answers with what `read` returns from a store, when the connection accepts it. `key`: what is
 * read; equal commands that wait share a read. A reply costs its bytes.
 */
async function answerFrom(
  session: Session,
  { id, method }: PresenceCommand | HistoryCommand,
  key: string,
  read: () => Promise<JsonText | CommandError>,
): Promise<void> {
  const { reads } = session;
  const asked = reads.ask();
  await session.pages.run(async () => {
    let result = reads.find(key, asked);
    if (result === undefined) {
      const began = reads.begin();
      result = await read();
      reads.keep(key, began, result);
    }
    if (session.isClosed) return;
    reads.answered(asked);
    if (result instanceof CommandError) throw result;
    const text = reply(id, method, result);
    session.charge(text.length);
    session.outbox.line(text);
  });
}

async function allowPresence(session: Session, parts: Parts, channel: string): Promise<void> {
  const namespace = namespaceOf(parts, channel);
  if (!namespace.presence) throw commandError("NOT_AVAILABLE", "the channel has no presence");
  await allow(session, namespace.readPresence, channel, () => undefined);
}

/** Throws or rejects where it is not allowed. Undefined: it is, without asking anybody. */
function allow(
  session: Session,
  access: Audience | AccessFunction,
  channel: string,
  data: () => unknown,
): Promise<void> | undefined {
  if (typeof access !== "function") {
    if (isAmong(access, session, session.memberships.get(channel)?.isLive === true)) return undefined;
    throw commandError("PERMISSION_DENIED");
  }
  const decided = resolveAccess(access({ session, channel, data: data() }), false);
  if (decided instanceof Promise) return decided.then(check);
  check(decided);
  return undefined;
}

function check(grant: SubscribeGrant | undefined): void {
  if (grant === undefined) throw commandError("PERMISSION_DENIED");
}
