import type { Position } from "../broker/broker.ts";
import { commandError } from "../codes.ts";
import { Fields } from "../fields.ts";
import type { Hub } from "../hub.ts";
import { type JsonText, onOneLine, sliceAt } from "../json.ts";
import type { PublishOptions, PublishReport } from "../operations.ts";
import { errorJson, historyJson, presenceJson, presenceStatsJson } from "../protocol/encode.ts";

/** A call whose parameters have been checked, ready to be made. Its result is JSON. */
export type PreparedCall = () => Promise<JsonText>;

/** Checks the parameters of a call: the object and its text. Throws a CommandError. */
type Prepare = (hub: Hub, params: Fields, text: JsonText) => PreparedCall;

const DONE: JsonText = "{}";

const METHODS: ReadonlyMap<string, Prepare> = new Map<string, Prepare>([
  [
    "publish",
    ({ operations }, params, text) => {
      const channel = params.requiredString("channel");
      const data = dataOf(params, text);
      const options = publishOptions(params);
      return async () => reportJson(await operations.publish(channel, data, options));
    },
  ],
  [
    "broadcast",
    ({ operations }, params, text) => {
      const channels = params.strings("channels");
      if (channels.length === 0) throw commandError("BAD_REQUEST", "channels is missing");
      const data = dataOf(params, text);
      const options = publishOptions(params);
      return async () => {
        const reports = await operations.broadcast(channels, data, options);
        const responses = reports.map((each) =>
          "error" in each ? `{"error":${errorJson(each.error)}}` : `{"result":${reportJson(each.report)}}`,
        );
        return `{"responses":[${responses.join(",")}]}`;
      };
    },
  ],
  [
    "subscribe",
    ({ operations }, params, text) => {
      notOffered(params, "override", "b64info", "b64data");
      const { user, client } = selection(params);
      const channel = params.requiredString("channel");
      const since = position(params, "recover_since");
      const info = optionalJson(params, text, "info");
      const data = optionalJson(params, text, "data");
      return async () => {
        await operations.subscribe(user, channel, { client, info, data, since });
        return DONE;
      };
    },
  ],
  [
    "unsubscribe",
    ({ operations }, params) => {
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
      const { user, client } = selection(params);
      const except = params.strings("whitelist");
      const why = params.fields("disconnect");
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
    ({ operations }, params) => {
      const { user, client } = selection(params);
      // 1970 has passed
      const expireAt = params.boolean("expired") ? 1 : params.integer("expire_at") || undefined;
      return async () => {
        await operations.refresh(user, expireAt, { client });
        return DONE;
      };
    },
  ],
  [
    "presence",
    ({ operations }, params) => {
      const channel = params.requiredString("channel");
      return async () => presenceJson(await operations.presence(channel));
    },
  ],
  [
    "presence_stats",
    ({ operations }, params) => {
      const channel = params.requiredString("channel");
      return async () => presenceStatsJson(await operations.presenceStats(channel));
    },
  ],
  [
    "history",
    ({ operations }, params) => {
      const channel = params.requiredString("channel");
      const since = position(params, "since");
      const limit = Math.max(params.integer("limit", -(2 ** 31)), -1);
      const reverse = params.boolean("reverse");
      return async () => historyJson(await operations.history(channel, { since, limit, reverse }));
    },
  ],
  [
    "history_remove",
    ({ operations }, params) => {
      const channel = params.requiredString("channel");
      return async () => {
        await operations.removeHistory(channel);
        return DONE;
      };
    },
  ],
  ["info", (hub) => () => Promise.resolve(infoJson(hub))],
]);

/** Checks a call. Throws a CommandError: no such method (104), or parameters that it does not take (107). */
export function prepareCall(hub: Hub, method: string, params: unknown, text: JsonText): PreparedCall {
  const prepare = METHODS.get(method);
  if (prepare === undefined) throw commandError("METHOD_NOT_FOUND", `there is no method ${JSON.stringify(method)}`);
  return prepare(hub, new Fields(params, method), text);
}

function dataOf(params: Fields, text: JsonText): JsonText {
  notOffered(params, "b64data");
  const data = sliceAt(text, ["data"]);
  if (data === undefined) throw commandError("BAD_REQUEST", "data is missing");
  return onOneLine(data);
}

function optionalJson(params: Fields, text: JsonText, name: string): JsonText | undefined {
  const value = params.raw(name) === undefined ? undefined : sliceAt(text, [name]);
  return value === undefined ? undefined : onOneLine(value);
}

function publishOptions(params: Fields): PublishOptions {
  notOffered(params, "version", "version_epoch");
  params.boolean("delta"); // who gets deltas is up to the namespace and the subscriber
  return {
    idempotencyKey: params.string("idempotency_key") || undefined,
    tags: params.stringRecord("tags"),
    skipHistory: params.boolean("skip_history"),
  };
}

function selection(params: Fields): { readonly user: string; readonly client: string | undefined } {
  notOffered(params, "session");
  // "" would be all anonymous clients: to be said, not to be left out
  if (params.raw("user") === undefined) throw commandError("BAD_REQUEST", "user is missing");
  return { user: params.string("user"), client: params.string("client") || undefined };
}

function position(params: Fields, name: string): Position | undefined {
  const since = params.fields(name);
  return since === undefined ? undefined : { offset: since.integer("offset"), epoch: since.string("epoch") };
}

function notOffered(params: Fields, ...names: readonly string[]): void {
  for (const name of names) {
    const value = params.raw(name);
    if (value !== undefined && value !== "" && value !== 0)
      throw commandError("NOT_AVAILABLE", `${name} is not offered`);
  }
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
