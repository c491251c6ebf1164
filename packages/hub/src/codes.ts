import { argumentError } from "tungstate/internal";
/** One row of the table of command errors. */
export interface CommandErrorEntry {
  readonly code: number;
  readonly text: string;
  /** Whether the same command may succeed later: clients try again by themselves. */
  readonly temporary?: true;
}

/**
 * The errors of commands. Codes and texts are those of the Centrifugo client protocol;
 * `docs/hub.md` lists the same rows, and a test compares them. Codes of applications are 400 to
 * 1999.
 */
export const COMMAND_ERRORS = {
  INTERNAL: { code: 100, text: "internal server error", temporary: true },
  UNAUTHORIZED: { code: 101, text: "unauthorized" },
  UNKNOWN_CHANNEL: { code: 102, text: "unknown channel" },
  PERMISSION_DENIED: { code: 103, text: "permission denied" },
  METHOD_NOT_FOUND: { code: 104, text: "method not found" },
  ALREADY_SUBSCRIBED: { code: 105, text: "already subscribed" },
  LIMIT_EXCEEDED: { code: 106, text: "limit exceeded" },
  BAD_REQUEST: { code: 107, text: "bad request" },
  NOT_AVAILABLE: { code: 108, text: "not available" },
  TOKEN_EXPIRED: { code: 109, text: "token expired" },
  EXPIRED: { code: 110, text: "expired" },
  TOO_MANY_REQUESTS: { code: 111, text: "too many requests", temporary: true },
  UNRECOVERABLE_POSITION: { code: 112, text: "unrecoverable position" },
} as const satisfies Record<string, CommandErrorEntry>;

/** A name of COMMAND_ERRORS. */
export type CommandErrorName = keyof typeof COMMAND_ERRORS;

/**
 * The error reply to a command. If a handler of the application throws it, the client gets it as it
 * is.
 */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** The code of the reply: see COMMAND_ERRORS; 400 to 1999 for the application's own. */
  readonly code: number;
  /** Whether the client may send the same command again later. */
  readonly temporary: boolean;

  /** `code`: 400 to 1999 for the application's own errors. */
  constructor(code: number, message: string, options?: ErrorOptions & { readonly temporary?: boolean }) {
    super(message, options);
    this.code = code;
    this.temporary = options?.temporary ?? false;
  }
}

/**
 * Returns the error of a row of COMMAND_ERRORS. `detail` says what was expected and what came. It
 * has no stack trace: capturing one takes longer than most commands, and clients can cause such
 * errors at will.
 */
export function commandError(name: CommandErrorName, detail?: string, options?: ErrorOptions): CommandError {
  const entry: CommandErrorEntry = COMMAND_ERRORS[name];
  const message = detail === undefined ? entry.text : `${entry.text}: ${detail}`;
  return withoutStack(() => new CommandError(entry.code, message, { ...options, temporary: entry.temporary ?? false }));
}

/** Where intrinsics are frozen, the limit is not to be changed. */
const canChangeLimit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")?.writable === true;

function withoutStack<T extends Error>(make: () => T): T {
  if (!canChangeLimit) return make();
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** A code and a reason of an unsubscribe push, or of the end of a connection. */
export interface CodeAndReason {
  /** The code, such as 3503. */
  readonly code: number;
  /** The text that goes with it. */
  readonly reason: string;
}

/** Why a subscription ended. From 2500 on, clients subscribe again and recover. */
export const UNSUBSCRIBES = {
  CLIENT: { code: 0, reason: "client unsubscribed" },
  DISCONNECT: { code: 1, reason: "client disconnected" },
  SERVER: { code: 2000, reason: "server unsubscribe" },
  INSUFFICIENT_STATE: { code: 2500, reason: "insufficient state" },
  EXPIRED: { code: 2501, reason: "subscription expired" },
} as const satisfies Record<string, CodeAndReason>;

/**
 * Why the server closes a connection; the code is the WebSocket close code. Clients reconnect after
 * codes 3000 to 3499 and 4000 to 4499, and not after 3500 to 3999 and 4500 to 4999. Codes from 4000
 * on are the application's.
 */
export const DISCONNECTS = {
  CONNECTION_CLOSED: { code: 3000, reason: "connection closed" },
  SHUTDOWN: { code: 3001, reason: "shutdown" },
  SERVER_ERROR: { code: 3004, reason: "internal server error" },
  EXPIRED: { code: 3005, reason: "connection expired" },
  SUBSCRIPTION_EXPIRED: { code: 3006, reason: "subscription expired" },
  SLOW: { code: 3008, reason: "slow" },
  WRITE_ERROR: { code: 3009, reason: "write error" },
  INSUFFICIENT_STATE: { code: 3010, reason: "insufficient state" },
  FORCE_RECONNECT: { code: 3011, reason: "force reconnect" },
  NO_PONG: { code: 3012, reason: "no pong" },
  TOO_MANY_REQUESTS: { code: 3013, reason: "too many requests" },
  INVALID_TOKEN: { code: 3500, reason: "invalid token" },
  BAD_REQUEST: { code: 3501, reason: "bad request" },
  STALE: { code: 3502, reason: "stale" },
  FORCE_NO_RECONNECT: { code: 3503, reason: "force disconnect" },
  CONNECTION_LIMIT: { code: 3504, reason: "connection limit" },
  CHANNEL_LIMIT: { code: 3505, reason: "channel limit" },
  INAPPROPRIATE_PROTOCOL: { code: 3506, reason: "inappropriate protocol" },
  PERMISSION_DENIED: { code: 3507, reason: "permission denied" },
  NOT_AVAILABLE: { code: 3508, reason: "not available" },
} as const satisfies Record<string, CodeAndReason>;

/** Whether a client reconnects after a disconnect with `code`. */
export function reconnectsAfter(code: number): boolean {
  return !((code >= 3500 && code < 4000) || (code >= 4500 && code < 5000));
}

const MAX_REASON_BYTES = 123; // of a close frame: 125 less the 2-byte code (RFC 6455 §5.5)

/** If a handler of the application throws it, it closes the client's connection. */
export class Disconnect extends Error implements CodeAndReason {
  override readonly name = "Disconnect";
  /** The close code, 3000 to 4999. */
  readonly code: number;
  /** The close reason, at most 123 bytes. */
  readonly reason: string;

  /** `code`: 3000 to 4999. `reason`: at most 123 bytes, for the client. */
  constructor(code: number, reason: string) {
    checkDisconnect(code, reason);
    super(`${code} ${reason}`);
    this.code = code;
    this.reason = reason;
  }
}

/** Throws a RangeError if code or reason cannot be sent. */
export function checkDisconnect(code: number, reason: string): void {
  if (!Number.isInteger(code) || code < 3000 || code > 4999) {
    throw argumentError(RangeError, `a disconnect code must be an integer from 3000 to 4999, got ${code}`);
  }
  const bytes = Buffer.byteLength(reason);
  if (bytes > MAX_REASON_BYTES) {
    throw argumentError(RangeError, `a disconnect reason must have at most ${MAX_REASON_BYTES} bytes, got ${bytes}`);
  }
}
