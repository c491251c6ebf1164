/** The members of a server socket that are used: one end of a Cloudflare `WebSocketPair`. */
export interface ServerSocket {
  /** Starts to deliver events to this isolate. */
  accept(): void;
  /** Sends a message. Throws after `close`. */
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void;
  /** Sends a Close, or answers that of the client. */
  close(code?: number, reason?: string): void;
  /** Adds a listener. */
  addEventListener(type: string, listener: (event: Event) => void): void;
  /** 1: open, 2: a Close was sent or received, 3: closed. */
  readonly readyState: number;
  /** Bytes that were not sent to the network yet. Older runtimes do not have it. */
  readonly bufferedAmount?: number;
  /** "arraybuffer" or "blob". Older runtimes do not have it. */
  binaryType?: string;
  /** The subprotocol in use. */
  readonly protocol?: string | null;
  /** The extensions in use. */
  readonly extensions?: string | null;
}

/** The socket's class in workerd: `0` is for the response, `1` for the server. */
export type SocketPair = new () => { readonly 0: unknown; readonly 1: ServerSocket };

/** What a socket reports. */
export interface SocketEvents {
  message(data: string | ArrayBuffer | Blob): void;
  close(code: number, reason: string, wasClean: boolean): void;
  error(error: unknown): void;
}

/** The members of the events. */
interface SocketEvent extends Event {
  readonly data: string | ArrayBuffer;
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  readonly error?: unknown;
  readonly message?: string;
}

/** Passes the events of a socket that was accepted by `accept()`. */
export function listenTo(socket: ServerSocket, events: SocketEvents): void {
  const on = (type: string, listener: (event: SocketEvent) => void): void =>
    socket.addEventListener(type, (event) => listener(event as SocketEvent));
  on("message", ({ data }) => events.message(data));
  on("close", ({ code, reason, wasClean }) => events.close(code, reason, wasClean));
  on("error", ({ error, message }) => events.error(error ?? message));
}
