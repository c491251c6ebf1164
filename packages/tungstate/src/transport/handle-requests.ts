import type { ShutdownRequest, StreamHandle, WriteRequest } from "../native/system.ts";
import { HandleReader } from "./handle-reader.ts";

// What requests of a handle call when they are complete, with themselves as `this`.

function transportOf(handle: StreamHandle | undefined): HandleReader | undefined {
  return handle?.transport instanceof HandleReader ? handle.transport : undefined;
}

export function onWritten(this: WriteRequest, status: number): void {
  this.bytes = undefined;
  transportOf(this.handle)?.written(status, this.error);
}

/** Of a write whose end nothing waits for: only its failure counts. */
export function onWriteResult(this: WriteRequest, status: number): void {
  if (status !== 0) transportOf(this.handle)?.written(status, this.error);
}

export function onShutdown(this: ShutdownRequest): void {
  transportOf(this.handle)?.shutDown();
}
