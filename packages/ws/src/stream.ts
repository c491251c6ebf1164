import { Duplex, type DuplexOptions } from "node:stream";
import process from "node:process";
import { CLOSED, CONNECTING } from "./constants.ts";
import type { WebSocket } from "./websocket.ts";

/**
 * Returns a stream for a WebSocket. Each written chunk is sent as a message, and each received
 * message is a chunk.
 */
export function createWebSocketStream(websocket: WebSocket, options?: DuplexOptions): Duplex {
  let terminates = true;
  const whenOpen = (action: () => void): void => {
    if (websocket.readyState === CONNECTING) websocket.once("open", action);
    else action();
  };
  const emitClose = (): void => {
    process.nextTick(() => duplex.emit("close"));
  };

  const duplex: Duplex = new Duplex({
    ...options,
    autoDestroy: false,
    emitClose: false,
    objectMode: false,
    writableObjectMode: false,

    read() {
      if (websocket.isPaused) websocket.resume();
    },

    write(chunk, _encoding, callback) {
      whenOpen(() => websocket.send(chunk, callback));
    },

    final(callback) {
      whenOpen(() => {
        const { _socket: socket } = websocket;
        // the handshake has failed: the error of the WebSocket destroys this stream
        if (socket === null) return;
        if (socket.writableFinished) {
          callback();
          if (duplex.readableEnded) duplex.destroy();
          return;
        }
        // the end of this stream follows with the WebSocket's "close"
        socket.once("finish", () => callback());
        websocket.close();
      });
    },

    destroy(error, callback) {
      if (websocket.readyState === CLOSED) {
        callback(error);
        emitClose();
        return;
      }
      let isCalled = false;
      websocket.once("error", (failure: Error) => {
        isCalled = true;
        callback(failure);
      });
      websocket.once("close", () => {
        if (!isCalled) callback(error);
        emitClose();
      });
      if (terminates) websocket.terminate();
    },
  });

  websocket.on("message", (data: Buffer, isBinary: boolean) => {
    const chunk = !isBinary && duplex.readableObjectMode ? data.toString() : data;
    if (!duplex.push(chunk)) websocket.pause();
  });
  websocket.once("error", (error: Error) => {
    if (duplex.destroyed) return;
    // the WebSocket ends itself: a Close with the reason may still be in transit
    terminates = false;
    duplex.destroy(error);
  });
  websocket.once("close", () => {
    if (!duplex.destroyed) duplex.push(null);
  });

  duplex.on("end", () => {
    if (!duplex.destroyed && duplex.writableFinished) duplex.destroy();
  });
  const onError = (error: Error): void => {
    duplex.removeListener("error", onError);
    duplex.destroy();
    // without another listener, the error is thrown, as by any stream
    if (duplex.listenerCount("error") === 0) duplex.emit("error", error);
  };
  duplex.on("error", onError);
  return duplex;
}
