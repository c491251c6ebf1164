import type { Command } from "./protocol/command.ts";

// What commands cost, in bytes of work: about what it takes to send as many bytes to subscribers. A line is charged before it is read, a command
// before it is done.

/** Of each line, besides its bytes. */
export const LINE_COST = 128;
/** Of a line that says nothing: an answer to a ping that may not have been sent, or a blank. */
export const EMPTY_LINE_COST = 2 * 1024;
/** Of an answer that is an error. */
export const ERROR_COST = 20 * 1024;
/** Of a command that there is not: no SDK sends one. */
export const UNKNOWN_COST = 256 * 1024;

const TOKEN_COST = 32 * 1024; // a signature to be checked
/** Bytes that a push has besides its data, about. */
const PUSH_BYTES = 64;
/** Bytes of a join and of the leave that follows it, about. */
const COMING_BYTES = 256;

/** What a command does in a channel of this node. */
export interface Audience {
  readonly subscribers: number;
  /** Those who are told who comes and goes. */
  readonly listeners: number;
}

/** `bytes`: of the line. `audience`: of the channel that the command is about. What it reads from a store is charged when it is read. */
export function costOf(command: Command, bytes: number, audience: Audience): number {
  switch (command.method) {
    case "connect":
    case "refresh":
      return TOKEN_COST;
    case "sub_refresh":
      return TOKEN_COST;
    case "subscribe":
      return 4 * 1024 + (command.token === "" ? 0 : TOKEN_COST) + audience.listeners * COMING_BYTES;
    case "publish":
      return bytes + audience.subscribers * (bytes + PUSH_BYTES);
    case "unsubscribe":
    case "presence":
    case "presence_stats":
    case "history":
    case "rpc":
    case "send":
    case "ping":
      return 1024;
  }
}
