import { PreparedMessage } from "@tungstate/protocol";
import { Chain } from "@tungstate/protocol/internal";
import { isUtf8 } from "../data.ts";
import { flusher, runtime } from "../runtime.ts";

type Data = string | Uint8Array;

/**
 * Detects a message that is sent to many connections in one event-loop tick: `for (const client of
 * server.clients) client.send(data)`. From the second call on, all connections send the same bytes,
 * which are encoded and compressed once.
 */
class SharedData {
  private data: Data | undefined;
  private isText = false;
  private prepared: PreparedMessage | undefined;
  private list: readonly (Uint8Array | string)[] | undefined;
  private chain: Chain | undefined;
  private settles = false;

  /**
   * Returns the shared message to send instead of `data`. Undefined for the first call with it in
   * this tick, and for data that cannot be shared.
   */
  message(data: Data, isText: boolean): PreparedMessage | undefined {
    if (data !== this.data || isText !== this.isText) {
      this.data = data;
      this.isText = isText;
      this.prepared = undefined;
      this.settleLater();
      return undefined;
    }
    const { prepared } = this;
    // the caller may have changed the bytes in between
    if (prepared !== undefined && (typeof data === "string" || isSame(prepared.payload, data))) return prepared;
    if (isText && typeof data !== "string" && !isUtf8(data)) return undefined; // sent as it is, as with ws
    return (this.prepared = new PreparedMessage(data, { type: isText ? "text" : "binary", runtime }));
  }

  /** Returns the joined bytes of a list. Undefined for the first call with it in this tick. */
  frames(list: readonly (Uint8Array | string)[]): Chain | undefined {
    if (list !== this.list) {
      this.list = list;
      this.chain = undefined;
      this.settleLater();
      return undefined;
    }
    if (this.chain !== undefined && isJoined(this.chain.frame, list)) return this.chain;
    const parts = list.map((part) => (typeof part === "string" ? Buffer.from(part) : part));
    return (this.chain = new Chain(undefined, Buffer.concat(parts)));
  }

  private settleLater(): void {
    if (this.settles) return;
    this.settles = true;
    flusher.settleAtEnd(this);
  }

  /** The tick has ended. */
  settle(): void {
    this.settles = false;
    this.data = this.prepared = this.list = this.chain = undefined;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function isJoined(joined: Uint8Array, list: readonly (Uint8Array | string)[]): boolean {
  let at = 0;
  for (const part of list) {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    if (!isSame(joined.subarray(at, at + bytes.length), bytes)) return false;
    at += bytes.length;
  }
  return at === joined.length;
}

export const sharedData = new SharedData();
