// A program in CommonJS: `import x = require("ws")`, the namespace and its statics.
import WebSocket = require("ws");

export class Heartbeat extends WebSocket.WebSocket {
  alive = true;
}

export function start(options: WebSocket.ServerOptions): WebSocket.Server {
  const server: WebSocket.WebSocketServer = new WebSocket.Server(options);
  server.on("connection", (socket: WebSocket, request) => {
    socket.on("message", (data: WebSocket.RawData) => {
      for (const client of server.clients) {
        if (client !== socket && client.readyState === WebSocket.OPEN) client.send(data);
      }
    });
    socket.send(request.url ?? "");
  });
  // @ts-expect-error the argument is a number
  server.clients.forEach((client) => client.close("1000"));
  const stream = WebSocket.createWebSocketStream(new WebSocket("ws://localhost"));
  stream.destroy();
  return new WebSocket.WebSocketServer({ port: 0 });
}
