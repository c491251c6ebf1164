// `import` has the class that `require` returns. It is loaded by `require` here, too: Node.js 20
// rejects `require` of a module that an `import()` is loading.
import WebSocket from "./index.cjs";

export const { createWebSocketStream, extension, PerMessageDeflate, Receiver, Sender, subprotocol, WebSocketServer } =
  WebSocket;
export { WebSocket };
// oxlint-disable-next-line import/no-default-export -- the interface of ws
export default WebSocket;
