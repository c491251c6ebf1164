import { CLOSE_CODE, type WebSocketError } from "@tungstate/protocol";
import type { CloseInfo } from "../connection/types.ts";
import type { Timers } from "../schedule/timers.ts";
import { browserError } from "./errors.ts";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.ts";
import { Message, type MessageData } from "../platform/message.ts";
import { type Payload, payloadOf } from "../platform/payload.ts";
import type { PlatformWebSocket } from "./platform.ts";
import type { BrowserWebSocketConnection } from "./types.ts";

export interface LinkSettings {
  readonly closeTimeout: number;
  readonly heartbeat: HeartbeatOptions | undefined;
  readonly clock: Timers;
}

const OPEN = 1; // WHATWG WebSockets §3.1

/** One open connection of the platform. */
export class Link implements BrowserWebSocketConnection {
  readonly closed: Promise<CloseInfo>;
  readonly #socket: PlatformWebSocket;
  readonly #settings: LinkSettings;
  readonly #heartbeat: Heartbeat | undefined;
  #end!: (info: CloseInfo) => void;
  #state: "open" | "closing" | "closed" = "open";
  /** Sizes of the messages that the browser may have buffered. */
  #buffered: number[] = [];
  #bufferedSize = 0;
  onMessage: ((message: Message) => void) | undefined;

  /** `socket`: open. */
  constructor(socket: PlatformWebSocket, settings: LinkSettings) {
    this.#socket = socket;
    this.#settings = settings;
    const { heartbeat, clock } = settings;
    const heart = (this.#heartbeat =
      heartbeat &&
      new Heartbeat(
        heartbeat,
        clock,
        (data) => this.write(data),
        () => this.terminate(browserError("HEARTBEAT_TIMEOUT", `${heartbeat.timeout} ms`)),
      ));
    this.closed = new Promise((resolve) => {
      this.#end = (info) => {
        this.#state = "closed";
        heart?.stop();
        resolve(info);
      };
    });
    socket.onmessage = ({ data }: { readonly data: string | ArrayBuffer }) => {
      heart?.received();
      this.onMessage?.(new Message(data));
    };
    socket.onclose = ({ code, reason, wasClean }: { code: number; reason: string; wasClean: boolean }) => {
      this.#end({ code, reason, clean: wasClean, error: wasClean ? undefined : browserError("CONNECTION_LOST") });
    };
  }

  get state(): "open" | "closing" | "closed" {
    // before `onclose`, a browser drops messages when the server has closed the connection
    return this.#state === "open" && this.#socket.readyState !== OPEN ? "closing" : this.#state;
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get extensions(): string {
    return this.#socket.extensions;
  }

  get bufferedAmount(): number {
    return this.#state === "closed" ? 0 : this.#socket.bufferedAmount;
  }

  /** Messages that the browser has not sent. They are lost when the connection ends. */
  get unsent(): number {
    const buffered = this.#buffered;
    // bufferedAmount "does not reset to zero once the connection closes" (WHATWG WebSockets §3.1)
    while (buffered.length > 0 && this.#bufferedSize - buffered[0] >= this.#socket.bufferedAmount) {
      this.#bufferedSize -= buffered.shift() ?? 0;
    }
    return buffered.length;
  }

  /** Sends the heartbeat now, if there is one. */
  probe(): void {
    if (this.#state === "open") this.#heartbeat?.probe();
  }

  /** Any message must come within `heartbeat.timeout`, if there is a heartbeat. */
  expect(): void {
    if (this.#state === "open") this.#heartbeat?.expect();
  }

  write(data: MessageData): boolean {
    return this.send(payloadOf(data));
  }

  send({ data, size }: Payload): boolean {
    if (this.state !== "open") return false;
    // the platform rejects a view of shared memory
    this.#socket.send(data as string | ArrayBuffer | ArrayBufferView<ArrayBuffer>);
    this.#buffered.push(size);
    this.#bufferedSize += size;
    void this.unsent; // removes sent messages from the list
    return true;
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    const { closeTimeout, clock } = this.#settings;
    const timeOut = (): void => this.terminate(browserError("CLOSE_TIMEOUT", `${closeTimeout} ms`));
    void this.closed.then(clock.after(closeTimeout, timeOut));
    // WHATWG WebSockets §3.1: "If code is neither the integer 1000 nor an integer in the range 3000
    // to 4999 ... InvalidAccessError"
    if (code === CLOSE_CODE.NORMAL || code >= 3000) this.#socket.close(code, reason);
    else this.#socket.close();
  }

  /** Ends the connection without waiting for the server. */
  terminate(error?: WebSocketError): void {
    const socket = this.#socket;
    socket.onmessage = socket.onclose = null;
    socket.close();
    this.#end({ code: CLOSE_CODE.ABNORMAL, reason: "", clean: false, error });
  }
}
