import { closeSync, constants, fstatSync, openSync, type Stats, write, writeSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { isatty } from "node:tty";
import type { Sink } from "./line-writer.ts";

const STDERR = 2;
const RETRY = 50; // ms until a terminal that takes no more is tried again

/**
 * The process's stderr as a sink that never waits for its reader.
 *
 * - A pipe or terminal is opened once more where the system has /proc/self/fd (Linux), so that not waiting is a property of this process alone: a
 *   process that shares stderr may set it back. Node also writes to a terminal synchronously, and one that is stopped (Ctrl+S) would stop the process.
 * - A socket, or a pipe or terminal elsewhere: Node's own stream, which does not wait for pipes and sockets.
 * - A file or device: a write in the thread pool.
 */
export function stderrSink(): Sink {
  const stat = statOf(STDERR);
  const isTerminal = isatty(STDERR);
  if (stat?.isFIFO() === true) {
    const fd = openAgain((own) => statOf(own)?.isFIFO() === true);
    return fd === undefined ? streamSink(process.stderr, STDERR) : streamSink(new Socket({ fd, readable: false }), fd);
  }
  if (isTerminal) {
    const fd = openAgain(isatty);
    return fd === undefined ? streamSink(process.stderr, STDERR) : terminalSink(fd);
  }
  return stat?.isSocket() === true ? streamSink(process.stderr, STDERR) : fileSink();
}

function statOf(fd: number): Stats | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined;
  }
}

/** What stderr is, under a descriptor that does not wait; undefined where the system can't do that, or has given something else. */
function openAgain(isSame: (fd: number) => boolean): number | undefined {
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
  // a reader that is gone is no reason to stop
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
    // not from within `write`: many lines would be as many calls deep
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

/** A descriptor that does not wait takes what it has room for; a file takes all. */
function writeNow(fd: number, bytes: string): void {
  try {
    writeSync(fd, bytes);
  } catch {
    // it takes no more, or is gone
  }
}
