import type { Message } from "@tungstate/protocol";
import { moveMessage } from "@tungstate/protocol/internal";

const COST_OF_A_MESSAGE = 64; // bytes that a message of no length takes
const SHARING = 128; // messages, each of which may keep 8 KiB alive
const BLOCK_SIZE = 16 * 1024; // bytes

/** Messages that wait for a reader, in order, counted in bytes. */
export class ReceiveQueue {
  /** Payload bytes, and COST_OF_A_MESSAGE for each message. */
  size = 0;
  private messages: (Message | undefined)[] = [];
  private first = 0;
  /** Memory of small messages of this queue alone, and how much of it is in use. */
  private block: Uint8Array | undefined;
  private used = 0;

  get count(): number {
    return this.messages.length - this.first;
  }

  push(message: Message): void {
    if (this.count >= SHARING) this.separate(message);
    this.messages.push(message);
    this.size += message.size + COST_OF_A_MESSAGE;
  }

  /** A small message shares memory with others that may be long gone: a reader that is far behind must not keep all of that. */
  private separate(message: Message): void {
    const { size } = message;
    if (this.block === undefined || this.used + size > BLOCK_SIZE) {
      // what is larger than that gets memory of its own
      if (size > BLOCK_SIZE / 4) {
        message.copy();
        return;
      }
      this.block = Buffer.allocUnsafeSlow(BLOCK_SIZE);
      this.used = 0;
    }
    if (moveMessage(message, this.block, this.used)) this.used += size;
    else message.copy();
  }

  shift(): Message | undefined {
    const message = this.messages[this.first];
    if (message === undefined) return undefined;
    this.messages[this.first++] = undefined; // or what was taken would be kept until the array is moved up
    this.size -= message.size + COST_OF_A_MESSAGE;
    if (this.first === this.messages.length) this.clear();
    else if (this.first >= 1024 && this.first * 2 >= this.messages.length) {
      this.messages.splice(0, this.first);
      this.first = 0;
    }
    return message;
  }

  /** Takes all of them. */
  drain(): readonly Message[] {
    const all = (this.first === 0 ? this.messages : this.messages.slice(this.first)) as Message[]; // all from `first` on
    this.clear();
    return all;
  }

  private clear(): void {
    this.messages = [];
    this.first = 0;
    this.size = 0;
    this.block = undefined;
  }
}
