import assert from "node:assert/strict";
import {
  type CloseInfo,
  connect,
  type ConnectOptions,
  Http2Sessions,
  type WebSocketConnection,
} from "../../../src/index.ts";

/** Asks `respond` for a close code. */
export const CLOSE = "close";
/** Asks `respond` for `MANY` messages, and a close code right behind them. */
export const MANY_AND_CLOSE = "many, then close";
export const SERVER_CODE = 4101;
export const CLIENT_CODE = 4102;
const MANY = 64;
const LARGE = "large and compressible, ".repeat(8192);

/** Echoes messages, and closes when the peer asks for it. */
export function respond(connection: WebSocketConnection): void {
  connection.on("message", (message) => {
    const text = message.type === "text" && message.size < 100 ? message.text : "";
    if (text === MANY_AND_CLOSE) for (let count = 0; count < MANY; count++) connection.write(LARGE);
    if (text === CLOSE || text === MANY_AND_CLOSE) void connection.close(SERVER_CODE, "from the server");
    else connection.write(message);
  });
}

/** What passed between a client and a server. */
export interface Exchange {
  readonly version: string;
  readonly compression: boolean;
}

/** Options of `exchange`. */
export interface ExchangeOptions extends ConnectOptions {
  readonly sockets: number;
}

/**
 * Opens connections to a server with `respond`. Checks text, binary and large messages, the close
 * codes that the client gets, and that what is written before a Close arrives. Of its
 * `sockets + 1` connections, two are closed by the server. Throws AssertionError.
 */
export async function exchange(url: string, { sockets, ...options }: ExchangeOptions): Promise<Exchange> {
  const sessions = new Http2Sessions();
  try {
    const open = (): Promise<WebSocketConnection> =>
      connect(url, { compression: true, proxy: false, http2Sessions: sessions, ...options });
    const connections = await Promise.all(Array.from({ length: sockets }, open));
    const [first] = connections;
    assert.ok(first);
    const { httpVersion } = first.route ?? {};
    if (httpVersion === "2") assert.equal(new Set(connections.map(({ route }) => route?.session)).size, 1);
    await Promise.all(connections.map((connection, index) => echoes(connection, index)));

    first.write(CLOSE);
    assert.deepEqual(await ended(first), { code: SERVER_CODE, reason: "from the server", clean: true });

    const many = await open();
    many.write(MANY_AND_CLOSE);
    let received = 0;
    for await (const message of many) {
      assert.equal(message.text, LARGE);
      received++;
    }
    assert.equal(received, MANY);
    assert.equal((await many.closed).code, SERVER_CODE);

    for (const connection of connections.slice(1)) {
      const { clean, code } = await connection.close(CLIENT_CODE, "from the client");
      assert.deepEqual({ clean, code }, { clean: true, code: CLIENT_CODE }); // the server repeats the code
    }
    return { version: httpVersion ?? "", compression: first.extensions.includes("permessage-deflate") };
  } finally {
    sessions.close();
  }
}

async function echoes(connection: WebSocketConnection, index: number): Promise<void> {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, at) => (at * (index + 1)) % 251);
  for (const data of [`text ${index} äöü`, bytes, LARGE, ""]) connection.write(data);
  const received: (string | Uint8Array)[] = [];
  for await (const message of connection) {
    received.push(message.type === "text" ? message.text : new Uint8Array(message.bytes));
    if (received.length === 4) break;
  }
  assert.deepEqual(received, [`text ${index} äöü`, bytes, LARGE, ""]);
}

async function ended(connection: WebSocketConnection): Promise<Omit<CloseInfo, "error">> {
  for await (const message of connection) assert.fail(`unexpected message of ${message.size} bytes`);
  const { code, reason, clean } = await connection.closed;
  return { code, reason, clean };
}
