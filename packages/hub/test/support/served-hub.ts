import assert from "node:assert/strict";
import { Centrifuge, type Options } from "centrifuge";
import { WebSocketServer } from "tungstate";
import { WebSocket } from "ws";
import { Hub } from "../../src/hub/hub.ts";
import type { HubOptions } from "../../src/settings/options.ts";
import { attachSocket } from "../../src/hub/socket.ts";

const PATIENCE = 60_000; // ms after which a test that would hang fails

/** A hub behind a WebSocket server on loopback, and published clients for it. */
export class ServedHub {
  readonly hub: Hub;
  readonly errors: unknown[] = [];
  url = "";
  private readonly server = new WebSocketServer({ origin: "any", maxMessageSize: 65_536 });
  private readonly clients: Centrifuge[] = [];

  private constructor(options: HubOptions) {
    this.hub = new Hub({ onError: (error) => this.errors.push(error), ...options });
    this.server.on("connection", (socket, request) => void attachSocket(this.hub, socket, request));
  }

  static async run(options: HubOptions, run: (served: ServedHub) => Promise<void>): Promise<void> {
    const served = new ServedHub(options);
    await served.hub.start();
    const address = await served.server.listen();
    assert.ok(typeof address === "object");
    served.url = `ws://127.0.0.1:${address.port}/connection/websocket`;
    try {
      await run(served);
    } finally {
      for (const client of served.clients) client.disconnect();
      await served.hub.close();
      await served.server.close();
    }
    assert.deepEqual(served.errors, []);
  }

  /** A published client with a short reconnect delay. */
  client(options: Partial<Options> = {}): Centrifuge {
    const client = new Centrifuge(this.url, {
      websocket: WebSocket,
      minReconnectDelay: 5,
      maxReconnectDelay: 20,
      timeout: PATIENCE,
      ...options,
    });
    this.clients.push(client);
    return client;
  }

  /** Terminates all connections. */
  cutConnections(): void {
    for (const connection of this.server.connections) connection.terminate();
  }
}

/** Events of an emitter, to be awaited. */
export class Events<T> {
  readonly all: T[] = [];
  private waiting: (() => void)[] = [];

  readonly push = (event: T): void => {
    this.all.push(event);
    for (const wake of this.waiting.splice(0)) wake();
  };

  /** Resolves with all events when there are `count`. */
  async upTo(count: number): Promise<readonly T[]> {
    while (this.all.length < count) {
      const more = new Promise<void>((resolve, reject) => {
        const fail = (): void => reject(new Error(`waited for ${count} events, there are ${JSON.stringify(this.all)}`));
        const timer = setTimeout(fail, PATIENCE);
        this.waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
      await more;
    }
    return this.all;
  }
}
