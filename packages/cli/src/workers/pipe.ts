import type { Worker } from "node:cluster";
import { Socket } from "node:net";
import { Duplex } from "node:stream";

/** Descriptors of a worker: stdin, stdout, stderr, the channel of node:cluster, and a pipe of ours. That one has back pressure in both directions. */
export const WORKER_STDIO = ["inherit", "inherit", "inherit", "ipc", "pipe"] as const;
const PIPE = 4;

/** The primary's end of the pipe to a worker. */
export function pipeToWorker({ process: child, id }: Worker): Duplex {
  const stream = child.stdio[PIPE];
  if (stream instanceof Duplex) return stream;
  throw new Error(`worker ${id} has been started without a pipe`); // impossible
}

/** A worker's end. */
export function pipeToPrimary(): Duplex {
  return new Socket({ fd: PIPE, readable: true, writable: true });
}
