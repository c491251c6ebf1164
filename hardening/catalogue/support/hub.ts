import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { attachSocket, Hub, type HubOptions } from "@tungstate/hub";
import {
  connect,
  type ConnectOptions,
  type WebSocketConnection,
  WebSocketServer,
  type WebSocketServerOptions,
} from "tungstate";

export interface Reply {
  readonly id?: number;
  readonly error?: { readonly code: number; readonly message: string };
  readonly push?: { readonly channel?: string; readonly pub?: { readonly data: unknown } };
  readonly [method: string]: unknown;
}

interface Publication {
  readonly channel: string | undefined;
  readonly data: unknown;
}

const OPEN: HubOptions["namespaces"] = { "": { subscribe: "anyone", publish: "anyone" } };

/**
 * Starts a hub without restrictions on its own port. Closed when the test ends. `errors` collects
 * its internal errors.
 */
export async function serveHub(
  t: TestContext,
  options: Partial<HubOptions> = {},
  serverOptions: WebSocketServerOptions = {},
): Promise<{ readonly hub: Hub; readonly port: number; readonly errors: unknown[] }> {
  const errors: unknown[] = [];
  const hub = new Hub({ namespaces: OPEN, anonymous: true, onError: (error) => errors.push(error), ...options });
  await hub.start();
  const server = new WebSocketServer({ maxMessageSize: 65_536, ...serverOptions });
  server.on("connection", (socket, request) => void attachSocket(hub, socket, request));
  server.on("error", (error) => errors.push(error));
  const { port } = (await server.listen()) as AddressInfo;
  t.after(async () => {
    for (const connection of server.connections) connection.terminate();
    await hub.close();
    await server.close();
  });
  return { hub, port, errors };
}

/** A client of the hub's protocol that sends and receives lines. */
export class HubClient {
  readonly socket: WebSocketConnection;
  private readonly publications: Publication[] = [];
  private wake: (() => void) | undefined;
  private readonly replies = new Map<number, (reply: Reply) => void>();
  private next = 1;

  private constructor(socket: WebSocketConnection) {
    this.socket = socket;
    socket.on("message", ({ text }) => {
      for (const line of text.split("\n")) this.take(JSON.parse(line) as Reply);
    });
  }

  /** Connects and sends the connect command. Closed when the test ends. */
  static async connect(t: TestContext | undefined, port: number, options: ConnectOptions = {}): Promise<HubClient> {
    const client = await HubClient.open(`ws://127.0.0.1:${port}/`, options);
    t?.after(() => client.socket.terminate());
    return client;
  }

  /** Connects to a URL; stays open until it is closed. */
  static async open(url: string, options: ConnectOptions = {}): Promise<HubClient> {
    const client = new HubClient(await connect(url, { proxy: false, ...options }));
    await client.ask({ connect: {} });
    return client;
  }

  /** Sends a command and resolves with its reply. */
  ask(command: Readonly<Record<string, unknown>>): Promise<Reply> {
    return this.askText(JSON.stringify({ id: this.next++, ...command }));
  }

  /** Sends a command given as text, which must have an id, and resolves with its reply. */
  askText(line: string): Promise<Reply> {
    const { id } = JSON.parse(line) as { id: number };
    const replied = new Promise<Reply>((resolve) => this.replies.set(id, resolve));
    this.socket.write(line);
    return replied;
  }

  /** Resolves with all publications when there are that many. */
  async published(count: number): Promise<readonly Publication[]> {
    while (this.publications.length < count) await new Promise<void>((resolve) => (this.wake = resolve));
    return this.publications;
  }

  private take(reply: Reply): void {
    const { id, push } = reply;
    if (id !== undefined) this.replies.get(id)?.(reply);
    else if (push?.pub !== undefined) {
      this.publications.push({ channel: push.channel, data: push.pub.data });
      this.wake?.();
    }
  }
}
