import type { Position } from "../broker/broker.ts";
import { checkDisconnect, CommandError } from "../codes.ts";
import { Fields } from "../json/fields.ts";

/** Information about a node. */
export interface NodeInfo {
  /** The node's id, unique among all nodes. */
  readonly id: string;
  /** The option `name` of its hub. */
  readonly name: string;
  /** The option `version` of its hub. */
  readonly version: string;
  /** Connected clients. */
  readonly clients: number;
  /** Different users among them. */
  readonly users: number;
  /** Channels with a subscriber on the node. */
  readonly channels: number;
  /** Subscriptions of all its clients. */
  readonly subscriptions: number;
  /** Seconds since its start. */
  readonly uptime: number;
}

/** A message from one node to all others. */
export type Control =
  | {
      readonly type: "disconnect";
      readonly user: string;
      readonly client: string | undefined;
      readonly code: number;
      readonly reason: string;
      /** Ids of clients that are left alone. */
      readonly except: readonly string[];
    }
  | {
      readonly type: "subscribe";
      readonly user: string;
      readonly client: string | undefined;
      readonly channel: string;
      /** As JSON. */
      readonly info: string | undefined;
      readonly data: string | undefined;
      readonly since: Position | undefined;
      /** Unix time in seconds at which the subscription ends; undefined: never. */
      readonly expireAt: number | undefined;
    }
  | {
      readonly type: "unsubscribe";
      readonly user: string;
      readonly client: string | undefined;
      readonly channel: string;
      readonly code: number;
      readonly reason: string;
    }
  | {
      readonly type: "refresh";
      readonly user: string;
      readonly client: string | undefined;
      /** Unix time in seconds; undefined: never. */
      readonly expireAt: number | undefined;
      /** As JSON; undefined: unchanged. */
      readonly info: string | undefined;
    }
  | { readonly type: "message"; readonly user: string; readonly client: string | undefined; readonly data: string }
  /** The announcement of a node. `asks`: all others announce themselves too. */
  | { readonly type: "node"; readonly node: NodeInfo; readonly asks: boolean }
  | { readonly type: "gone"; readonly id: string }
  /** `data` as JSON. */
  | {
      readonly type: "survey";
      readonly id: string;
      /** The node that asks. */
      readonly from: string;
      readonly name: string;
      readonly data: string | undefined;
    }
  | {
      readonly type: "answer";
      readonly id: string;
      readonly to: string;
      readonly from: string;
      readonly data: string | undefined;
      readonly error: string | undefined;
    };

export function encodeControl(control: Control): string {
  return JSON.stringify(control);
}

/**
 * Returns undefined for a message of another version: nodes of different versions may run side by
 * side for a while.
 */
export function decodeControl(message: string): Control | undefined {
  try {
    const fields = new Fields(JSON.parse(message) as unknown, "control");
    const user = fields.string("user");
    const client = fields.string("client") || undefined;
    const channel = fields.string("channel");
    const text = (name: string): string | undefined => fields.string(name) || undefined;
    const expireAt = fields.has("expireAt") ? fields.integer("expireAt") : undefined;
    const type = fields.string("type");
    switch (type) {
      case "disconnect": {
        const code = fields.integer("code");
        const reason = fields.string("reason");
        checkDisconnect(code, reason);
        return { type, user, client, code, reason, except: fields.strings("except") };
      }
      case "subscribe":
        return {
          type,
          user,
          client,
          channel,
          info: text("info"),
          data: text("data"),
          since: sinceOf(fields),
          expireAt,
        };
      case "unsubscribe":
        return { type, user, client, channel, code: fields.integer("code"), reason: fields.string("reason") };
      case "refresh":
        return { type, user, client, expireAt, info: text("info") };
      case "message":
        return { type, user, client, data: fields.requiredString("data") };
      case "node":
        return { type, node: nodeOf(fields.fields("node")), asks: fields.boolean("asks") };
      case "gone":
        return { type, id: fields.requiredString("id") };
      case "survey":
        return {
          type,
          id: fields.requiredString("id"),
          from: fields.requiredString("from"),
          name: fields.string("name"),
          data: text("data"),
        };
      case "answer":
        return {
          type,
          id: fields.requiredString("id"),
          to: fields.requiredString("to"),
          from: fields.requiredString("from"),
          data: text("data"),
          error: text("error"),
        };
      default:
        return undefined;
    }
  } catch (error) {
    if (error instanceof CommandError || error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error; // impossible: JSON.parse, Fields and checkDisconnect throw nothing else
  }
}

function nodeOf(node: Fields = new Fields({}, "control.node")): NodeInfo {
  return {
    id: node.requiredString("id"),
    name: node.string("name"),
    version: node.string("version"),
    clients: node.integer("clients"),
    users: node.integer("users"),
    channels: node.integer("channels"),
    subscriptions: node.integer("subscriptions"),
    uptime: node.integer("uptime"),
  };
}

function sinceOf(fields: Fields): Position | undefined {
  const since = fields.fields("since");
  return since === undefined ? undefined : { offset: since.integer("offset"), epoch: since.string("epoch") };
}
