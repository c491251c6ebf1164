/** What the scenarios need of a platform, so that they compile without the types of a browser. */
export interface Socket extends EventTarget {
  readonly url: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: string;
  readonly extensions: string;
  binaryType: string;
  onopen: unknown;
  onmessage: unknown;
  onerror: unknown;
  onclose: unknown;
  send(data: unknown): void;
  close(code?: unknown, reason?: unknown): void;
}

export interface Stream {
  readonly url: string;
  readonly opened: Promise<{
    readonly readable: ReadableStream<unknown>;
    readonly writable: WritableStream<unknown>;
    readonly protocol: string;
    readonly extensions: string;
  }>;
  readonly closed: Promise<{ readonly closeCode: number; readonly reason: string }>;
  close(info?: unknown): void;
}

interface Class<T> {
  new (...args: unknown[]): T;
  readonly prototype: T;
}

/** The classes that a platform has. */
export interface Platform {
  readonly WebSocket: Class<Socket>;
  readonly WebSocketStream: Class<Stream>;
  readonly WebSocketError: Class<Error & { readonly closeCode: number | null; readonly reason: string }>;
  readonly CloseEvent: Class<Event>;
  readonly MessageEvent: Class<Event>;
}

/** Returns the name of what `run` throws, or "ok". */
export function nameOfError(run: () => unknown): string {
  try {
    run();
    return "ok";
  } catch (error) {
    return (error as Error).name;
  }
}

export async function nameOfRejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "ok";
  } catch (error) {
    return (error as Error).name;
  }
}
