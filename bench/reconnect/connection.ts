import { HeaderFields, protocolError } from "@tungstate/protocol";
import type { CloseInfo, ConnectionEvents, ConnectionState, Message, WebSocketConnection } from "tungstate";

type Never = () => never;

const notSimulated: Never = () => {
  throw new Error("nothing is sent in this simulation");
};

const NO_HEADERS = new HeaderFields();

/** A connection that is only open or closed, without a stream and without messages. */
export class SimulatedConnection implements WebSocketConnection {
  readonly protocol = "";
  readonly extensions = "";
  readonly headers = NO_HEADERS;
  readonly bufferedAmount = 0;
  readonly route = undefined;
  readonly tls = undefined;
  readonly localAddress = undefined;
  readonly remoteAddress = undefined;
  readonly stats = { messagesReceived: 0, messagesSent: 0, bytesReceived: 0, bytesSent: 0 };
  readonly closed: Promise<CloseInfo>;
  readonly write: Never = notSimulated;
  readonly send: Never = notSimulated;
  readonly sendStream: Never = notSimulated;
  readonly ping: Never = notSimulated;
  readonly split: Never = notSimulated;
  readonly batches: Never = notSimulated;
  readonly removeListener: Never = notSimulated;
  readonly listenerCount: Never = notSimulated;
  readonly [Symbol.asyncIterator]: () => AsyncIterator<Message> = notSimulated;
  private closeInfo: CloseInfo | undefined;
  private resolve: (info: CloseInfo) => void = () => undefined;

  constructor() {
    this.closed = new Promise((resolve) => (this.resolve = resolve));
  }

  get state(): ConnectionState {
    return this.closeInfo === undefined ? "open" : "closed";
  }

  /** Closes the connection as the server. */
  end(info: CloseInfo): void {
    this.closeInfo ??= info;
    this.resolve(info);
  }

  terminate(): void {
    this.end({ code: 1006, reason: "", clean: false, error: protocolError("CONNECTION_LOST") });
  }

  close(): Promise<CloseInfo> {
    this.terminate();
    return this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  pause(): void {
    // no message arrives
  }

  resume(): void {
    // no message arrives
  }

  on<E extends keyof ConnectionEvents>(_event: E, _listener: (...args: ConnectionEvents[E]) => void): this {
    return this;
  }

  once<E extends keyof ConnectionEvents>(_event: E, _listener: (...args: ConnectionEvents[E]) => void): this {
    return this;
  }

  off<E extends keyof ConnectionEvents>(_event: E, _listener: (...args: ConnectionEvents[E]) => void): this {
    return this;
  }
}
