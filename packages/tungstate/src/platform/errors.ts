import type { ErrorEntry } from "@tungstate/protocol";

// Rows of several tables: a bundler can leave out a table only if it contains no spread.
export const CONNECTION_LOST = {
  fault: "transport",
  text: "the connection ended without a closing handshake",
} as const satisfies ErrorEntry;
export const CLOSE_TIMEOUT = {
  fault: "peer",
  text: "the closing handshake took longer than closeTimeout",
} as const satisfies ErrorEntry;
export const RECEIVE_QUEUE_FULL = {
  fault: "local",
  text: "more messages are unread than receiveQueueSize allows",
} as const satisfies ErrorEntry;
