import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { DeflatePreference } from "../cases/case.ts";
import { accept } from "../wire/deflate-negotiation.ts";
import { parseHead, requestFault, response } from "../wire/http.ts";
import { Peer } from "./peer.ts";

interface Expected {
  readonly preferences: readonly DeflatePreference[];
  readonly resolve: (peer: Peer) => void;
  readonly reject: (error: Error) => void;
}

/** The suite as a server. The path of a request identifies the case. */
export class FuzzingServer {
  readonly #server: Server;
  readonly #expected = new Map<string, Expected>();
  readonly #sockets = new Set<Socket>();
  #paths = 0;

  private constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => this.#handshake(socket));
  }

  static async listen(): Promise<FuzzingServer> {
    const server = new FuzzingServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  /** Returns a URL that was never used before, and the connection that will be made to it. */
  expect(
    name: string,
    preferences: readonly DeflatePreference[],
  ): { readonly url: string; readonly peer: Promise<Peer> } {
    this.#paths += 1;
    const path = `/${name}/${this.#paths}`;
    const { port } = this.#server.address() as AddressInfo;
    const peer = new Promise<Peer>((resolve, reject) => this.#expected.set(path, { preferences, resolve, reject }));
    // The waiter may be gone when a client makes an invalid request.
    peer.catch(() => {});
    return { url: `ws://127.0.0.1:${port}${path}`, peer };
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #handshake(socket: Socket): void {
    let received = Buffer.alloc(0);
    const ignore = (): void => {};
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const parsed = parseHead(received);
      if (parsed === undefined) return;
      socket.off("data", onData);
      const { head, rest } = parsed;
      const path = head.startLine.split(" ")[1] ?? "";
      const expected = this.#expected.get(path);
      this.#expected.delete(path);
      const fault = expected === undefined ? `unexpected path ${path}` : requestFault(head);
      if (expected === undefined || fault !== undefined) {
        socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        expected?.reject(new Error(`no handshake: ${fault}`));
        return;
      }
      const accepted = accept(head.fields.get("sec-websocket-extensions") ?? "", expected.preferences);
      // The first bytes of the case are sent together with the response: a client must keep the
      // bytes after the head.
      socket.cork();
      setImmediate(() => socket.uncork());
      socket.write(response(head.fields.get("sec-websocket-key") ?? "", accepted?.answer ?? ""));
      expected.resolve(new Peer({ socket, role: "server", agreement: accepted?.agreement, head: rest }));
      socket.off("error", ignore);
    };
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", ignore).on("data", onData);
  }
}
