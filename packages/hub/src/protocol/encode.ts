import type { ClientInfo, Publication } from "../broker/broker.ts";
import type { CodeAndReason, CommandError } from "../codes.ts";
import type { JsonText } from "../json/json.ts";
import type { Method } from "./command.ts";

/** A ping of the server: an empty reply. */
export const PING = "{}";

/** Returns the reply to a command. */
export function reply(id: number, method: Method, result: JsonText): string {
  return `{"id":${id},"${method}":${result}}`;
}

export function errorReply(id: number, error: CommandError): string {
  return `{"id":${id},"error":${errorJson(error)}}`;
}

export function errorJson(error: CommandError): JsonText {
  const temporary = error.temporary ? `,"temporary":true` : "";
  return `{"code":${error.code},"message":${JSON.stringify(error.message)}${temporary}}`;
}

/** Returns a push for a channel, whose name is already serialised. */
export function channelPush(
  channel: JsonText,
  kind: "pub" | "join" | "leave" | "subscribe" | "unsubscribe",
  value: JsonText,
): string {
  return `{"push":{"channel":${channel},"${kind}":${value}}}`;
}

export function messagePush(data: JsonText): string {
  return `{"push":{"message":{"data":${data}}}}`;
}

export function refreshPush(expiry: Expiry): string {
  return `{"push":{"refresh":{${expiryFields(expiry).slice(1)}}}}`;
}

/** Seconds until a connection or subscription expires; undefined: never. */
export type Expiry = number | undefined;

/** Returns the fields with a leading comma; "" without an expiry. */
function expiryFields(expiry: Expiry): string {
  return expiry === undefined ? "" : `,"expires":true,"ttl":${expiry}`;
}

function clientInfoJson(info: ClientInfo): JsonText {
  const connInfo = info.connInfo === undefined ? "" : `,"conn_info":${info.connInfo}`;
  const chanInfo = info.chanInfo === undefined ? "" : `,"chan_info":${info.chanInfo}`;
  return `{"user":${JSON.stringify(info.user)},"client":${JSON.stringify(info.client)}${connInfo}${chanInfo}}`;
}

/** Returns the value of a join or leave push. */
export function aboutClientJson(info: ClientInfo): JsonText {
  return `{"info":${clientInfoJson(info)}}`;
}

export function unsubscribeJson(why: CodeAndReason): JsonText {
  return `{"code":${why.code},"reason":${JSON.stringify(why.reason)}}`;
}

/** `data` replaces the publication's own: a JSON string of a delta or of the whole content. */
export function publicationJson(
  publication: Publication,
  data: JsonText = publication.data,
  isDelta = false,
): JsonText {
  const offset = publication.offset === 0 ? "" : `,"offset":${publication.offset}`;
  const info = publication.info === undefined ? "" : `,"info":${clientInfoJson(publication.info)}`;
  const tags = publication.tags === undefined ? "" : `,"tags":${JSON.stringify(publication.tags)}`;
  return `{"data":${data}${offset}${info}${tags}${isDelta ? `,"delta":true` : ""}}`;
}

export interface ConnectResult {
  readonly client: string;
  readonly version: string;
  readonly expiry: Expiry;
  readonly data: JsonText | undefined;
  /** Results of the server-side subscriptions, by channel. */
  readonly subs: ReadonlyMap<string, JsonText>;
  /** Seconds between pings; 0: no pings. */
  readonly ping: number;
  readonly node: string;
}

export function connectJson(result: ConnectResult): JsonText {
  const data = result.data === undefined ? "" : `,"data":${result.data}`;
  const subs = result.subs.size === 0 ? "" : `,"subs":${mapJson(result.subs)}`;
  const ping = result.ping === 0 ? "" : `,"ping":${result.ping},"pong":true`;
  return (
    `{"client":${JSON.stringify(result.client)},"version":${JSON.stringify(result.version)}${expiryFields(result.expiry)}` +
    `${data}${subs}${ping},"node":${JSON.stringify(result.node)}}`
  );
}

/** Written by hand, because an object cannot have every string as an own key. */
function mapJson(map: ReadonlyMap<string, JsonText>): JsonText {
  return `{${Array.from(map, ([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
}

export interface SubscribeResult {
  readonly expiry: Expiry;
  /** The client's position after the publications below. */
  readonly position: { readonly offset: number; readonly epoch: string } | undefined;
  readonly recoverable: boolean;
  /** Whether the client asked to recover. */
  readonly wasRecovering: boolean;
  readonly recovered: boolean;
  /** Serialised, in order. */
  readonly publications: readonly JsonText[];
  readonly delta: boolean;
  readonly data: JsonText | undefined;
}

export function subscribeJson(result: SubscribeResult): JsonText {
  const fields: string[] = [];
  if (result.expiry !== undefined) fields.push(expiryFields(result.expiry).slice(1));
  if (result.position !== undefined) {
    if (result.recoverable) fields.push(`"recoverable":true`);
    fields.push(`"positioned":true,"epoch":${JSON.stringify(result.position.epoch)}`);
    if (result.position.offset > 0) fields.push(`"offset":${result.position.offset}`);
  }
  if (result.publications.length > 0) fields.push(`"publications":[${result.publications.join(",")}]`);
  if (result.recovered) fields.push(`"recovered":true`);
  if (result.wasRecovering) fields.push(`"was_recovering":true`);
  if (result.delta) fields.push(`"delta":true`);
  if (result.data !== undefined) fields.push(`"data":${result.data}`);
  return `{${fields.join(",")}}`;
}

export function refreshJson(client: string, version: string, expiry: Expiry): JsonText {
  return `{"client":${JSON.stringify(client)},"version":${JSON.stringify(version)}${expiryFields(expiry)}}`;
}

export function subRefreshJson(expiry: Expiry): JsonText {
  return `{${expiryFields(expiry).slice(1)}}`;
}

/** Returns the key and the value of a client in a presence result. */
export function presenceEntryJson(info: ClientInfo): JsonText {
  let entry = presenceEntries.get(info);
  if (entry === undefined) {
    entry = `${JSON.stringify(info.client)}:${clientInfoJson(info)}`;
    presenceEntries.set(info, entry);
  }
  return entry;
}

/** A store in memory returns the same objects again. */
const presenceEntries = new WeakMap<ClientInfo, JsonText>();

/** `entries`: from `presenceEntryJson`. `cursor`: of the next page. */
export function presenceJson(entries: readonly JsonText[], cursor?: string): JsonText {
  const next = cursor === undefined ? "" : `,"cursor":${JSON.stringify(cursor)}`;
  return `{"presence":{${entries.join(",")}}${next}}`;
}

export function presenceStatsJson(stats: { readonly clients: number; readonly users: number }): JsonText {
  return `{"num_clients":${stats.clients},"num_users":${stats.users}}`;
}

export function historyJson(page: {
  readonly publications: readonly Publication[];
  readonly offset: number;
  readonly epoch: string;
}): JsonText {
  const publications = page.publications.map((publication) => publicationJson(publication));
  return `{"publications":[${publications.join(",")}],"epoch":${JSON.stringify(page.epoch)},"offset":${page.offset}}`;
}
