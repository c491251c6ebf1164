import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "../../../src/server/server.ts";

/**
 * An echo server that obeys two messages: `restart` cuts the connection and refuses the next two
 * handshakes; `mute` answers nothing on this connection any more.
 */
export class MisbehavingServer implements AsyncDisposable {
  /** Close codes and reasons that the clients sent. */
  readonly closed: string[] = [];
  readonly #server: WebSocketServer;
  #refusals = 0;
  #port = 0;

  private constructor() {
    this.#server = new WebSocketServer({
      origin: "any",
      protocols: ["chat"],
      authorize: () => this.#refusals === 0 || (this.#refusals--, { status: 503 }),
    });
    this.#server.on("connection", (connection) => {
      let muted = false;
      connection.on("message", (message) => {
        if (message.text === "restart") {
          this.#refusals = 2;
          connection.terminate();
        } else if (message.text === "mute") muted = true;
        else if (!muted) connection.write(message);
      });
      connection.on("close", ({ code, reason }) => this.closed.push(`${code} ${reason}`));
    });
  }

  static async start(http?: (request: IncomingMessage, response: ServerResponse) => void): Promise<MisbehavingServer> {
    const server = new MisbehavingServer();
    const { port } = (await server.#server.listen({
      port: 0,
      host: "127.0.0.1",
      ...(http === undefined ? {} : { http }),
    })) as AddressInfo;
    server.#port = port;
    return server;
  }

  get port(): number {
    return this.#port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close(1001, "", 100);
  }
}
