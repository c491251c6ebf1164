// The type declarations of this package are in `types`.
import { PerMessageDeflate } from "./deflate/permessage-deflate.ts";
import { Receiver } from "./frames/receiver.ts";
import { Sender } from "./frames/sender.ts";
import { format, parse as parseExtensions } from "./handshake/extension.ts";
import { parse as parseProtocols } from "./handshake/subprotocol.ts";
import { WebSocketServer } from "./server/websocket-server.ts";
import { createWebSocketStream } from "./stream.ts";
import { WebSocket } from "./websocket.ts";

const extension = { format, parse: parseExtensions };
const subprotocol = { parse: parseProtocols };

// what `require` returns is the class, with the rest as its properties
Object.assign(WebSocket, {
  createWebSocketStream,
  extension,
  PerMessageDeflate,
  Receiver,
  Sender,
  Server: WebSocketServer,
  subprotocol,
  WebSocket,
  WebSocketServer,
});

export { WebSocket };
