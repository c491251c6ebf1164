import { Retries } from "./retries.ts";

/** `reason` is a sentence, `until` a Unix time in ms. */
export type LinkState =
  | { readonly kind: "connecting"; readonly reason: string | undefined }
  | { readonly kind: "open" }
  | { readonly kind: "waiting"; readonly reason: string; readonly until: number }
  /** The server does not want reconnects. The user may still try. */
  | { readonly kind: "stopped"; readonly reason: string };

export interface LinkListener {
  stateChanged(state: LinkState): void;
  received(data: string | ArrayBuffer): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const SILENCE_MS = 8_000; // ms for a reply, after a message that requires one

/**
 * A WebSocket that reconnects. It reports why a connection ended and when it reconnects, and
 * detects a server that no longer replies. It does not queue messages; the sender knows which ones
 * are still relevant.
 */
export class Link {
  state: LinkState = { kind: "connecting", reason: undefined };
  private readonly url: string;
  private readonly listener: LinkListener;
  private socket: WebSocket | undefined;
  private readonly retries = new Retries();
  private retryTimer: number | undefined;
  private connectTimer: number | undefined;
  private silenceTimer: number | undefined;

  constructor(url: string, listener: LinkListener) {
    this.url = url;
    this.listener = listener;
  }

  /** Connects, unless connected or connecting. */
  tryNow(): void {
    if (this.socket !== undefined) return;
    clearTimeout(this.retryTimer);
    const reason = this.state.kind === "waiting" ? this.state.reason : undefined;
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let wasOpen = false;
    this.connectTimer = setTimeout(() => socket.close(), CONNECT_TIMEOUT_MS);
    socket.addEventListener("open", () => {
      if (this.socket !== socket) return;
      clearTimeout(this.connectTimer);
      wasOpen = true;
      this.retries.opened();
      this.become({ kind: "open" });
    });
    socket.addEventListener("message", (event: MessageEvent<string | ArrayBuffer>) => {
      if (this.socket !== socket) return;
      this.received();
      this.listener.received(event.data);
    });
    socket.addEventListener("close", ({ code, reason: closeReason }) => {
      if (this.socket === socket) this.ended(code, closeReason, wasOpen);
    });
    this.become({ kind: "connecting", reason });
  }

  /** Sends a message if there is a connection. Returns whether there was one. */
  send(data: string): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(data);
    return true;
  }

  /**
   * Starts waiting for a reply. If nothing arrives in time, the connection is considered dead,
   * whatever the browser reports.
   */
  expectAnswer(): void {
    if (this.silenceTimer !== undefined || this.state.kind !== "open") return;
    const due = Date.now() + SILENCE_MS;
    this.silenceTimer = setTimeout(() => {
      this.silenceTimer = undefined;
      // After the machine slept this timer is late, and received data is only now being read.
      if (Date.now() > due + 2_000) this.expectAnswer();
      else this.giveUp();
    }, SILENCE_MS);
  }

  /** Closes the connection until `tryNow`. */
  close(): void {
    const { socket } = this;
    this.forget();
    clearTimeout(this.retryTimer);
    this.state = { kind: "connecting", reason: undefined };
    socket?.close(1000);
  }

  private received(): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = undefined;
  }

  private giveUp(): void {
    const { socket } = this;
    if (socket === undefined) return;
    // The browser waits for a closing handshake with a dead peer; do not wait for the browser.
    socket.close();
    this.ended(1006, "", true, true);
  }

  private ended(code: number, closeReason: string, wasOpen: boolean, silent = false): void {
    this.forget();
    const { reason, delay } = this.retries.ended({ code, reason: closeReason, wasOpen, silent });
    this.retryTimer = setTimeout(() => this.tryNow(), delay);
    this.become({ kind: "waiting", reason, until: Date.now() + delay });
  }

  private forget(): void {
    this.socket = undefined;
    this.received();
    clearTimeout(this.connectTimer);
  }

  private become(state: LinkState): void {
    this.state = state;
    this.listener.stateChanged(state);
  }
}
