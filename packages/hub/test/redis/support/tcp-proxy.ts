import { createServer, type Server, Socket } from "node:net";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** A TCP proxy that can cut its connections, or silence them. */
export class TcpProxy {
  private readonly server: Server;
  private readonly target: number;
  private readonly pairs = new Set<Pair>();
  /** Connections rejected while it was cut. */
  refused = 0;
  private state: "passes" | "silent" | "cut" = "passes";

  private constructor(target: number) {
    this.target = target;
    this.server = createServer((near) => this.take(near));
  }

  /** Listens on a free port; `target` is a port of this machine. */
  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return address.port;
  }

  get connections(): number {
    return this.pairs.size;
  }

  /** Closes all connections and every new one. */
  cut(): void {
    this.state = "cut";
    this.endAll();
  }

  /** Keeps connections, accepts new ones, and forwards nothing. */
  silence(): void {
    this.state = "silent";
  }

  /** Forwards new connections again. Silent ones stay silent. */
  heal(): void {
    this.state = "passes";
  }

  async stop(): Promise<void> {
    this.endAll();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private endAll(): void {
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
    this.pairs.clear();
  }

  private take(near: Socket): void {
    near.on("error", () => undefined);
    if (this.state === "cut") {
      this.refused++;
      near.destroy();
      return;
    }
    const far = new Socket();
    far.on("error", () => undefined);
    const pair = { near, far };
    this.pairs.add(pair);
    let isDeaf = false;
    const end = (): void => {
      if (this.state === "silent") return; // half open
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    const pass = (to: Socket) => (chunk: Buffer) => {
      isDeaf ||= this.state === "silent";
      if (!isDeaf) to.write(chunk);
    };
    near.on("data", pass(far));
    far.on("data", pass(near));
    near.on("close", end);
    far.on("close", end);
    far.connect(this.target, "127.0.0.1");
  }
}
