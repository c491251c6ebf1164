/** What is used of a platform's WebSocket: that of the WHATWG standard. */
export interface PlatformWebSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  readonly extensions: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** A WebSocket class: that of the platform, or one with the same interface. */
export type PlatformWebSocketClass = new (url: string, protocols: string[]) => PlatformWebSocket;

interface EventSource {
  addEventListener(event: string, listener: () => void): void;
  removeEventListener(event: string, listener: () => void): void;
}

/** What may be there of a browser's globals. A worker has no document, and Node.js none of them but WebSocket. */
export interface Platform extends Partial<EventSource> {
  readonly WebSocket?: PlatformWebSocketClass;
  readonly location?: { readonly href: string };
  readonly navigator?: { readonly onLine?: boolean };
  readonly document?: EventSource & { readonly visibilityState: string };
}

const globals: object = globalThis;
export const platform: Platform = globals;
