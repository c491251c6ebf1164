import { type Ending, type ReconnectingConnection, reconnecting, type Waiting } from "tungstate/browser";
import { explainEnding } from "./reason.ts";

/** `reason` is a sentence, `until` a Unix time in ms. */
export type LinkState =
  | { readonly kind: "connecting"; readonly reason: string | undefined }
  | { readonly kind: "open" }
  | { readonly kind: "waiting"; readonly reason: string; readonly until: number }
  /** The server does not want reconnects. The user may still try. */
  | { readonly kind: "stopped"; readonly reason: string };

export interface LinkListener {
  stateChanged(state: LinkState): void;
  received(data: string | Uint8Array): void;
}

const SILENCE_MS = 8_000; // ms for a reply, after a message that requires one
const BACKOFF = { initialDelay: 1_000, maxDelay: 30_000 };

/**
 * A connection that reconnects, and says why it ended and when it reconnects in words for users. It
 * does not queue messages; the sender knows which ones are still relevant.
 */
export class Link {
  state: LinkState = { kind: "connecting", reason: undefined };
  private readonly url: string;
  private readonly listener: LinkListener;
  /** Returns a message that the server answers. */
  private readonly heartbeat: () => string;
  private connection: ReconnectingConnection | undefined;

  constructor(url: string, listener: LinkListener, heartbeat: () => string) {
    this.url = url;
    this.listener = listener;
    this.heartbeat = heartbeat;
  }

  /** Connects, unless connected or connecting. */
  tryNow(): void {
    if (this.connection !== undefined && this.state.kind !== "waiting") return;
    const reason = this.state.kind === "waiting" ? this.state.reason : undefined;
    // a new one: the user may try before the time that the server asked for
    this.connection?.terminate();
    const connection = reconnecting(this.url, {
      backoff: BACKOFF,
      heartbeat: { timeout: SILENCE_MS, message: this.heartbeat },
      retry: () => true,
    });
    this.connection = connection;
    this.become({ kind: "connecting", reason });
    connection.on("connecting", ({ after }) => {
      const last = this.state.kind === "waiting" ? this.state.reason : reason;
      if (after !== undefined) this.become({ kind: "connecting", reason: last });
    });
    connection.on("open", () => this.become({ kind: "open" }));
    connection.on("waiting", this.waiting);
    connection.on("message", ({ data }) => this.listener.received(data));
  }

  /** Sends a message if there is a connection. Returns whether there was one. */
  send(data: string): boolean {
    return this.connection?.current?.write(data) === true;
  }

  /**
   * Starts waiting for a reply. If nothing arrives in time, the connection is considered dead,
   * whatever the browser reports.
   */
  expectAnswer(): void {
    this.connection?.expectReply();
  }

  /** Closes the connection until `tryNow`. */
  close(): void {
    const { connection } = this;
    this.connection = undefined;
    this.state = { kind: "connecting", reason: undefined };
    connection?.off("waiting", this.waiting);
    void connection?.close();
  }

  private readonly waiting = ({ after, delay, offline }: Waiting): void => {
    this.become({ kind: "waiting", reason: explain(after, offline), until: Date.now() + delay });
  };

  private become(state: LinkState): void {
    this.state = state;
    this.listener.stateChanged(state);
  }
}

function explain(after: Ending, offline: boolean): string {
  const { code, reason, error } = after.type === "closed" ? after.info : { code: 1006, reason: "", error: after.error };
  return explainEnding({
    code,
    reason,
    wasOpen: after.type === "closed",
    silent: error?.code === "HEARTBEAT_TIMEOUT",
    offline,
  });
}
