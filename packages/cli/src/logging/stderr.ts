import { type BigIntStats, closeSync, constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { isatty } from "node:tty";
import type { Sink } from "./line-writer.ts";

const STDERR = 2;
const RETRY = 50; // ms before writing to a full terminal again

/**
 * Returns a sink for the process's stderr that never blocks.
 *
 * - A pipe or terminal is opened again through /proc/self/fd where it exists (Linux). The
 *   non-blocking mode then belongs to this process alone; on a shared descriptor another process
 *   could reset it. Node writes to terminals synchronously, so a stopped terminal (Ctrl+S) would
 *   block the process.
 * - For sockets, and for pipes and terminals on other systems, Node's own stream is used. It does
 *   not block on pipes and sockets.
 * - Files and devices are written in the thread pool.
 */
export function stderrSink(): Sink {
  const stat = statOf(STDERR);
  const isTerminal = isatty(STDERR);
  if (stat?.isFIFO() === true) {
    const fd = reopen((own) => statOf(own)?.isFIFO() === true);
    return fd === undefined ? streamSink(process.stderr, STDERR) : streamSink(new Socket({ fd, readable: false }), fd);
  }
  if (isTerminal) {
    const fd = reopen(isatty);
    return fd === undefined ? streamSink(process.stderr, STDERR) : terminalSink(fd);
  }
  return stat?.isSocket() === true ? streamSink(process.stderr, STDERR) : fileSink();
}

/**
 * With `bigint`: without it, Node 20 resolves no symbolic links in imports after this call on a
 * socket, and loads a package that is linked into node_modules a second time.
 */
function statOf(fd: number): BigIntStats | undefined {
  try {
    return fstatSync(fd, { bigint: true });
  } catch {
    return undefined;
  }
}

/**
 * Opens stderr again in non-blocking mode. Returns undefined if the system does not support that or
 * opens another file.
 */
function reopen(isSame: (fd: number) => boolean): number | undefined {
  let fd: number;
  try {
    fd = openSync("/proc/self/fd/2", constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
  if (isSame(fd)) return fd;
  closeSync(fd);
  return undefined;
}

function streamSink(stream: Writable, fd: number): Sink {
  // a closed reader must not end the process
  stream.on("error", () => undefined);
  return { write: (bytes, done) => void stream.write(bytes, done), writeNow: (bytes) => writeNow(fd, bytes) };
}

function fileSink(): Sink {
  return {
    write: (bytes, done) => write(STDERR, bytes, (error) => done(error)),
    writeNow: (bytes) => writeNow(STDERR, bytes),
  };
}

function terminalSink(fd: number): Sink {
  const writeRest = (rest: Buffer, done: (error?: Error | null) => void): void => {
    let from = 0;
    try {
      while (from < rest.length) from += writeSync(fd, rest, from);
    } catch (error) {
      if (isFull(error)) setTimeout(() => writeRest(rest.subarray(from), done), RETRY).unref();
      else setImmediate(done, error instanceof Error ? error : new Error(String(error)));
      return;
    }
    // asynchronous, to avoid recursion from within `write`
    setImmediate(done);
  };
  return {
    write: (bytes, done) => writeRest(Buffer.from(bytes), done),
    writeNow: (bytes) => writeNow(fd, bytes),
  };
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}

/** Writes synchronously what a non-blocking descriptor accepts. A file accepts everything. */
function writeNow(fd: number, bytes: string): void {
  try {
    writeSync(fd, bytes);
  } catch {
    // the descriptor is full or closed
  }
}
