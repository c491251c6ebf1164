import { type Data, Message, protocolError } from "@tungstate/protocol";
import { waitingSize } from "./message-data.ts";

/**
 * Messages that wait for the end of a message in fragments, in order, and the Close behind them.
 * RFC 6455 §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of
 * another message unless an extension has been negotiated that can interpret the interleaving."
 */
export class HeldMessages {
  /** Bytes of the messages. */
  size = 0;
  private readonly data: Data[] = [];

  get first(): Data | undefined {
    return this.data[0];
  }

  /** Throws WRITE_BUFFER_FULL when more than `limit` bytes would wait. */
  push(data: Data, limit: number): void {
    const size = this.size + waitingSize(data);
    if (size > limit)
      throw protocolError("WRITE_BUFFER_FULL", "messages wait until the message that is being sent in fragments ends");
    // the caller may transfer it to another connection meanwhile
    this.data.push(data instanceof Message ? data.share() : data);
    this.size = size;
  }

  /** Removes the first message, which was sent. */
  shift(): void {
    const sent = this.data.shift();
    if (sent !== undefined) this.size -= waitingSize(sent);
  }
}
