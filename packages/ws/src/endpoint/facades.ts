import type { Duplex } from "node:stream";
import type { BinaryType, Callback } from "../constants.ts";
import type { Connection } from "./connection.ts";

/** The members of `websocket._sender` that programs use. */
export class SenderFacade {
  private readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  get _socket(): Duplex {
    return this.connection.channel.stream;
  }

  get _bufferedBytes(): number {
    return this.connection.writer.heldSize;
  }

  set _bufferedBytes(size: number) {
    this.connection.writer.heldSize = size;
  }

  /** Sends frames that the caller has encoded, as Socket.IO does. */
  sendFrame(list: readonly (Uint8Array | string)[], callback?: Callback): void {
    this.connection.writer.frames(list, callback);
  }
}

/** The members of `websocket._receiver` that programs use. */
export class ReceiverFacade {
  private readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  get _maxPayload(): number {
    return this.connection.reader.maxPayload;
  }

  set _maxPayload(value: number) {
    this.connection.reader.maxPayload = value;
  }

  get _isServer(): boolean {
    return this.connection.reader.isServer;
  }

  set _isServer(value: boolean) {
    this.connection.reader.isServer = value;
  }

  get _binaryType(): BinaryType {
    return this.connection.reader.binaryType;
  }

  set _binaryType(type: BinaryType) {
    this.connection.reader.setBinaryType(type);
  }
}
