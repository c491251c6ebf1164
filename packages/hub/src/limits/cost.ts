import type { Command } from "../protocol/command.ts";

// Costs of commands, in bytes of work: the work of sending as many bytes to subscribers. A line is
// charged before it is parsed, and a command before it is executed.

/** Cost of each line, besides its bytes. */
export const LINE_COST = 128;
/** Cost of each byte of a line, for JSON of many small values. */
export const PARSE_COST = 2;
/** Cost of an empty line: a blank one, or the reply to a ping, which may not have been sent. */
export const EMPTY_LINE_COST = 2 * 1024;
/** Cost of a reply that is an error. */
export const ERROR_COST = 12 * 1024;
/** Cost of a join and the leave that follows, for each subscriber that gets them. */
export const COMING_COST = 256;
/** Cost of a command whose JSON is nested too deeply. No SDK sends one. */
export const UNREAD_COST = 256 * 1024;

const TOKEN_COST = 32 * 1024; // a signature to be checked
/** Approximate bytes of a push besides its data. */
const PUSH_BYTES = 64;

/**
 * Returns the cost of a command. `bytes`: of the line. `subscribers`: of the command's channel on
 * this node. What is read from a store is charged when it is read, joins and leaves when they are
 * sent.
 */
export function costOf(command: Command, bytes: number, subscribers: number): number {
  switch (command.method) {
    case "connect":
    case "refresh":
      return TOKEN_COST;
    case "sub_refresh":
      return TOKEN_COST;
    case "subscribe":
      return 4 * 1024 + (command.token === "" ? 0 : TOKEN_COST);
    case "publish":
      return bytes + subscribers * (bytes + PUSH_BYTES);
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
