import * as ws from "ws";

// Parts of ws that its types omit.

interface Receiver {
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): this;
  on(event: "ping" | "pong", listener: (data: Buffer) => void): this;
  on(event: "conclude", listener: (code: number, reason: Buffer) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  /** As called by streams; here it is called directly, so that the error is synchronous. */
  _write(chunk: Buffer, encoding: string, callback: (error?: Error) => void): void;
  end(): void;
}

interface Parts {
  readonly Receiver: new (options: { readonly isServer: boolean; readonly maxPayload: number }) => Receiver;
  readonly extension: {
    parse(header: string): Readonly<Record<string, readonly Readonly<Record<string, readonly unknown[]>>[]>>;
  };
}

export const { Receiver, extension } = ws as unknown as Parts;

/** Returns the close code with which ws ends a connection for this error. */
export function statusOf(error: Error): number {
  const key = Object.getOwnPropertySymbols(error).find(({ description }) => description === "status-code");
  const status: unknown = key === undefined ? undefined : Reflect.get(error, key);
  if (typeof status !== "number") throw new TypeError(`ws gave an error without a close code: ${error.message}`);
  return status;
}
