import type { Worker } from "node:cluster";
import { Socket } from "node:net";
import { Duplex } from "node:stream";

/**
 * File descriptors of a worker: stdin, stdout, stderr, the channel of node:cluster, and a pipe for
 * `Link`. The pipe has back pressure in both directions.
 */
export const WORKER_STDIO = ["inherit", "inherit", "inherit", "ipc", "pipe"] as const;
const PIPE = 4;

/** A message on the channel of node:cluster, with a connection as its handle. */
export interface ConnectionMessage {
  readonly type: "connection";
  readonly id: number;
}

/** Returns the primary's end of the pipe to a worker. */
export function pipeToWorker({ process: child, id }: Worker): Duplex {
  const stream = child.stdio[PIPE];
  if (stream instanceof Duplex) return stream;
  throw new Error(`worker ${id} was started without a pipe`); // unreachable
}

/** Returns the worker's end of the pipe. */
export function pipeToPrimary(): Duplex {
  return new Socket({ fd: PIPE, readable: true, writable: true });
}
