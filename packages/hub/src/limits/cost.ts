import type { Command } from "../protocol/command.ts";

// What commands cost, in bytes of work: about what it takes to send as many bytes to subscribers. A line is charged before it is read, a command
// before it is done.

/** Of each line, besides its bytes. */
export const LINE_COST = 128;
/** Of each byte of a line: JSON of many small values takes long. */
export const PARSE_COST = 2;
/** Of a line that says nothing: an answer to a ping that may not have been sent, or a blank. */
export const EMPTY_LINE_COST = 2 * 1024;
/** Of an answer that is an error. */
export const ERROR_COST = 12 * 1024;
/** Of a join and the leave that follows it, for each who is told. */
export const COMING_COST = 256;
/** Of a command that nests too deeply to be read: no SDK sends one. */
export const UNREAD_COST = 256 * 1024;

const TOKEN_COST = 32 * 1024; // a signature to be checked
/** Bytes that a push has besides its data, about. */
const PUSH_BYTES = 64;

/**
 * `bytes`: of the line. `subscribers`: on this node, of the channel that the command is about. What is read from a store for it is charged when it is
 * read, and that others are told who comes when they are.
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
