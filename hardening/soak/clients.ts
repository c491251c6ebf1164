import { connect as connectTcp } from "node:net";
import { connect, reconnecting, type ReconnectingConnection, type WebSocketConnection } from "tungstate";

/** Results of the clients of one run; latencies are reset at each sample. */
export class Seen {
  messages = 0;
  reconnects = 0;
  /** Round-trip times in ms since the last sample. */
  private times: number[] = [];
  readonly errors: string[] = [];

  roundTrip(ms: number): void {
    this.messages++;
    this.times.push(ms);
  }

  /** Returns the p99 since the last call; 0 without values. */
  p99(): number {
    const times = this.times.toSorted((a, b) => a - b);
    this.times = [];
    return times[Math.floor(times.length * 0.99)] ?? 0;
  }
}

const PAUSES = { least: 200, most: 2_000 }; // ms between a client's messages
const LARGEST = 8_192; // bytes
const BARE_INTERVAL = 20; // ms

const between = (least: number, most: number): number => least + Math.random() * (most - least);

/** Measures round trips of a byte to an idle process. */
export function bare(port: number): Client & { readonly seen: Seen } {
  const seen = new Seen();
  const socket = connectTcp(port, "127.0.0.1").setNoDelay(true);
  let sentAt = 0;
  const timer = setInterval(() => {
    if (sentAt > 0) return; // the last one is still in transit
    sentAt = performance.now();
    socket.write("x");
  }, BARE_INTERVAL);
  socket.on("data", () => {
    seen.roundTrip(performance.now() - sentAt);
    sentAt = 0;
  });
  return {
    seen,
    stop: () => {
      clearInterval(timer);
      socket.destroy();
      return Promise.resolve();
    },
  };
}

/** A client that runs until it is stopped. */
export interface Client {
  stop(): Promise<unknown>;
}

/** Sends messages of many sizes and measures the time until each returns. */
export async function echoing(url: string, seen: Seen, compression: boolean): Promise<Client> {
  const connection = await connect(url, { proxy: false, compression: compression ? { threshold: 100 } : false });
  let timer: NodeJS.Timeout | undefined;
  let sentAt = 0;
  let sent = "";
  const next = (): void => {
    sent = "echo ".repeat(Math.floor(LARGEST ** Math.random() / 5) + 1);
    sentAt = performance.now();
    connection.write(sent);
  };
  connection.on("message", (message) => {
    if (message.text !== sent) seen.errors.push("a wrong echo");
    seen.roundTrip(performance.now() - sentAt);
    timer = setTimeout(next, between(PAUSES.least, PAUSES.most));
  });
  timer = setTimeout(next, between(0, PAUSES.most));
  return watched(connection, seen, () => clearTimeout(timer));
}

/** Receives broadcasts. */
export async function listening(url: string, seen: Seen): Promise<Client> {
  const connection = await connect(url, { proxy: false });
  connection.on("message", () => void seen.messages++);
  return watched(connection, seen);
}

/** Subscribes to a channel of the hub. */
export async function subscribing(url: string, seen: Seen, channel: string): Promise<Client> {
  const connection = await connect(url, { proxy: false });
  connection.on("message", (message) => {
    for (const line of message.text.split("\n")) {
      if (line === "{}") connection.write("{}");
      else if (line.startsWith('{"error"')) seen.errors.push(line);
      else seen.messages++;
    }
  });
  connection.write(`{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"${channel}"}}`);
  return watched(connection, seen);
}

function watched(connection: WebSocketConnection, seen: Seen, onStop: () => void = () => undefined): Client {
  let stopped = false;
  connection.on("close", ({ code, error }) => {
    if (!stopped) seen.errors.push(`closed by ${code} ${error?.code ?? ""}`);
    onStop();
  });
  return {
    stop: () => {
      stopped = true;
      return connection.close();
    },
  };
}

/** Connects repeatedly, and closes or terminates each connection. */
export async function coming(url: string, seen: Seen): Promise<Client> {
  let timer: NodeJS.Timeout | undefined;
  const connection: ReconnectingConnection = reconnecting(url, {
    proxy: false,
    watchNetworks: false,
    backoff: { initialDelay: 100, maxDelay: 500 },
    retry: () => true,
  });
  connection.on("open", (current) => {
    seen.reconnects++;
    current.write("hello");
    timer = setTimeout(
      () => {
        if (Math.random() < 0.5) current.terminate();
        else void current.close(4000);
      },
      between(PAUSES.least, PAUSES.most),
    );
  });
  connection.on("message", () => void seen.messages++);
  await connection.ready();
  return {
    stop: () => {
      clearTimeout(timer);
      return connection.close();
    },
  };
}
