import { Centrifuge } from "centrifuge";
import type { LinkState } from "../connection/link.ts";
import { Retries } from "../connection/retries.ts";

/** Codes of the client library for what it notices itself. */
const NO_PING = 2;
const NO_ANSWER_TO_SUBSCRIBE = 3;
const TIMEOUT = 1; // of a command

const COMMAND_TIMEOUT_MS = 8_000;

/**
 * The connection to the hub. The client library speaks the protocol and recovers what was missed; when to try again is decided here, so that
 * the page can say when that is, and the reasons are those of the WebSocket, which say more.
 */
export class HubLink {
  state: LinkState = { kind: "connecting", reason: undefined };
  /** The id that the server has given this connection. */
  clientId = "";
  readonly client: Centrifuge;
  /** What to do with a new state, and with a new id. */
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
      // these events are the page's to act on
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

  /** Connects, unless that is done or under way. */
  open(): void {
    this.wanted = true;
    if (this.socket !== undefined) return;
    clearTimeout(this.retryTimer);
    const reason = "reason" in this.state ? this.state.reason : undefined;
    this.become({ kind: "connecting", reason });
    this.client.connect();
  }

  /** Ends it until `open`. */
  close(): void {
    this.wanted = false;
    clearTimeout(this.retryTimer);
    this.socket = undefined;
    this.client.disconnect();
    this.become({ kind: "connecting", reason: undefined });
  }

  /** A name goes with a connection: another one takes another connection, which goes on where this one was. */
  rename(name: string): void {
    this.client.setData({ name });
    if (this.socket === undefined) return;
    this.socket = undefined;
    this.client.disconnect();
    this.open();
  }

  /** The browser says that there is no network: what is open is not worth much, and nothing is lost by coming back. */
  offline(): void {
    if (this.socket !== undefined) this.ended(0, "", true);
  }

  /** A command that the server has to answer: if it doesn't, the connection is dead, whatever the browser thinks. */
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
    // before the library's own listener, which then has nothing left to do
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.socket) this.ended(code, reason, wasOpen, false, isFinal(code));
    });
  }

  private ended(code: number, told: string, wasOpen: boolean, silent = false, final = false): void {
    if (!this.wanted || this.state.kind === "waiting" || this.state.kind === "stopped") return;
    this.socket = undefined;
    const { reason, delay } = this.retries.ended({ code, reason: told, wasOpen, silent });
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

/** After these close codes of the protocol a client stays away. */
function isFinal(code: number): boolean {
  return (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
}

/** The code of an error of the client library. */
export function codeOf(error: unknown): number {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "number"
    ? error.code
    : 0;
}
