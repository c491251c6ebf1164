import type { EventEmitter } from "node:events";
import type { ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { PerMessageDeflate } from "../deflate/permessage-deflate.ts";
import type { SocketOptions } from "../endpoint/connection.ts";

/** A WebSocket during its handshake. */
export interface ClientSocket extends EventEmitter {
  readonly readyState: number;
  readonly url: string;
  _readyState: number;
  _errorEmitted: boolean;
  _extensions: Record<string, PerMessageDeflate>;
  _protocol: string;
  _redirects: number;
  _req: ClientRequest | null;
  _url: string;
  _originalIpc: boolean;
  _originalSecure: boolean;
  _originalHostOrSocketPath: string | undefined;
  setSocket(socket: Duplex, head: Buffer, options: SocketOptions): void;
  emitClose(): void;
}
