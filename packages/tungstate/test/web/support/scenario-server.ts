import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { driverOf } from "../../../src/connection/connection.ts";
import type { WebSocketConnection } from "../../../src/connection/types.ts";
import { WebSocketServer } from "../../../src/server/server.ts";

/** The server of the scenarios, and of the page that runs them in a browser. */
export class ScenarioServer implements AsyncDisposable {
  readonly #server: WebSocketServer;
  #port = 0;
  /** What the last connection of /echo sent. */
  #received: string[] = [];

  private constructor() {
    this.#server = new WebSocketServer({
      origin: "any",
      protocols: ["chat"],
      authorize: ({ path }) => (path === "/refuse" ? { status: 404 } : true),
    });
    this.#server.on("connection", (connection, { path }) => this.#serve(connection, path));
  }

  static async start(http?: (request: IncomingMessage, response: ServerResponse) => void): Promise<ScenarioServer> {
    const server = new ScenarioServer();
    const where = { port: 0, host: "127.0.0.1", ...(http === undefined ? {} : { http }) };
    server.#port = ((await server.#server.listen(where)) as AddressInfo).port;
    return server;
  }

  get base(): string {
    return `ws://127.0.0.1:${this.#port}`;
  }

  #serve(connection: WebSocketConnection, path: string): void {
    if (path === "/echo") {
      const received: string[] = (this.#received = []);
      connection.on("message", (message) => {
        received.push(
          message.size < 100 ? `${message.type} ${message.text}` : `${message.type} of ${message.size} bytes`,
        );
        connection.write(message);
      });
    } else if (path === "/received") {
      connection.write(this.#received.join("; "));
    } else if (path === "/burst") {
      for (let n = 0; n < 8; n++) connection.write(`${n}`);
      void connection.close();
    } else if (path === "/close-after") {
      connection.write("one");
      connection.write("two");
      void connection.close(3999, "é");
    } else if (path === "/close-none") {
      void driverOf(connection)?.close(undefined, "");
    } else if (path.startsWith("/close-")) {
      void connection.close(Number(path.slice("/close-".length)), "as the path says");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close(1001, "", 100);
  }
}
