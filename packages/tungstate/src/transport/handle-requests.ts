import type { ShutdownRequest, StreamHandle, WriteRequest } from "../native/system.ts";
import { HandleReader } from "./handle-reader.ts";

// Callbacks of requests of a handle. `this` is the request.

function transportOf(handle: StreamHandle | undefined): HandleReader | undefined {
  return handle?.transport instanceof HandleReader ? handle.transport : undefined;
}

export function onWritten(this: WriteRequest, status: number): void {
  this.bytes = undefined;
  transportOf(this.handle)?.written(status, this.error);
}

/** Callback of a write that nothing waits for: handles only an error. */
export function onWriteResult(this: WriteRequest, status: number): void {
  if (status !== 0) transportOf(this.handle)?.written(status, this.error);
}

export function onShutdown(this: ShutdownRequest): void {
  transportOf(this.handle)?.shutDown();
}
