/** The members of a platform's WebSocket (WHATWG standard) that are used. */
export interface PlatformWebSocket {
  /** Set to "arraybuffer". */
  binaryType: string;
  /** 1: open. */
  readonly readyState: number;
  /** Bytes that were not sent to the network yet. */
  readonly bufferedAmount: number;
  /** The subprotocol in use. */
  readonly protocol: string;
  /** The extensions in use. */
  readonly extensions: string;
  /** Called when the connection is open. */
  onopen: ((event: never) => void) | null;
  /** Called with a received message. */
  onmessage: ((event: never) => void) | null;
  /** Called when the connection has ended, with its code, reason and wasClean. */
  onclose: ((event: never) => void) | null;
  /** Called before `onclose` when the connection has failed. */
  onerror: ((event: never) => void) | null;
  /** Sends a message. */
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void;
  /** Starts the closing handshake. */
  close(code?: number, reason?: string): void;
}

/** A WebSocket class: that of the platform, or one with the same interface. */
export type PlatformWebSocketClass = new (url: string, protocols: string[]) => PlatformWebSocket;

interface EventSource {
  addEventListener(event: string, listener: () => void): void;
  removeEventListener(event: string, listener: () => void): void;
}

/** Globals of a browser. A worker has no document, and Node.js only WebSocket. */
export interface Platform extends Partial<EventSource> {
  readonly WebSocket?: PlatformWebSocketClass;
  readonly location?: { readonly href: string };
  readonly navigator?: { readonly onLine?: boolean };
  readonly document?: EventSource & { readonly visibilityState: string };
}

const globals: object = globalThis;
export const platform: Platform = globals;
