import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { listenOnAll } from "../system/listen-on-all.ts";

/**
 * The listening sockets of a primary process: one for each address of the host. Connections are not
 * read.
 */
export class Listener {
  readonly port: number;
  private readonly servers: readonly Server[];

  private constructor(port: number, servers: readonly Server[]) {
    this.port = port;
    this.servers = servers;
  }

  /** Port 0 picks a free port. Rejects if the port cannot be listened on. */
  static async open(host: string, port: number, onConnection: (socket: Socket) => void): Promise<Listener> {
    const servers: Server[] = [];
    const chosen = await listenOnAll(host, port, async (where, wanted) => {
      const server = await listen(where, wanted, onConnection);
      servers.push(server);
      const address = server.address();
      return typeof address === "object" && address !== null ? address : { port: wanted, address: where };
    });
    return new Listener(chosen, servers);
  }

  close(): void {
    for (const server of this.servers) if (server.listening) server.close();
  }
}

async function listen(host: string, port: number, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, onConnection);
  server.listen(port, host);
  await once(server, "listening");
  // accepting failed, for example without descriptors; the next attempt may succeed
  server.on("error", () => undefined);
  return server;
}
