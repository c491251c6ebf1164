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
  /** A Close was put into the output. */
  | "closeSent"
  /** The peer's Close came. */
  | "closeReceived"
  /** An error ended the connection, and a Close with its code is to be sent. */
  | "failed"
  /** An error ended the connection, and no Close tells the peer. */
  | "aborted"
  /** The time for closing is over. */
  | "timedOut"
  /** The byte stream has ended. */
  | "streamEnded";

/**
 * One row of the table: what holds in a phase, and the phase that follows each event. An event
 * without a phase changes nothing.
 */
export interface Phase {
  readonly state: ProtocolState;
  /** Whether bytes of the peer are processed. RFC 6455 §5.5.1: nothing follows a Close. */
  readonly receives: boolean;
  /**
   * Whether messages can be sent: until a Close is in the output (§5.5.1), which may wait for them.
   */
  readonly sends: boolean;
  /** Whether a Close waits to be sent. */
  readonly closePending: boolean;
  /** Whether a Close was sent. No pong follows it (§5.5.2). */
  readonly closeSent: boolean;
  /**
   * Who ends the stream once the output is written. §7.1.1: "the server MUST close the TCP
   * connection immediately", the client "SHOULD wait for the server".
   */
  readonly streamEndsAt: "neither" | "server" | "both";
  readonly next: Readonly<Partial<Record<StateEvent, PhaseName>>>;
}

type PhaseName =
  | "open"
  | "closeSent"
  | "closeReceived"
  | "closesExchanged"
  | "failing"
  | "failed"
  | "aborted"
  | "closedCleanly"
  | "lost";

/** The state machine of a connection. */
export const PHASES: Readonly<Record<PhaseName, Phase>> = frozen({
  open: {
    ...phase("open", { receives: true, sends: true }),
    next: {
      closeSent: "closeSent",
      closeReceived: "closeReceived",
      failed: "failing",
      aborted: "aborted",
      streamEnded: "lost",
    },
  },
  closeSent: {
    ...phase("closing", { receives: true, closeSent: true }),
    next: { closeReceived: "closesExchanged", failed: "failed", aborted: "failed", streamEnded: "lost" },
  },
  closeReceived: {
    ...phase("closing", { sends: true, closePending: true }),
    next: {
      closeSent: "closesExchanged",
      failed: "failing",
      aborted: "failing",
      timedOut: "aborted",
      streamEnded: "lost",
    },
  },
  closesExchanged: {
    ...phase("closing", { closeSent: true, streamEndsAt: "server" }),
    next: { failed: "failed", aborted: "failed", streamEnded: "closedCleanly" },
  },
  failing: {
    ...phase("closing", { sends: true, closePending: true }),
    next: { closeSent: "failed", timedOut: "aborted", streamEnded: "lost" },
  },
  failed: {
    ...phase("closing", { closeSent: true, streamEndsAt: "both" }),
    next: { streamEnded: "lost" },
  },
  aborted: {
    ...phase("closing", { streamEndsAt: "both" }),
    next: { streamEnded: "lost" },
  },
  closedCleanly: { ...phase("closed", { closeSent: true, streamEndsAt: "both" }), next: {} },
  lost: { ...phase("closed", { streamEndsAt: "both" }), next: {} },
});

function frozen(phases: Record<PhaseName, Phase>): Readonly<Record<PhaseName, Phase>> {
  for (const each of Object.values(phases)) Object.freeze(Object.freeze(each).next);
  return Object.freeze(phases);
}

function phase(state: ProtocolState, holds: Partial<Phase>): Omit<Phase, "next"> {
  const nothing = { receives: false, sends: false, closePending: false, closeSent: false } as const;
  return { state, ...nothing, streamEndsAt: "neither", ...holds };
}

/** Returns the phase that follows an event: the same one where the event changes nothing. */
export function after(current: Phase, event: StateEvent): Phase {
  const name = current.next[event];
  return name === undefined ? current : PHASES[name];
}
