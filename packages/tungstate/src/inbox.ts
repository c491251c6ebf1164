import type { Message } from "@tungstate/protocol";

const COST_OF_A_MESSAGE = 64; // bytes that a message of no length takes
const SHARING = 128; // messages, each of which may keep 8 KiB alive

/** Messages that wait for a reader, in order, counted in bytes. */
export class Inbox {
  /** Payload bytes, and COST_OF_A_MESSAGE for each message. */
  size = 0;
  private messages: (Message | undefined)[] = [];
  private first = 0;

  get count(): number {
    return this.messages.length - this.first;
  }

  push(message: Message): void {
    // a small message shares memory with others that may be long gone; a reader that is far behind must not keep all of that
    if (this.count >= SHARING) message.detach();
    this.messages.push(message);
    this.size += message.size + COST_OF_A_MESSAGE;
  }

  shift(): Message | undefined {
    const message = this.messages[this.first];
    if (message === undefined) return undefined;
    this.messages[this.first++] = undefined; // or what was taken would be kept until the array is moved up
    this.size -= message.size + COST_OF_A_MESSAGE;
    if (this.first === this.messages.length) {
      this.messages = [];
      this.first = 0;
    } else if (this.first >= 1024 && this.first * 2 >= this.messages.length) {
      this.messages.splice(0, this.first);
      this.first = 0;
    }
    return message;
  }

  /** Takes all of them. */
  drain(): readonly Message[] {
    const all = (this.first === 0 ? this.messages : this.messages.slice(this.first)) as Message[]; // all from `first` on
    this.messages = [];
    this.first = 0;
    this.size = 0;
    return all;
  }
}
