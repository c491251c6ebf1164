// Programs that use the socket of a connection besides the WebSocket: before the upgrade, and by
// events that they emit themselves.
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket as NetSocket } from "node:net";
import { onEach, test } from "./support/implementations.ts";
import { closing, listenHttp, pair, terminateAfter } from "./support/pairs.ts";
import type { Socket } from "./support/implementations.ts";

onEach("socket of a connection", (ws) => {
  test("a listener for data that is there before the upgrade has the received bytes", async (t) => {
    const { http, port } = await listenHttp(t);
    const server = new ws.WebSocketServer({ noServer: true });
    const sizes: number[] = [];
    const ended = new Promise<void>((resolve) => {
      http.on("upgrade", (incoming, socket, head) => {
        socket.on("data", (chunk: Buffer) => sizes.push(chunk.length));
        socket.on("end", resolve);
        server.handleUpgrade(incoming, socket, head, (peer) => peer.on("message", () => peer.close(1000)));
      });
    });
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    terminateAfter(t, client);
    const closed = closing(client);
    await once(client, "open");
    client.send("message");
    assert.equal((await closed).code, 1000);
    await ended;
    assert.deepEqual(sizes, [2 + 4 + 7, 2 + 4 + 2]);
  });

  test("a listener for end that is there before the upgrade is called", async (t) => {
    const { http, port } = await listenHttp(t);
    const server = new ws.WebSocketServer({ noServer: true });
    const ended = new Promise<void>((resolve) => {
      http.on("upgrade", (incoming, socket, head) => {
        socket.on("end", resolve);
        server.handleUpgrade(incoming, socket, head, () => {});
      });
    });
    const client = new ws.WebSocket(`ws://127.0.0.1:${port}`);
    terminateAfter(t, client);
    await once(client, "open");
    client.close(1000);
    await ended;
  });

  test("an error event that the program emits on _socket closes the connection with 1006", async (t) => {
    const { client, peer } = await pair(t, ws);
    const closed = Promise.all([closing(client), closing(peer)]);
    peer._socket?.emit("error", new Error("emitted by the program"));
    assert.deepEqual(
      (await closed).map(({ code, errors }) => [code, errors]),
      [
        [1006, []],
        [1006, []],
      ],
    );
  });

  test("pending and connecting are false, readyState is open", async (t) => {
    const { client, peer } = await pair(t, ws);
    for (const { _socket: socket } of [client, peer]) {
      const { pending, connecting, readyState } = socket as NetSocket;
      assert.deepEqual([pending, connecting, readyState], [false, false, "open"]);
    }
  });

  test("isPaused() and readableFlowing tell whether the connection reads", async (t) => {
    const { client } = await pair(t, ws);
    const socket = client._socket as NetSocket;
    const state = (): unknown[] => [socket.isPaused(), socket.readableFlowing];
    assert.deepEqual(state(), [false, true]);
    client.pause();
    assert.deepEqual(state(), [true, false]);
    client.resume();
    assert.deepEqual(state(), [false, true]);
  });

  test("a subclass of the server may have methods of its own", async (t) => {
    class Mine extends ws.WebSocketServer {
      readonly calls: string[] = [];
      listenTo(): void {
        this.calls.push("listenTo");
      }
      track(): void {
        this.calls.push("track");
      }
      chooseProtocol(): void {
        this.calls.push("chooseProtocol");
      }
    }
    const server = new Mine({ port: 0, host: "127.0.0.1" });
    t.after(() => server.close());
    await once(server, "listening");
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const client = new ws.WebSocket(`ws://127.0.0.1:${address.port}`, ["a"]);
    terminateAfter(t, client);
    const [[peer]] = await Promise.all([once(server, "connection") as Promise<[Socket]>, once(client, "open")]);
    assert.deepEqual([...(server.clients ?? [])], [peer]);
    assert.deepEqual([client.protocol, server.calls], ["a", []]);
  });
});
