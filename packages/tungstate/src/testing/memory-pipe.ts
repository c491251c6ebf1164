import { Duplex } from "node:stream";

/** Buffered bytes per direction above which a writer must wait. */
const HIGH_WATER_MARK = 64 * 1024;

class End extends Duplex {
  other: End | undefined;
  /** Completes the pending write of the other end; with an error if this end is closed. */
  private room: ((error?: Error) => void) | undefined;

  constructor() {
    super({ highWaterMark: HIGH_WATER_MARK, allowHalfOpen: true });
  }

  override _read(): void {
    const room = this.room;
    this.room = undefined;
    room?.();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    const { other } = this;
    if (other === undefined || other.destroyed) {
      done(brokenPipe());
    } else if (other.push(Buffer.from(chunk))) {
      process.nextTick(done);
    } else {
      other.room = done;
    }
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { other, room } = this;
    this.room = undefined;
    room?.(brokenPipe());
    // as with a socket, the other end gets a reset when this end closes without an end of stream
    if (other !== undefined && !other.destroyed && !(this.writableFinished && this.readableEnded)) {
      process.nextTick(() => {
        if (this.writableFinished) return;
        other.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
      });
    }
    done(error);
  }
}

function brokenPipe(): Error {
  return Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
}

/**
 * Returns two connected byte streams in memory, with half-close, back pressure and reset as between
 * two sockets.
 */
export function memoryPipe(): [Duplex, Duplex] {
  const left = new End();
  const right = new End();
  left.other = right;
  right.other = left;
  return [left, right];
}
