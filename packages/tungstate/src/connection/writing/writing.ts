import { checkClose, type Data, Message, PreparedMessage, protocolError } from "@tungstate/protocol";
import { argumentError } from "@tungstate/protocol/internal";
import { checkStream, type DeflateFragment, type Pace, sendInFragments } from "./fragments.ts";
import { Flushing, TICK_LIMIT } from "./flushing.ts";
import { HeldMessages } from "./held-messages.ts";
import { asData } from "./message-data.ts";
import { Waiters } from "./waiters.ts";
import { DONE, failedCall, handled, rejected } from "../../schedule/promises.ts";
import type { MessageData, WriteOptions } from "../types.ts";

/**
 * The writing half of a connection. Messages go into the protocol, in order, and its output to the
 * transport: see `Flushing`.
 */
export class Writing extends Flushing {
  /**
   * Writes, then waits for room. Throws INVALID_ARGUMENT and INVALID_STATE; rejects with NOT_OPEN
   * and WRITE_BUFFER_FULL.
   */
  send(data: MessageData, options?: WriteOptions): Promise<void> {
    try {
      if (this.write(data, options)) return DONE;
    } catch (error) {
      return failedCall(error);
    }
    return this.room();
  }

  write(data: MessageData, options?: WriteOptions): boolean {
    const checked = typeof data === "string" || data instanceof Message ? data : asData(data);
    if (!this.writable) return false;
    if (this.outgoing !== undefined) this.core.send(checked, options?.compress);
    else if (this.core.inMessage || this.held !== undefined) return this.hold(checked);
    else if (options?.transfer === true && checked instanceof Message) this.core.transfer(checked);
    else this.core.send(checked);
    this.messagesSent++;
    return this.afterWrite();
  }

  /**
   * RFC 6455 §5.4 allows no message between the fragments of another: it waits until `sendStream`
   * is done.
   */
  private hold(data: Data): boolean {
    if (data instanceof PreparedMessage && data.compressed) {
      throw argumentError(
        TypeError,
        "the message must not be compressed on a connection without compression: prepare it without `compressed`",
      );
    }
    this.held ??= new HeldMessages();
    this.held.push(data, this.settings.maxWriteBufferSize);
    this.needDrain = true;
    return false;
  }

  /**
   * Rejects at once when the connection ends, even if the source does not. Throws INVALID_ARGUMENT
   * for an invalid source or type.
   */
  sendStream(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary",
  ): Promise<void> {
    checkStream(parts, type);
    if (!this.writable) return rejected(this.notOpen());
    const { outgoing, core } = this;
    const { streams } = (this.waiters ??= new Waiters());
    const pace: Pace = {
      wrote: () => this.streamWrote(),
      room: () => this.streamRoom(),
      fail: (error) => this.host.failNow(error),
    };
    const sent = new Promise<void>((resolve, reject) => {
      streams.add(reject);
      const sent = (): void => {
        streams.delete(reject);
        this.messagesSent++;
        resolve();
      };
      const failed = (error: unknown): void => {
        streams.delete(reject);
        reject(error);
      };
      if (outgoing === undefined) {
        this.sendUncompressed(parts, type, pace).then(sent, failed);
        return;
      }
      const deflate: DeflateFragment = (part, last) => outgoing.deflateFragment(part, last);
      outgoing.inTurn(() => {
        const sending = sendInFragments(core, parts, type, pace, deflate);
        // later messages are sent in any case
        return sending.then(sent, failed);
      });
    });
    return handled(sent);
  }

  private async sendUncompressed(
    parts: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    type: "text" | "binary",
    pace: Pace,
  ): Promise<void> {
    if (this.core.inMessage || this.held !== undefined) throw protocolError("MESSAGE_IN_PROGRESS");
    try {
      await sendInFragments(this.core, parts, type, pace);
    } finally {
      await this.release(pace);
    }
  }

  /**
   * Sends messages that waited for the end of a message in fragments, and those written meanwhile.
   */
  private async release(pace: Pace): Promise<void> {
    const { core, held } = this;
    for (let data = held?.first; data !== undefined; data = held?.first) {
      if (!core.hasRoom(data)) await pace.room();
      // its source has failed, and with it the connection: `flush` reports it
      if (!core.writable || core.inMessage) return;
      core.send(data);
      this.messagesSent++;
      held?.shift();
      await pace.wrote();
    }
    this.held = undefined;
    core.releaseClose();
    this.flushSoon();
  }

  /** Starts the closing handshake after everything that was written. */
  close(code: number | undefined, reason: string): void {
    checkClose(code, reason);
    const { core, settings } = this;
    const now = settings.clock.now();
    // with compression, the core keeps the order
    const waits = this.outgoing === undefined && (core.inMessage || this.held !== undefined);
    if (!waits) core.close(code, reason, now);
    else {
      this.held ??= new HeldMessages();
      core.holdClose(code, reason, now);
    }
  }

  /** A fragment was written. Messages that wait for the end of this message do not count. */
  private streamWrote(): Promise<void> | undefined {
    this.afterWrite();
    const { core, settings } = this;
    const hasRoom = core.output.size + core.inTransit <= settings.writeBufferSize && this.passed <= TICK_LIMIT;
    return hasRoom ? undefined : this.streamRoom();
  }

  private streamRoom(): Promise<void> {
    this.flushSoon();
    return (this.waiters ??= new Waiters()).forStream();
  }
}
