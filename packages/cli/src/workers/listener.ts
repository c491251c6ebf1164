import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

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
    const first = await listen(host, port, onConnection);
    const address = first.address();
    const chosen = typeof address === "object" && address !== null ? address : { port, address: host };
    const servers = [first];
    // as Fastify does: localhost is 127.0.0.1 and ::1, and one of them is enough
    const all = host === "localhost" ? await lookup(host, { all: true }) : [];
    for (const other of all) {
      if (other.address === chosen.address) continue;
      const server = await listen(other.address, chosen.port, onConnection).catch(() => undefined);
      if (server !== undefined) servers.push(server);
    }
    return new Listener(chosen.port, servers);
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
