import { setTimeout as sleep } from "node:timers/promises";
import { type CloseInfo, connect, type Message, type WebSocketConnection } from "tungstate";
import { type ConnectFlags, connectOptions } from "./connect-options.ts";
import { escapeControls } from "./escape.ts";
import { explainFailure, explainSystem } from "./explain.ts";
import { LineError, linesOf } from "./lines.ts";

/** `tungstate connect URL`: lines of stdin out, messages in; everything but the messages goes to stderr. */
export async function connectCommand(url: string, flags: ConnectFlags): Promise<void> {
  const say = (text: string): void => {
    if (flags.quiet !== true) process.stderr.write(`${escapeControls(text)}\n`);
  };
  let connection: WebSocketConnection;
  try {
    connection = await connect(url, await connectOptions(flags));
  } catch (error) {
    return fail(explainFailure(error));
  }
  const onSignal = closeOnSignal(connection);
  say(describeConnection(url, connection));
  const input = sendLines(connection, flags.linger * 1000);
  const output = printMessages(connection);
  const info = await connection.closed;
  process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  await output;
  process.stdin.destroy();

  const problem = input.problem ?? problemOf(info, input.done);
  if (problem !== undefined) fail(problem);
  else say(describeClose(info));
}

function fail(text: string): void {
  process.stderr.write(`tungstate: ${escapeControls(text)}\n`);
  process.exitCode = 1;
}

/** The first signal closes in good order, the second one ends at once. */
function closeOnSignal(connection: WebSocketConnection): () => void {
  let seen = false;
  const onSignal = (): void => {
    if (seen) process.exit(130);
    seen = true;
    void connection.close(1000);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return onSignal;
}

/** What became of stdin: whether all of it was sent, or why not. */
interface Input {
  done: boolean;
  problem: string | undefined;
}

/** Sends stdin line by line, at the pace of the server, then closes. */
function sendLines(connection: WebSocketConnection, linger: number): Input {
  const input: Input = { done: false, problem: undefined };
  const send = async (): Promise<void> => {
    try {
      for await (const lines of linesOf(process.stdin)) {
        for (const line of lines) await connection.send(line);
      }
      await connection.flush();
      input.done = true;
      if (linger > 0) await Promise.race([sleep(linger, undefined, { ref: false }), connection.closed]);
    } catch (error) {
      // a connection that has ended says itself why
      if (connection.state !== "open") return;
      input.problem = `stdin: ${error instanceof LineError ? error.message : explainSystem(error)}`;
    }
    await connection.close(1000);
  };
  void send();
  return input;
}

/** Prints at the pace of whoever reads stdout; until the connection has ended, or nobody reads any more. */
async function printMessages(connection: WebSocketConnection): Promise<void> {
  const { stdout } = process;
  let gone = false;
  let wake = (): void => undefined;
  stdout
    .on("drain", () => wake())
    .on("error", () => {
      gone = true;
      wake();
      void connection.close(1000);
    });
  for await (const batch of connection.batches()) {
    if (gone) continue;
    const text = batch.map((message) => `${showMessage(message)}\n`).join("");
    const room = new Promise<void>((resolve) => (wake = resolve));
    if (!stdout.write(text)) await room;
  }
}

function showMessage(message: Message): string {
  if (message.type === "text") return escapeControls(message.text);
  return `base64:${Buffer.from(message.bytes).toString("base64")}`;
}

function describeConnection(url: string, { protocol, road }: WebSocketConnection): string {
  const way = [
    protocol === "" ? "" : `protocol ${protocol}`,
    road?.interface === undefined ? "" : `by ${road.interface}`,
    road?.localAddress === undefined ? "" : `from ${road.localAddress}`,
    road?.proxy === undefined ? "" : `through ${road.proxy}`,
  ];
  return [`connected to ${withoutCredentials(url)}`, ...way.filter((part) => part !== "")].join(", ");
}

function withoutCredentials(url: string): string {
  const parsed = new URL(url);
  parsed.username = parsed.password = "";
  return parsed.href;
}

function describeClose({ code, reason }: CloseInfo): string {
  return `closed with ${code}${reason === "" ? "" : ` ${reason}`}`;
}

/** Why it did not end well: all was sent and the server has answered the Close, or the server was done. */
function problemOf(info: CloseInfo, done: boolean): string | undefined {
  if (info.clean && (info.code === 1000 || done)) return undefined;
  return info.error === undefined ? describeClose(info) : `${describeClose(info)}: ${info.error.message}`;
}
