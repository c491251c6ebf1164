import { setTimeout as sleep } from "node:timers/promises";
import { type CloseInfo, connect, type WebSocketConnection } from "tungstate";
import { type ConnectFlags, connectOptions } from "./connect-options.ts";
import { escapeControls } from "./escape.ts";
import { explainFailure, explainSystem } from "./explain.ts";
import { LineError, linesOf } from "./lines.ts";
import { MessagePrinter } from "./printer.ts";
import { onStopSignals } from "./signals.ts";
import { fail } from "./stdio.ts";

const LAST_WORDS = 1_000; // ms for the closing handshake where nobody reads what comes

/** `tungstate connect URL`: lines of stdin out, messages in; everything but the messages goes to stderr. */
export async function connectCommand(url: string, flags: ConnectFlags): Promise<void> {
  const say = (text: string): void => {
    if (flags.quiet !== true) process.stderr.write(`${escapeControls(text)}\n`);
  };
  let connection: WebSocketConnection;
  try {
    connection = await connect(url, await connectOptions(flags));
  } catch (error) {
    failHere(explainFailure(error));
    return;
  }
  const stopListening = onStopSignals({
    first: () => void connection.close(1000),
    again: (signal) => process.exit(signal === "SIGINT" ? 130 : 143),
  });
  say(describeConnection(url, connection));
  const input = sendLines(connection, flags.linger * 1000);
  const output = await printMessages(connection, flags.maxLine);
  const info = await connection.closed;
  stopListening();
  process.stdin.destroy();
  if (output === "nobody reads") return;

  const problem = input.problem ?? problemOf(info, input.done);
  if (problem !== undefined) failHere(problem);
  else say(describeClose(info));
}

function failHere(text: string): void {
  fail(escapeControls(text));
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
      // nothing waits if the server, having all, has begun to close
      if (connection.bufferedAmount > 0) await connection.flush();
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

/** Prints at the pace of stdout's reader until the connection has ended, or until the reader is gone: then it ends the connection. */
async function printMessages(
  connection: WebSocketConnection,
  maxLineBytes: number,
): Promise<"all printed" | "nobody reads"> {
  const { stdout } = process;
  let gone = false;
  let wake = (): void => undefined;
  const onDrain = (): void => wake();
  const onError = (): void => {
    gone = true;
    wake();
    void connection.close(1000);
    // the peer may never answer, and nobody is there to wait for it
    setTimeout(() => connection.terminate(), LAST_WORDS).unref();
  };
  stdout.on("drain", onDrain).on("error", onError);
  let lines = 0;
  const printer = new MessagePrinter({
    maxLineBytes,
    write(chunk) {
      if (gone || stdout.write(chunk)) return undefined;
      return new Promise((resolve) => (wake = resolve));
    },
    onCut(printed, size) {
      const most = `--max-line is ${maxLineBytes} bytes`;
      process.stderr.write(`tungstate: message ${lines}: printed ${printed} of ${size} bytes: ${most}\n`);
    },
  });
  for await (const batch of connection.batches()) {
    for (const message of batch) {
      if (gone) break;
      lines++;
      await printer.print(message);
    }
    if (!gone) await printer.flush();
  }
  return gone ? "nobody reads" : "all printed";
}

function describeConnection(url: string, { protocol, route }: WebSocketConnection): string {
  const way = [
    protocol === "" ? "" : `protocol ${protocol}`,
    route?.interface === undefined ? "" : `by ${route.interface}`,
    route?.localAddress === undefined ? "" : `from ${route.localAddress}`,
    route?.proxy === undefined ? "" : `through ${route.proxy}`,
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

/**
 * Why the connection did not end in good order. It did where the server answered the Close behind the last line, whatever its code, and where the
 * server closed by itself with 1000 or without a code (1005). It did not where the server went away (1001), told a problem, or no Close came (1006).
 */
function problemOf(info: CloseInfo, done: boolean): string | undefined {
  if (info.clean && (info.code === 1000 || info.code === 1005 || done)) return undefined;
  return info.error === undefined ? describeClose(info) : `${describeClose(info)}: ${info.error.message}`;
}
