import type { CloseInfo, WebSocketConnection } from "tungstate";
import { hold } from "./world.ts";

/** What one end of a connection has done and seen. */
class End {
  readonly sent: string[] = [];
  readonly got: string[] = [];
  /** The code with which it closed. */
  closing: number | undefined;
  info: CloseInfo | undefined;
  /** Whether all readable data has been read. */
  read = false;
}

/** The two ends of a WebSocket connection, and the properties that must hold between them. */
export class Session {
  readonly name: string;
  readonly client = new End();
  readonly server = new End();

  constructor(name: string) {
    this.name = name;
  }

  /** Records a message received by `end`: it must be the next one that the other end sent. */
  got(role: "client" | "server", text: string): void {
    const end = this[role];
    const from = role === "client" ? this.server : this.client;
    const expected = from.sent[end.got.length];
    hold(text === expected, () => `${this.name}: ${role} got ${brief(text)}, expected ${brief(expected)}`);
    end.got.push(text);
  }

  /** Records the end of the connection. */
  closed(role: "client" | "server", info: CloseInfo): void {
    hold(this[role].info === undefined, () => `${this.name}: ${role} closed twice`);
    this[role].info = info;
    const { client, server } = this;
    if (client.info === undefined || server.info === undefined) return;
    if (client.info.clean && server.info.clean) this.checkCodes();
  }

  /**
   * RFC 6455 §7.1.5: each end sees the code of the other's Close, or its own code echoed if the
   * other had not closed.
   */
  private checkCodes(): void {
    const { client, server } = this;
    for (const [one, other, role] of [
      [client, server, "client"],
      [server, client, "server"],
    ] as const) {
      const possible = [one.closing, other.closing].filter((code) => code !== undefined);
      hold(
        possible.includes(one.info?.code ?? 0),
        () => `${this.name}: ${role} closed with ${one.info?.code}, of ${possible.join(" and ")}`,
      );
    }
  }

  /**
   * Called when everything has ended and was read: messages of a cleanly closed connection must
   * have arrived.
   */
  checkArrivals(): void {
    for (const [from, to, role] of [
      [this.client, this.server, "server"],
      [this.server, this.client, "client"],
    ] as const) {
      hold(to.got.length <= from.sent.length, () => `${this.name}: ${role} got more than was sent`);
      // messages received after sending a Close may be dropped when the queue is full
      const inOrder = from.info?.clean === true && to.info?.clean === true && to.closing === undefined && to.read;
      hold(
        !inOrder || to.got.length === from.sent.length,
        () => `${this.name}: ${role} got ${to.got.length} of ${from.sent.length}, although it closed cleanly`,
      );
    }
  }
}

function brief(text: string | undefined): string {
  return text === undefined ? "nothing" : `${JSON.stringify(text.slice(0, 30))} (${text.length})`;
}

/**
 * Reads a connection with one of the available interfaces, at its own pace. Calls `got` for each
 * message and `done` after the last one.
 */
export function read(
  connection: WebSocketConnection,
  way: "listener" | "iteration" | "batches",
  pace: () => Promise<void> | undefined,
  got: (text: string) => void,
  done: () => void,
  failed: (error: unknown) => void,
): void {
  if (way === "listener") {
    connection.on("message", (message) => {
      got(message.text);
      const wait = pace();
      if (wait === undefined) return;
      connection.pause();
      void wait.then(() => connection.resume());
    });
    return;
  }
  const iterate = async (): Promise<void> => {
    if (way === "iteration") {
      for await (const message of connection) {
        got(message.text);
        await pace();
      }
    } else {
      for await (const batch of connection.batches()) {
        for (const message of batch) got(message.text);
        await pace();
      }
    }
    done();
  };
  iterate().catch(failed);
}
