import type { Position } from "../broker/broker.ts";
import { commandError } from "../codes.ts";
import { jsonOfBase64 } from "../json/base64.ts";
import { Fields } from "../json/fields.ts";
import type { Hub } from "../hub/hub.ts";
import { type JsonText, onOneLine, sliceAt } from "../json/json.ts";
import type { BroadcastReport, PublishOptions, PublishReport } from "../hub/operation-types.ts";
import { errorJson, historyJson, presenceEntryJson, presenceJson, presenceStatsJson } from "../protocol/encode.ts";

/** A call with checked parameters. Its result is JSON. */
export type PreparedCall = () => Promise<JsonText>;

/** Checks the parameters of a call: the object and its text. Throws a CommandError. */
type Prepare = (hub: Hub, params: Fields, text: JsonText) => PreparedCall;

const DONE: JsonText = "{}";

/**
 * Approximate maximum size of publications or clients in one result, in bytes; `since` or `cursor`
 * asks for the rest.
 */
const PAGE_BYTES = 1024 * 1024;
const PAGE_LIMIT = 10_000; // publications

/** Fields of publish and broadcast, besides the channels. */
const PUBLISH_FIELDS = [
  "data",
  "b64data",
  "skip_history",
  "tags",
  "idempotency_key",
  "delta",
  "version",
  "version_epoch",
] as const;

/** Fields that select the clients of a call. */
const SELECTION = ["user", "client", "session"] as const;

const METHODS: ReadonlyMap<string, Prepare> = new Map<string, Prepare>([
  [
    "publish",
    ({ operations }, params, text) => {
      params.only("channel", ...PUBLISH_FIELDS);
      const channel = params.requiredString("channel");
      const data = dataOf(params, text);
      const options = publishOptions(params);
      return async () => reportJson(await operations.publish(channel, data, options));
    },
  ],
  [
    "broadcast",
    ({ operations }, params, text) => {
      params.only("channels", ...PUBLISH_FIELDS);
      const channels = params.strings("channels");
      if (channels.length === 0) throw commandError("BAD_REQUEST", "channels is missing");
      const data = dataOf(params, text);
      const options = publishOptions(params);
      return async () => {
        const responses: JsonText[] = [];
        await operations.broadcastTo(channels, data, options, (reports) => {
          responses.push(reports.map(broadcastJson).join(","));
        });
        return `{"responses":[${responses.join(",")}]}`;
      };
    },
  ],
  [
    "subscribe",
    ({ operations }, params, text) => {
      params.only(
        "channel",
        ...SELECTION,
        "info",
        "b64info",
        "data",
        "b64data",
        "recover_since",
        "expire_at",
        "override",
      );
      notOffered(params, "override");
      const { user, client } = selection(params);
      const channel = params.requiredString("channel");
      const since = position(params, "recover_since");
      const info = optionalJson(params, text, "info", "b64info");
      const data = optionalJson(params, text, "data", "b64data");
      const expireAt = params.integer("expire_at") || undefined;
      return async () => {
        await operations.subscribe(user, channel, { client, info, data, since, expireAt });
        return DONE;
      };
    },
  ],
  [
    "unsubscribe",
    ({ operations }, params) => {
      params.only("channel", ...SELECTION);
      const { user, client } = selection(params);
      const channel = params.requiredString("channel");
      return async () => {
        await operations.unsubscribe(user, channel, { client });
        return DONE;
      };
    },
  ],
  [
    "disconnect",
    ({ operations }, params) => {
      params.only(...SELECTION, "whitelist", "disconnect");
      const { user, client } = selection(params);
      const except = params.strings("whitelist");
      const why = params.fields("disconnect");
      why?.only("code", "reason");
      const code = why?.integer("code");
      const reason = why?.string("reason");
      return async () => {
        try {
          await operations.disconnect(user, { client, except, code, reason });
        } catch (error) {
          if (error instanceof RangeError) throw commandError("BAD_REQUEST", error.message, { cause: error });
          throw error;
        }
        return DONE;
      };
    },
  ],
  [
    "refresh",
    ({ operations }, params, text) => {
      params.only(...SELECTION, "expired", "expire_at", "info");
      const { user, client } = selection(params);
      if (params.boolean("expired") && params.integer("expire_at") !== 0) {
        throw commandError("BAD_REQUEST", "refresh.expire_at must not come with expired");
      }
      // a time in the past
      const expireAt = params.boolean("expired") ? 1 : params.integer("expire_at") || undefined;
      const info = optionalJson(params, text, "info");
      return async () => {
        await operations.refresh(user, expireAt, { client, info });
        return DONE;
      };
    },
  ],
  [
    "presence",
    ({ operations }, params) => {
      params.only("channel", "cursor");
      const channel = params.requiredString("channel");
      const cursor = params.string("cursor") || undefined;
      return async () => {
        const entries: JsonText[] = [];
        const next = await operations.presencePage(channel, cursor, PAGE_BYTES, (info) => {
          const entry = presenceEntryJson(info);
          entries.push(entry);
          return Buffer.byteLength(entry);
        });
        return presenceJson(entries, next);
      };
    },
  ],
  [
    "presence_stats",
    ({ operations }, params) => {
      params.only("channel");
      const channel = params.requiredString("channel");
      return async () => presenceStatsJson(await operations.presenceStats(channel));
    },
  ],
  [
    "history",
    ({ operations }, params) => {
      params.only("channel", "limit", "since", "reverse");
      const channel = params.requiredString("channel");
      const since = position(params, "since");
      const limit = Math.max(params.integer("limit", -(2 ** 31)), -1);
      const reverse = params.boolean("reverse");
      const asked = {
        since,
        limit: limit < 0 ? PAGE_LIMIT : Math.min(limit, PAGE_LIMIT),
        reverse,
        maxBytes: PAGE_BYTES,
      };
      return async () => historyJson(await operations.history(channel, asked));
    },
  ],
  [
    "history_remove",
    ({ operations }, params) => {
      params.only("channel");
      const channel = params.requiredString("channel");
      return async () => {
        await operations.removeHistory(channel);
        return DONE;
      };
    },
  ],
  [
    "info",
    (hub, params) => {
      params.only();
      return () => Promise.resolve(infoJson(hub));
    },
  ],
]);

/** Checks a call. Throws a CommandError: no such method (104), or invalid parameters (107). */
export function prepareCall(hub: Hub, method: string, params: unknown, text: JsonText): PreparedCall {
  const prepare = METHODS.get(method);
  if (prepare === undefined) throw commandError("METHOD_NOT_FOUND", `there is no method ${JSON.stringify(method)}`);
  return prepare(hub, new Fields(params, method), text);
}

function dataOf(params: Fields, text: JsonText): JsonText {
  // null is JSON that may be published; in an optional field it counts as absent
  const data =
    params.string("b64data") === "" ? sliceAt(text, ["data"]) : optionalJson(params, text, "data", "b64data");
  if (data === undefined) throw commandError("BAD_REQUEST", "data is missing");
  return onOneLine(data);
}

/** Returns the JSON of the field `name`, or of `encoded`, which has it in base64. */
function optionalJson(params: Fields, text: JsonText, name: string, encoded?: string): JsonText | undefined {
  const isGiven = params.raw(name) !== undefined;
  const base64 = encoded === undefined ? "" : params.string(encoded);
  if (base64 !== "") {
    if (isGiven) throw commandError("NOT_AVAILABLE", `${encoded} must not come with ${name}`);
    return jsonInBase64(base64, encoded ?? name);
  }
  const value = isGiven ? sliceAt(text, [name]) : undefined;
  return value === undefined ? undefined : onOneLine(value);
}

/** The bytes must be JSON: the hub speaks the JSON variant of the protocol. */
function jsonInBase64(base64: string, name: string): JsonText {
  try {
    return onOneLine(jsonOfBase64(base64));
  } catch (error) {
    throw commandError("NOT_AVAILABLE", `${name} must be JSON in base64`, { cause: error });
  }
}

function publishOptions(params: Fields): PublishOptions {
  notOffered(params, "version", "version_epoch");
  return {
    idempotencyKey: params.string("idempotency_key") || undefined,
    tags: params.stringRecord("tags"),
    skipHistory: params.boolean("skip_history"),
    delta: params.boolean("delta"),
  };
}

function selection(params: Fields): { readonly user: string; readonly client: string | undefined } {
  notOffered(params, "session");
  // "" means all anonymous clients, and must be given explicitly
  if (params.raw("user") === undefined) throw commandError("BAD_REQUEST", "user is missing");
  return { user: params.string("user"), client: params.string("client") || undefined };
}

function position(params: Fields, name: string): Position | undefined {
  const since = params.fields(name);
  since?.only("offset", "epoch");
  return since === undefined ? undefined : { offset: since.integer("offset"), epoch: since.string("epoch") };
}

function notOffered(params: Fields, ...names: readonly string[]): void {
  for (const name of names) {
    const value = params.raw(name);
    if (value !== undefined && value !== "" && value !== 0)
      throw commandError("NOT_AVAILABLE", `${name} is not supported`);
  }
}

function broadcastJson(report: BroadcastReport): JsonText {
  return "error" in report ? `{"error":${errorJson(report.error)}}` : `{"result":${reportJson(report.report)}}`;
}

function reportJson(report: PublishReport): JsonText {
  const { offset, epoch, delivered, queued, dropped, disconnected } = report;
  const position = offset === 0 ? {} : { offset, epoch };
  return JSON.stringify({ ...position, delivered, queued, dropped, disconnected });
}

function infoJson(hub: Hub): JsonText {
  const nodes = hub.nodes().map(({ id, name, version, clients, users, channels, subscriptions, uptime }) => {
    const counts = { num_clients: clients, num_users: users, num_channels: channels, num_subs: subscriptions };
    return { uid: id, name, version, ...counts, uptime };
  });
  return JSON.stringify({ nodes });
}
