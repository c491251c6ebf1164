/** The values of `readyState`. */
export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSING = 2;
export const CLOSED = 3;

const READY_STATE_NAMES = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];

/** Returns a ready state for an error message: `2 (CLOSING)`. */
export function describeState(state: number): string {
  return `${state} (${READY_STATE_NAMES[state]})`;
}

export const EMPTY_BUFFER: Buffer = Buffer.alloc(0);

/** Kinds of binary messages. */
export type BinaryType = "nodebuffer" | "arraybuffer" | "fragments" | "blob";
export const BINARY_TYPES: readonly unknown[] = ["nodebuffer", "arraybuffer", "fragments", "blob"];

/** Options that clients and servers have in common, with the defaults of ws 8.23. */
export const DEFAULTS = {
  allowSynchronousEvents: true,
  autoPong: true,
  closeTimeout: 30_000, // ms
  maxBufferedChunks: 262_144,
  maxFragments: 16_384,
  maxPayload: 104_857_600, // bytes
  maxPendingAutoPongs: 60,
  skipUTF8Validation: false,
} as const;

/** Close codes that this package needs by name. */
export const NO_STATUS = 1005;
export const ABNORMAL = 1006;

/** Called with an error, or without one when the data was written. */
export type Callback = (error?: Error | null) => void;

/** Does nothing. */
export function ignore(): void {}
