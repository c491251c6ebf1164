/**
 * Whether messages travel.
 *
 * - `open`: in both directions.
 * - `closing`: a Close was sent or received, or an error ended the connection.
 * - `closed`: the byte stream has ended.
 */
export type ProtocolState = "open" | "closing" | "closed";

/** What moves a connection from one phase to the next. */
export type StateEvent =
  /** A Close waits until messages before it are in the output. */
  | "closeHeld"
  /** A Close was put into the output. */
  | "closeSent"
  /** The peer's Close was received. */
  | "closeReceived"
  /** The peer ended its half of the stream, and messages are still being compressed. */
  | "inputEnded"
  /** An error ended the connection. A Close with its code is to be sent. */
  | "failed"
  /** The same, and the output before the Close is to be sent first. */
  | "failedBehindOutput"
  /** The connection ended, and the peer gets no Close. */
  | "aborted"
  /** A deadline has passed. */
  | "timedOut"
  /** The byte stream has ended. */
  | "streamEnded";

/**
 * One row of the table: what holds in a phase, and the phase that follows each event. An event
 * without a phase changes nothing.
 */
export interface Phase {
  readonly state: ProtocolState;
  /** Whether received bytes are processed. RFC 6455 §5.5.1: nothing follows a Close. */
  readonly receives: boolean;
  /**
   * Whether messages can be put into the output: until a Close is in it (§5.5.1). A Close may wait
   * for messages.
   */
  readonly sends: boolean;
  /** Whether the application may send further messages. */
  readonly accepts: boolean;
  /** Whether a Close is to be sent with the next control frames. */
  readonly closePending: boolean;
  /** Whether a Close was sent. No pong follows it (§5.5.2). */
  readonly closeSent: boolean;
  /**
   * Whether the peer gets what was written before the Close: output that it accepts extends the
   * deadline, and a pending Close waits for messages that are being compressed.
   */
  readonly drains: boolean;
  /**
   * Which role ends the stream once the output is written. §7.1.1: "the server MUST close the TCP
   * connection immediately", the client "SHOULD wait for the server".
   */
  readonly streamEndsAt: "neither" | "server" | "both";
  readonly next: Readonly<Partial<Record<StateEvent, PhaseName>>>;
}

type PhaseName =
  | "open"
  | "closeHeld"
  | "inputEnded"
  | "closeSent"
  | "closeReceived"
  | "closeReceivedHeld"
  | "closesExchanged"
  | "failing"
  | "failed"
  | "draining"
  | "drainingHeld"
  | "drained"
  | "aborted"
  | "closedCleanly"
  | "lost"
  | "lostAfterError";

/** Events after which an open connection has an error, or is destroyed. */
const ERRORS = {
  failed: "failing",
  failedBehindOutput: "draining",
  aborted: "aborted",
  timedOut: "aborted",
} as const;

/** The same after the peer's Close: no error prevents the Close that answers it. */
const ERRORS_AFTER_CLOSE = { ...ERRORS, aborted: "failing" } as const;

/** The same after a Close was sent. */
const ERRORS_AFTER_CLOSE_SENT = { failed: "failed", failedBehindOutput: "drained", aborted: "failed" } as const;

/** The state machine of a connection. */
export const PHASES: Readonly<Record<PhaseName, Phase>> = frozen({
  open: {
    ...phase("open", { receives: true, sends: true, accepts: true }),
    next: {
      ...ERRORS,
      closeHeld: "closeHeld",
      closeSent: "closeSent",
      closeReceived: "closeReceived",
      inputEnded: "inputEnded",
      streamEnded: "lost",
    },
  },
  closeHeld: {
    ...phase("open", { receives: true, sends: true, drains: true }),
    next: { ...ERRORS, closeSent: "closeSent", closeReceived: "closeReceivedHeld", streamEnded: "lost" },
  },
  inputEnded: {
    ...phase("open", { sends: true, drains: true }),
    next: { ...ERRORS, streamEnded: "lost" },
  },
  closeSent: {
    ...phase("closing", { receives: true, closeSent: true, drains: true }),
    next: { ...ERRORS_AFTER_CLOSE_SENT, closeReceived: "closesExchanged", streamEnded: "lost" },
  },
  closeReceived: {
    ...phase("closing", { sends: true, accepts: true, closePending: true, drains: true }),
    next: {
      ...ERRORS_AFTER_CLOSE,
      closeHeld: "closeReceivedHeld",
      closeSent: "closesExchanged",
      inputEnded: "closeReceivedHeld",
      streamEnded: "lost",
    },
  },
  closeReceivedHeld: {
    ...phase("closing", { sends: true, closePending: true, drains: true }),
    next: { ...ERRORS_AFTER_CLOSE, closeSent: "closesExchanged", streamEnded: "lost" },
  },
  closesExchanged: {
    ...phase("closing", { closeSent: true, drains: true, streamEndsAt: "server" }),
    next: { ...ERRORS_AFTER_CLOSE_SENT, streamEnded: "closedCleanly" },
  },
  failing: {
    ...phase("closing", { sends: true, accepts: true, closePending: true }),
    next: { closeSent: "failed", timedOut: "aborted", streamEnded: "lostAfterError" },
  },
  failed: {
    ...phase("closing", { closeSent: true, streamEndsAt: "both" }),
    next: { streamEnded: "lostAfterError" },
  },
  draining: {
    ...phase("closing", { sends: true, accepts: true, closePending: true, drains: true }),
    next: {
      closeHeld: "drainingHeld",
      closeSent: "drained",
      inputEnded: "drainingHeld",
      timedOut: "aborted",
      streamEnded: "lost",
    },
  },
  drainingHeld: {
    ...phase("closing", { sends: true, closePending: true, drains: true }),
    next: { closeSent: "drained", timedOut: "aborted", streamEnded: "lost" },
  },
  drained: {
    ...phase("closing", { closeSent: true, drains: true, streamEndsAt: "both" }),
    next: { streamEnded: "lost" },
  },
  aborted: {
    ...phase("closing", { streamEndsAt: "both" }),
    next: { streamEnded: "lostAfterError" },
  },
  closedCleanly: { ...phase("closed", { closeSent: true, drains: true, streamEndsAt: "both" }), next: {} },
  lost: { ...phase("closed", { drains: true, streamEndsAt: "both" }), next: {} },
  lostAfterError: { ...phase("closed", { streamEndsAt: "both" }), next: {} },
});

function frozen(phases: Record<PhaseName, Phase>): Readonly<Record<PhaseName, Phase>> {
  for (const each of Object.values(phases)) Object.freeze(Object.freeze(each).next);
  return Object.freeze(phases);
}

/** Returns a row without its transitions. What is not given does not hold. */
function phase(state: ProtocolState, holds: Partial<Phase>): Omit<Phase, "next"> {
  return {
    state,
    receives: false,
    sends: false,
    accepts: false,
    closePending: false,
    closeSent: false,
    drains: false,
    streamEndsAt: "neither",
    ...holds,
  };
}

/** Returns the phase that follows an event: the same one if the event changes nothing. */
export function after(current: Phase, event: StateEvent): Phase {
  const name = current.next[event];
  return name === undefined ? current : PHASES[name];
}
