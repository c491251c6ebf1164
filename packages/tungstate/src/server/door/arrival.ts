import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { closeHandle, startReading, stopReading } from "../../native/accepted-handles.ts";
import type { HandleResources } from "../../native/runtime.ts";
import type { StreamHandle } from "../../native/system.ts";
import { HandleTransport } from "../../transport/handle.ts";
import { transportOf, type TransportSettings } from "../../transport/of.ts";
import type { Transport } from "../../transport/transport.ts";
import { handOver } from "../http/handover.ts";

/** Receives the first bytes of a connection. */
export interface ArrivalReader {
  /** `bytes` are borrowed. */
  onBytes(bytes: Uint8Array): void;
  /** The peer has ended its half. */
  onEnd(): void;
  /** The connection has failed or was closed. */
  onGone(): void;
}

/**
 * A new connection whose first request has not been read. It becomes a transport (`transport`), is
 * passed to the HTTP server (`pass`), or is destroyed.
 */
export interface Arrival {
  readonly encrypted: boolean;
  readonly remoteAddress: string | undefined;
  /** Whether the connection can be passed to the HTTP server after the peer has ended its half. */
  readonly passesEnd: boolean;
  read(reader: ArrivalReader): void;
  /**
   * Removes the connection from the port that accepted it: closing the port does not wait for it.
   */
  handOver(): void;
  /** Stops reading. Returns a transport for the connection. */
  transport(): Transport;
  /**
   * Stops reading, and passes the connection and the bytes read so far to the HTTP server. `since`:
   * when the connection was accepted; given only if the bytes do not contain a complete head.
   */
  pass(bytes: Uint8Array, since?: number): void;
  destroy(): void;
}

/** Passes a connection to the HTTP server: see `Arrival.pass`. A socket is paused. */
export type Give<T> = (connection: T, bytes: Uint8Array, since: number | undefined) => void;

/** A connection that was accepted as a bare handle. */
export class HandleArrival implements Arrival {
  readonly encrypted = false;
  readonly passesEnd = true;
  private readonly handle: StreamHandle;
  private readonly resources: HandleResources;
  private readonly noDelay: boolean;
  private readonly give: Give<StreamHandle>;
  private reader: ArrivalReader | undefined;

  /** `give` passes the handle to the HTTP server. */
  constructor(handle: StreamHandle, resources: HandleResources, noDelay: boolean, give: Give<StreamHandle>) {
    this.handle = handle;
    this.resources = resources;
    this.noDelay = noDelay;
    this.give = give;
  }

  get remoteAddress(): string | undefined {
    const out: { address?: string } = {};
    this.handle.getpeername?.(out);
    return out.address;
  }

  read(reader: ArrivalReader): void {
    this.reader = reader;
    startReading(this.handle, this.resources.readBuffer, this);
  }

  onRead(size: number): void {
    this.reader?.onBytes(this.resources.readBuffer.subarray(0, size));
  }

  onEnd(): void {
    this.reader?.onEnd();
  }

  onFailed(): void {
    const { reader } = this;
    this.destroy();
    reader?.onGone();
  }

  handOver(): void {
    // no port has registered it
  }

  transport(): Transport {
    this.stop();
    this.handle.setNoDelay?.(this.noDelay);
    return new HandleTransport(this.handle, this.resources);
  }

  pass(bytes: Uint8Array, since?: number): void {
    this.stop();
    this.give(this.handle, new Uint8Array(bytes), since); // the next read overwrites them
  }

  destroy(): void {
    this.stop();
    closeHandle(this.handle);
  }

  private stop(): void {
    this.reader = undefined;
    stopReading(this.handle);
  }
}

/** A connection that is a socket of node:net or node:tls. */
export class SocketArrival implements Arrival {
  readonly encrypted: boolean;
  /** A stream emits its end only once. */
  readonly passesEnd = false;
  private readonly socket: Socket;
  private readonly settings: TransportSettings;
  private readonly give: Give<Socket>;
  private readonly allowedHalfOpen: boolean;
  private reader: ArrivalReader | undefined;

  /** `give` passes the socket to the HTTP server. */
  constructor(socket: Socket, settings: TransportSettings, give: Give<Socket>) {
    this.socket = socket;
    this.settings = settings;
    this.give = give;
    this.encrypted = socket instanceof TLSSocket;
    this.allowedHalfOpen = socket.allowHalfOpen;
    socket.allowHalfOpen = true; // so that a response can be sent after the peer has ended its half
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  read(reader: ArrivalReader): void {
    this.reader = reader;
    const { socket } = this;
    socket.on("error", ignore).on("close", this.onClose).on("end", this.onEnd).on("data", this.onData).resume();
    // other code may give a socket that is gone already, which emits nothing more
    if (socket.destroyed) process.nextTick(() => this.onClose());
  }

  private readonly onData = (chunk: Buffer): void => this.reader?.onBytes(chunk);
  private readonly onEnd = (): void => this.reader?.onEnd();
  private readonly onClose = (): void => this.reader?.onGone();

  handOver(): void {
    handOver(this.socket);
  }

  transport(): Transport {
    const { socket } = this;
    this.stop();
    const transport = transportOf(socket, this.settings);
    socket.off("error", ignore);
    return transport;
  }

  pass(bytes: Uint8Array, since?: number): void {
    const { socket } = this;
    this.stop();
    // node:http may read from the handle of the socket, so the stream must be empty: TLS delivers
    // one read in several chunks
    process.nextTick(() => {
      if (!socket.destroyed) this.give(socket, bytes, since);
      socket.off("error", ignore);
    });
  }

  destroy(): void {
    const { socket } = this;
    this.stop();
    socket.destroy();
  }

  private stop(): void {
    const { socket } = this;
    this.reader = undefined;
    socket.pause();
    socket.off("data", this.onData).off("end", this.onEnd).off("close", this.onClose);
    socket.allowHalfOpen = this.allowedHalfOpen;
  }
}

const ignore = (): void => undefined;
