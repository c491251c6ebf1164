import type { AddressInfo, ListenOptions } from "node:net";
import type { TestContext } from "node:test";
import type { WebSocketError } from "@tungstate/protocol";
import { connect, type ConnectOptions } from "../../src/client/connect.ts";
import { WebSocketServer } from "../../src/server/server.ts";
import type { ServerListenOptions, WebSocketServerOptions } from "../../src/server/options.ts";
import type { HandshakeRequest } from "../../src/server/admission/request.ts";
import type { WebSocketConnection } from "../../src/connection/types.ts";

/** A server under test, and its events. */
export class Served {
  readonly server: WebSocketServer;
  readonly port: number;
  readonly refused: WebSocketError[] = [];
  readonly errors: unknown[] = [];
  readonly accepted: { readonly connection: WebSocketConnection; readonly request: HandshakeRequest }[] = [];
  private wake: (() => void) | undefined;

  constructor(server: WebSocketServer, port: number) {
    this.server = server;
    this.port = port;
    server.on("connection", (connection, request) => {
      this.accepted.push({ connection, request });
      this.wake?.();
    });
    server.on("refused", (error) => {
      this.refused.push(error);
      this.wake?.();
    });
    server.on("error", (error) => this.errors.push(error));
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`;
  }

  /** Waits until the server has reported enough. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  /** A client and its other end. */
  async pair(options: ConnectOptions = {}): Promise<[WebSocketConnection, WebSocketConnection]> {
    const before = this.accepted.length;
    const client = await connect(this.url, { proxy: false, ...options });
    await this.until(() => this.accepted.length > before);
    const other = this.accepted[before];
    if (other === undefined) throw new Error("impossible: it was waited for");
    return [client, other.connection];
  }
}

/** Starts a WebSocketServer on its own port. Closed when the test ends. */
export async function serve(
  t: TestContext,
  options: WebSocketServerOptions = {},
  where: ListenOptions & ServerListenOptions = {},
): Promise<Served> {
  const server = new WebSocketServer(options);
  const address = (await server.listen(where)) as AddressInfo;
  t.after(() => end(server));
  return new Served(server, address.port);
}

/** Terminates all connections of a server, and closes it. */
export async function end(server: WebSocketServer): Promise<void> {
  for (const connection of server.connections) connection.terminate();
  await server.close();
}

export const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};
