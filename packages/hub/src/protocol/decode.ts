import type { Position } from "../broker/broker.ts";
import { channelNameFault } from "../options/channel-name.ts";
import { CommandError, commandError } from "../codes.ts";
import { Fields } from "../json/fields.ts";
import { isDeeperThan, isObject, type JsonObject, sliceAt } from "../json/json.ts";
import { type Command, type Method, METHODS } from "./command.ts";

/**
 * Bits of a subscribe request's `flag`. The other bit allows numbers instead of channel names,
 * which is not used.
 */
const REJECT_UNRECOVERED = 2;
const MAX_ID = 2 ** 32 - 1; // `id` is a uint32
/**
 * The id at the beginning of a command, where the SDKs write it: for a command that is not parsed.
 */
const LEADING_ID = /^\s*\{\s*"id"\s*:\s*(\d{1,10})\s*,/;

export interface DecodeLimits {
  /** Maximum bytes of a channel name. */
  readonly channelLength: number;
  /** Maximum nesting depth of objects and arrays in a command. */
  readonly depth: number;
}

export type Decoded =
  | Command
  /** The reply to a ping of the server. */
  | { readonly method: "pong" }
  /** A command that is answered with an error. */
  | {
      readonly method: "refused";
      readonly asked: Method | "unknown";
      readonly id: number;
      readonly error: CommandError;
    }
  /** Not a command of the protocol: there is no id to reply to. */
  | { readonly method: "malformed"; readonly fault: string };

/** Decodes one line of a frame. Never throws. */
export function decode(line: string, limits: DecodeLimits): Decoded {
  if (line === "{}") return { method: "pong" };
  if (isDeeperThan(line, limits.depth)) return tooDeep(line, limits.depth);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { method: "malformed", fault: "a line is not JSON" };
  }
  if (!isObject(value)) return { method: "malformed", fault: "a command must be an object" };
  const id = Object.hasOwn(value, "id") ? value["id"] : 0;
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > MAX_ID) {
    return { method: "malformed", fault: "the id of a command must be an integer from 0 to 2^32 - 1" };
  }
  const asked = METHODS.filter((method) => hasRequest(value, method));
  const method = asked[0];
  if (id === 0 && method !== "send") {
    if (method === undefined) return { method: "pong" };
    return { method: "malformed", fault: `${method} needs an id` };
  }
  // as in Centrifugo: no SDK sends unknown commands
  if (method === undefined) return { method: "malformed", fault: "there is no such command" };
  try {
    if (asked.length > 1)
      throw commandError("BAD_REQUEST", `a command must have one request, got ${asked.join(" and ")}`);
    return decodeRequest(id, method, new Fields(value[method], method), line, limits);
  } catch (error) {
    if (error instanceof CommandError) return { method: "refused", asked: method, id, error };
    throw error; // impossible: Fields and decodeRequest throw only CommandErrors
  }
}

/** Checked before parsing, because deep nesting costs much memory. */
function tooDeep(line: string, depth: number): Decoded {
  const fault = `nested deeper than ${depth}`;
  const id = Number(LEADING_ID.exec(line)?.[1] ?? 0);
  if (id === 0 || id > MAX_ID) return { method: "malformed", fault };
  return { method: "refused", asked: "unknown", id, error: commandError("BAD_REQUEST", fault) };
}

function hasRequest(command: JsonObject, method: Method): boolean {
  return Object.hasOwn(command, method) && command[method] !== null;
}

function decodeRequest(id: number, method: Method, request: Fields, line: string, limits: DecodeLimits): Command {
  switch (method) {
    case "connect":
      return {
        method,
        id,
        token: request.string("token"),
        data: request.raw("data"),
        name: request.string("name"),
        version: request.string("version"),
        headers: request.stringRecord("headers") ?? {},
        positions: decodePositions(request.fields("subs"), limits),
      };
    case "subscribe":
      if (request.integer("type") !== 0) throw commandError("NOT_AVAILABLE", "only stream subscriptions are supported");
      if (request.raw("tf") !== undefined) throw commandError("NOT_AVAILABLE", "tag filters are not supported");
      return {
        method,
        id,
        channel: channel(request, limits),
        token: request.string("token"),
        data: request.raw("data"),
        since: request.boolean("recover") ? position(request) : undefined,
        positioned: request.boolean("positioned") || request.boolean("recoverable"),
        joinLeave: request.boolean("join_leave"),
        delta: request.string("delta") === "fossil",
        rejectUnrecovered: (request.integer("flag") & REJECT_UNRECOVERED) !== 0,
      };
    case "publish": {
      if (request.integer("type") !== 0 || request.raw("key") !== undefined || request.boolean("removed")) {
        throw commandError("NOT_AVAILABLE", "only stream publications are supported");
      }
      const data = sliceAt(line, ["publish", "data"]);
      if (data === undefined) throw commandError("BAD_REQUEST", "publish.data is missing");
      return { method, id, channel: channel(request, limits), data };
    }
    case "history":
      return {
        method,
        id,
        channel: channel(request, limits),
        limit: Math.max(request.integer("limit", -(2 ** 31)), -1),
        since: sinceOf(request),
        reverse: request.boolean("reverse"),
      };
    case "unsubscribe":
    case "presence":
    case "presence_stats":
      return { method, id, channel: channel(request, limits) };
    case "rpc":
      return { method, id, name: request.string("method"), data: request.raw("data") };
    case "send":
      return { method, id, data: request.raw("data") };
    case "refresh":
      return { method, id, token: request.requiredString("token") };
    case "sub_refresh":
      if (request.integer("type") !== 0) throw commandError("NOT_AVAILABLE", "only stream subscriptions are supported");
      return { method, id, channel: channel(request, limits), token: request.requiredString("token") };
    case "ping":
      return { method, id };
  }
}

function channel(request: Fields, limits: DecodeLimits): string {
  const name = request.string("channel");
  const fault = channelNameFault(name, limits.channelLength);
  if (fault !== undefined) throw commandError("BAD_REQUEST", fault);
  return name;
}

function position(request: Fields): Position {
  return { offset: request.integer("offset"), epoch: request.string("epoch") };
}

function sinceOf(request: Fields): Position | undefined {
  const since = request.fields("since");
  return since === undefined ? undefined : position(since);
}

function decodePositions(subs: Fields | undefined, limits: DecodeLimits): ReadonlyMap<string, Position> {
  const positions = new Map<string, Position>();
  for (const name of subs?.keys() ?? []) {
    const fault = channelNameFault(name, limits.channelLength);
    if (fault !== undefined) throw commandError("BAD_REQUEST", fault);
    const request = subs?.fields(name);
    if (request?.boolean("recover") === true) positions.set(name, position(request));
  }
  return positions;
}
