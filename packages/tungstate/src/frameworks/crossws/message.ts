import { randomUUID } from "node:crypto";
import type { Message as CrosswsMessage } from "crossws";
import type { Message } from "@tungstate/protocol";
import type { TungstatePeer } from "./peer.ts";

/** A received message, with the members of crossws's Message. */
class PeerMessage {
  readonly peer: TungstatePeer;
  readonly event = undefined;
  readonly #message: Message;
  #id: string | undefined;

  constructor(message: Message, peer: TungstatePeer) {
    this.#message = message;
    this.peer = peer;
  }

  /** A text for text, otherwise the bytes. */
  get rawData(): string | Uint8Array {
    return this.#message.type === "text" ? this.#message.text : this.#message.bytes;
  }

  get id(): string {
    return (this.#id ??= randomUUID());
  }

  uint8Array(): Uint8Array {
    return this.#message.bytes;
  }

  arrayBuffer(): ArrayBuffer {
    return new Uint8Array(this.#message.bytes).buffer;
  }

  blob(): Blob {
    return new Blob([new Uint8Array(this.#message.bytes)]);
  }

  text(): string {
    return this.#message.text;
  }

  json(): unknown {
    return this.#message.json();
  }

  /** The payload as `peer.websocket.binaryType` says. */
  get data(): unknown {
    switch (this.peer.websocket.binaryType) {
      case "arraybuffer":
        return this.arrayBuffer();
      case "blob":
        return this.blob();
      case "uint8array":
        return this.uint8Array();
      case "text":
        return this.text();
      case "nodebuffer": {
        const { buffer, byteOffset, byteLength } = this.#message.bytes;
        return Buffer.from(buffer, byteOffset, byteLength);
      }
      default:
        return this.rawData;
    }
  }

  toString(): string {
    return this.text();
  }

  [Symbol.toPrimitive](): string {
    return this.text();
  }
}

/** The same, as hooks get it: the class of crossws has private members. */
export const messageFor = (message: Message, peer: TungstatePeer): CrosswsMessage =>
  new PeerMessage(message, peer) as unknown as CrosswsMessage;
