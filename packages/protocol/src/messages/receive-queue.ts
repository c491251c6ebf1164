import { type Message, moveMessage } from "./message.ts";

/** Bytes that each message counts for receiveQueueSize besides its payload. */
const COST_OF_A_MESSAGE = 64;
/** Bytes of memory of a message without payload: its object, and its place in an array. */
const MEMORY_OF_A_MESSAGE = 96;
const MAX_BLOCK_SIZE = 16 * 1024; // bytes
const MIN_BLOCK_SIZE = 64; // bytes

/** Messages that wait for a reader, in order, counted in bytes. */
export class ReceiveQueue {
  /** Payload bytes, and COST_OF_A_MESSAGE for each message. */
  size = 0;
  private messages: (Message | undefined)[] = [];
  private first = 0;
  /** Messages before this one share memory with no other connection. */
  private settled = 0;
  /** Memory of small messages of this queue alone, and how much of it is in use. */
  private block: Uint8Array | undefined;
  private used = 0;
  /** Bytes of small messages that have been settled, or are about to be. */
  private wanted = 0;

  get count(): number {
    return this.messages.length - this.first;
  }

  /** Whether messages may share memory with those of other connections: see `settle`. */
  get isUnsettled(): boolean {
    return this.settled < this.messages.length;
  }

  /**
   * Bytes of memory that the queue uses: payloads, messages, and the unused parts of the blocks at
   * both ends.
   */
  get held(): number {
    const messages = this.size + this.count * (MEMORY_OF_A_MESSAGE - COST_OF_A_MESSAGE);
    return this.block === undefined ? messages : messages + 2 * this.block.length;
  }

  push(message: Message): void {
    this.messages.push(message);
    this.size += message.size + COST_OF_A_MESSAGE;
  }

  /**
   * Moves small messages that still wait out of memory that they share with other connections: each
   * might keep a slab alive whose other messages are gone. Call it at the end of a tick in which
   * messages were received; a fast reader has taken them by then.
   */
  settle(): void {
    const from = Math.max(this.settled, this.first);
    this.settled = this.messages.length;
    let small = 0; // bytes
    for (let at = from; at < this.messages.length; at++) {
      const size = this.messages[at]?.size ?? 0;
      if (size <= MAX_BLOCK_SIZE / 4) small += size;
    }
    this.wanted += small;
    for (let at = from; at < this.messages.length; at++) {
      const message = this.messages[at];
      if (message !== undefined) this.separate(message);
    }
  }

  private separate(message: Message): void {
    const { size } = message;
    if (size > MAX_BLOCK_SIZE / 4) {
      message.copy();
      return;
    }
    if (this.block === undefined || this.used + size > this.block.length) {
      // few messages need little memory, and many need few blocks
      this.block = new Uint8Array(Math.max(MIN_BLOCK_SIZE, Math.min(MAX_BLOCK_SIZE, this.wanted)));
      this.used = 0;
    }
    if (moveMessage(message, this.block, this.used)) this.used += size;
    else message.copy();
  }

  shift(): Message | undefined {
    const message = this.messages[this.first];
    if (message === undefined) return undefined;
    this.messages[this.first++] = undefined; // the array must not keep messages that were taken
    this.size -= message.size + COST_OF_A_MESSAGE;
    if (this.first === this.messages.length) this.clear();
    else if (this.first >= 1024 && this.first * 2 >= this.messages.length) {
      this.messages.splice(0, this.first);
      this.settled = Math.max(0, this.settled - this.first);
      this.first = 0;
    }
    return message;
  }

  /** Takes all messages. */
  drain(): readonly Message[] {
    const all = (this.first === 0 ? this.messages : this.messages.slice(this.first)) as Message[];
    this.clear();
    return all;
  }

  private clear(): void {
    this.messages = [];
    this.first = 0;
    this.settled = 0;
    this.wanted = 0;
    this.size = 0;
    this.block = undefined;
  }
}
