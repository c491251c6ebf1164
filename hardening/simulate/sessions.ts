import type { CloseInfo, WebSocketConnection } from "tungstate";
import { hold } from "./world.ts";

/** What one end of a connection has done and seen. */
class End {
  readonly sent: string[] = [];
  readonly got: string[] = [];
  /** The code that it closed with, if it did. */
  closing: number | undefined;
  info: CloseInfo | undefined;
  /** Whether all that can be read has been read. */
  read = false;
}

/** The two ends of one WebSocket connection, and what has to be so between them. */
export class Session {
  readonly name: string;
  readonly client = new End();
  readonly server = new End();

  constructor(name: string) {
    this.name = name;
  }

  /** `end` got a message: it has to be the next one that the other end has sent. */
  got(role: "client" | "server", text: string): void {
    const end = this[role];
    const from = role === "client" ? this.server : this.client;
    const expected = from.sent[end.got.length];
    hold(text === expected, () => `${this.name}: ${role} got ${brief(text)}, expected ${brief(expected)}`);
    end.got.push(text);
  }

  /** The connection has ended for this end. */
  closed(role: "client" | "server", info: CloseInfo): void {
    hold(this[role].info === undefined, () => `${this.name}: ${role} closed twice`);
    this[role].info = info;
    const { client, server } = this;
    if (client.info === undefined || server.info === undefined) return;
    if (client.info.clean && server.info.clean) this.checkCodes();
  }

  /** RFC 6455 §7.1.5: each end sees the code of the other's Close, which is its own code come back if the other had not closed. */
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

  /** All is over, and all was read: what was sent on a connection that ended in order has arrived. */
  checkArrivals(): void {
    for (const [from, to, role] of [
      [this.client, this.server, "server"],
      [this.server, this.client, "client"],
    ] as const) {
      hold(to.got.length <= from.sent.length, () => `${this.name}: ${role} got more than was sent`);
      // what comes behind a Close of one's own may be dropped, where nobody has room for it
      const inOrder = from.info?.clean === true && to.info?.clean === true && to.closing === undefined && to.read;
      hold(
        !inOrder || to.got.length === from.sent.length,
        () => `${this.name}: ${role} got ${to.got.length} of ${from.sent.length}, though it ended in order`,
      );
    }
  }
}

function brief(text: string | undefined): string {
  return text === undefined ? "nothing" : `${JSON.stringify(text.slice(0, 30))} (${text.length})`;
}

/** Reads a connection in one of the ways there are, at a pace of its own; calls `got` for each message, `done` behind the last one. */
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
