import { Centrifuge } from "centrifuge";
import type { LinkState } from "../connection/link.ts";
import { Retries } from "../connection/retries.ts";

/** Codes of the client library for errors that it detects itself. */
const NO_PING = 2;
const NO_ANSWER_TO_SUBSCRIBE = 3;
const TIMEOUT = 1; // ms for the reply to a command

const COMMAND_TIMEOUT_MS = 8_000;

/**
 * The connection to the hub. The client library implements the protocol and recovers missed
 * messages. This class decides when to reconnect, so that the page can show the time, and derives
 * the reasons from the WebSocket, which has more information.
 */
export class HubLink {
  state: LinkState = { kind: "connecting", reason: undefined };
  /** The ID that the server assigned to this connection. */
  clientId = "";
  readonly client: Centrifuge;
  /** Listeners for a new state and a new client ID. */
  onState: (state: LinkState) => void = () => undefined;
  onClientId: (id: string) => void = () => undefined;
  private readonly retries = new Retries();
  private socket: WebSocket | undefined;
  private wanted = false;
  private retryTimer: number | undefined;

  constructor(url: string, name: string) {
    const watch = (socket: WebSocket): void => this.watch(socket);
    this.client = new Centrifuge(url, {
      name: "tungstate-page",
      data: { name },
      timeout: COMMAND_TIMEOUT_MS,
      websocket: class extends WebSocket {
        constructor(address: string) {
          super(address);
          watch(this);
        }
      },
      // without the library's reaction: this class handles these events
      networkEventTarget: new EventTarget(),
      pageEventTarget: new EventTarget(),
    });
    this.client.on("connected", ({ client }) => {
      this.retries.opened();
      this.clientId = client;
      this.onClientId(client);
      this.become({ kind: "open" });
    });
    this.client.on("connecting", ({ code, reason }) => {
      const silent = code === NO_PING || code === NO_ANSWER_TO_SUBSCRIBE;
      if (code !== 0) this.ended(code, reason, true, silent);
    });
    this.client.on("disconnected", ({ code, reason }) => {
      if (code !== 0) this.ended(code, reason, true, false, true);
    });
    this.client.on("error", ({ type, error }) => {
      if (type === "connect" || type === "transport") this.ended(error.code, "", true, error.code === TIMEOUT);
    });
  }

  /** Connects, unless connected or connecting. */
  open(): void {
    this.wanted = true;
    if (this.socket !== undefined) return;
    clearTimeout(this.retryTimer);
    const reason = "reason" in this.state ? this.state.reason : undefined;
    this.become({ kind: "connecting", reason });
    this.client.connect();
  }

  /** Closes the connection until `open`. */
  close(): void {
    this.wanted = false;
    clearTimeout(this.retryTimer);
    this.socket = undefined;
    this.client.disconnect();
    this.become({ kind: "connecting", reason: undefined });
  }

  /** Changes the name. A name belongs to a connection, so this reconnects and resumes. */
  rename(name: string): void {
    this.client.setData({ name });
    if (this.socket === undefined) return;
    this.socket = undefined;
    this.client.disconnect();
    this.open();
  }

  /** Reconnects when the browser reports no network. Nothing is lost by that. */
  offline(): void {
    if (this.socket !== undefined) this.ended(0, "", true);
  }

  /**
   * Waits for the reply to a command. If none arrives in time, the connection is considered dead,
   * whatever the browser reports.
   */
  async answered<T>(command: Promise<T>): Promise<T> {
    const { socket } = this;
    try {
      return await command;
    } catch (error) {
      if (codeOf(error) === TIMEOUT && socket !== undefined && socket === this.socket) this.ended(0, "", true, true);
      throw error;
    }
  }

  private watch(socket: WebSocket): void {
    this.socket = socket;
    let wasOpen = false;
    socket.addEventListener("open", () => (wasOpen = true));
    // runs before the library's own listener, which then finds nothing to do
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.socket) this.ended(code, reason, wasOpen, false, isFinal(code));
    });
  }

  private ended(code: number, closeReason: string, wasOpen: boolean, silent = false, final = false): void {
    if (!this.wanted || this.state.kind === "waiting" || this.state.kind === "stopped") return;
    this.socket = undefined;
    const { reason, delay } = this.retries.ended({ code, reason: closeReason, wasOpen, silent });
    const state: LinkState = final
      ? { kind: "stopped", reason }
      : { kind: "waiting", reason, until: Date.now() + delay };
    if (!final) this.retryTimer = setTimeout(() => this.open(), delay);
    this.become(state);
    this.client.disconnect();
  }

  private become(state: LinkState): void {
    this.state = state;
    this.onState(state);
  }
}

/** Returns whether the client must stay disconnected after this close code of the protocol. */
function isFinal(code: number): boolean {
  return (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
}

/** Returns the code of an error of the client library. */
export function codeOf(error: unknown): number {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "number"
    ? error.code
    : 0;
}
