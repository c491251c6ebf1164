import type { Position } from "../broker/broker.ts";
import type { JsonText } from "../json/json.ts";

/** The commands, by the name of the field that holds the request. */
export const METHODS = [
  "connect",
  "subscribe",
  "unsubscribe",
  "publish",
  "presence",
  "presence_stats",
  "history",
  "rpc",
  "send",
  "refresh",
  "sub_refresh",
  "ping",
] as const;

export type Method = (typeof METHODS)[number];

interface Base<M extends Method> {
  readonly method: M;
  /** 1 to 2^32 - 1; 0 if no reply is expected, which only `send` may have. */
  readonly id: number;
}

export interface ConnectCommand extends Base<"connect"> {
  readonly token: string;
  /** Data that the application gave its SDK for the server. */
  readonly data: unknown;
  /** Name of the client's software. */
  readonly name: string;
  readonly version: string;
  /** Header fields that a browser cannot send in the handshake. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client's positions in its server-side subscriptions. */
  readonly positions: ReadonlyMap<string, Position>;
}

export interface SubscribeCommand extends Base<"subscribe"> {
  readonly channel: string;
  readonly token: string;
  readonly data: unknown;
  /** The position from which the client recovers. */
  readonly since: Position | undefined;
  readonly positioned: boolean;
  readonly joinLeave: boolean;
  readonly delta: boolean;
  /** Whether a subscription that cannot be recovered is answered with an error. */
  readonly rejectUnrecovered: boolean;
}

export interface UnsubscribeCommand extends Base<"unsubscribe"> {
  readonly channel: string;
}

export interface PublishCommand extends Base<"publish"> {
  readonly channel: string;
  /** As the client wrote it. */
  readonly data: JsonText;
}

export interface PresenceCommand extends Base<"presence"> {
  readonly channel: string;
}

export interface PresenceStatsCommand extends Base<"presence_stats"> {
  readonly channel: string;
}

export interface HistoryCommand extends Base<"history"> {
  readonly channel: string;
  /** 0: only the position; -1: no limit. */
  readonly limit: number;
  readonly since: Position | undefined;
  readonly reverse: boolean;
}

export interface RpcCommand extends Base<"rpc"> {
  readonly name: string;
  readonly data: unknown;
}

export interface SendCommand extends Base<"send"> {
  readonly data: unknown;
}

export interface RefreshCommand extends Base<"refresh"> {
  readonly token: string;
}

export interface SubRefreshCommand extends Base<"sub_refresh"> {
  readonly channel: string;
  readonly token: string;
}

export type PingCommand = Base<"ping">;

export type Command =
  | ConnectCommand
  | SubscribeCommand
  | UnsubscribeCommand
  | PublishCommand
  | PresenceCommand
  | PresenceStatsCommand
  | HistoryCommand
  | RpcCommand
  | SendCommand
  | RefreshCommand
  | SubRefreshCommand
  | PingCommand;
