import { utf8Length } from "@tungstate/protocol/internal";

/** A received message, with the members of the Message of `tungstate` that a page can provide. */
export class Message {
  /** Payload length in bytes; that of text in UTF-8. */
  readonly size: number;
  /** Whether the peer sent text or bytes. */
  readonly type: "text" | "binary";
  /** `text` of a text message, `bytes` of a binary one. */
  readonly data: string | Uint8Array;

  /** Messages are made by this package. */
  constructor(data: string | ArrayBuffer) {
    this.type = typeof data === "string" ? "text" : "binary";
    this.data = typeof data === "string" ? data : new Uint8Array(data);
    this.size = typeof data === "string" ? utf8Length(data) : data.byteLength;
  }

  /** The payload, yours to keep and change; text is encoded as UTF-8 at each call. */
  get bytes(): Uint8Array {
    return typeof this.data === "string" ? new TextEncoder().encode(this.data) : this.data;
  }

  /** The payload decoded as UTF-8. */
  get text(): string {
    return typeof this.data === "string" ? this.data : new TextDecoder().decode(this.data);
  }

  /**
   * Parses the text as JSON. `T` is not checked. Throws a SyntaxError for text that is not JSON.
   */
  json<T = unknown>(): T {
    return JSON.parse(this.text) as T;
  }

  /** Returns `text`. */
  toString(): string {
    return this.text;
  }
}

/** What can be sent as one message: text, bytes, or a received message. */
export type MessageData = string | ArrayBuffer | ArrayBufferView | Message;
