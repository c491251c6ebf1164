import { setTimeout as sleep } from "node:timers/promises";
import { type CloseInfo, connect, type WebSocketConnection } from "tungstate";
import { type ConnectFlags, connectOptions } from "../connect/options.ts";
import { escapeControls } from "../system/escape.ts";
import { explainFailure, explainSystem } from "../system/explain.ts";
import { LineError, linesOf } from "../connect/lines.ts";
import { MessagePrinter } from "../connect/printer.ts";
import { onStopSignals } from "../system/signals.ts";
import { fail } from "../system/stdio.ts";

const CLOSE_TIMEOUT = 1_000; // ms for the closing handshake after stdout was closed

/**
 * Runs `tungstate connect URL`: sends lines of stdin, prints received messages to stdout, and
 * everything else to stderr.
 */
export async function connectCommand(url: string, flags: ConnectFlags): Promise<void> {
  const printStatus = (text: string): void => {
    if (flags.quiet !== true) process.stderr.write(`${escapeControls(text)}\n`);
  };
  let connection: WebSocketConnection;
  try {
    connection = await connect(url, await connectOptions(flags));
  } catch (error) {
    failEscaped(explainFailure(error));
    return;
  }
  const stopListening = onStopSignals({
    first: () => void connection.close(1000),
    again: (signal) => process.exit(signal === "SIGINT" ? 130 : 143),
  });
  printStatus(describeConnection(url, connection));
  const input = sendLines(connection, flags.linger * 1000);
  const output = await printMessages(connection, flags.maxLine);
  const info = await connection.closed;
  stopListening();
  process.stdin.destroy();
  if (output === "stdout closed") return;

  const problem = input.problem ?? closeProblem(info, input.done);
  if (problem !== undefined) failEscaped(problem);
  else printStatus(describeClose(info));
}

function failEscaped(text: string): void {
  fail(escapeControls(text));
}

/** The state of sending stdin: whether all lines were sent, or which problem stopped it. */
interface Input {
  done: boolean;
  problem: string | undefined;
}

/** Sends stdin line by line, waits for the server as needed, then closes. */
function sendLines(connection: WebSocketConnection, linger: number): Input {
  const input: Input = { done: false, problem: undefined };
  const send = async (): Promise<void> => {
    try {
      for await (const lines of linesOf(process.stdin)) {
        for (const line of lines) await connection.send(line);
      }
      // nothing is buffered if the server has received everything and started to close
      if (connection.bufferedAmount > 0) await connection.flush();
      input.done = true;
      if (linger > 0) await Promise.race([sleep(linger, undefined, { ref: false }), connection.closed]);
    } catch (error) {
      // the close event of the connection reports the cause
      if (connection.state === "closing" || connection.state === "closed") return;
      input.problem = `stdin: ${error instanceof LineError ? error.message : explainSystem(error)}`;
    }
    await connection.close(1000);
  };
  void send();
  return input;
}

/**
 * Prints messages, waiting for stdout as needed, until the connection ends. If stdout is closed,
 * closes the connection.
 */
async function printMessages(
  connection: WebSocketConnection,
  maxLineBytes: number,
): Promise<"all printed" | "stdout closed"> {
  const { stdout } = process;
  let gone = false;
  let wake = (): void => undefined;
  const onDrain = (): void => wake();
  const onError = (): void => {
    gone = true;
    wake();
    void connection.close(1000);
    // do not wait for a peer that never answers the Close
    setTimeout(() => connection.terminate(), CLOSE_TIMEOUT).unref();
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
  return gone ? "stdout closed" : "all printed";
}

function describeConnection(url: string, { protocol, route }: WebSocketConnection): string {
  const details = [
    protocol === "" ? "" : `subprotocol ${protocol}`,
    route?.httpVersion === "2" ? "HTTP/2" : "",
    route?.interface === undefined ? "" : `via ${route.interface}`,
    route?.localAddress === undefined ? "" : `from ${route.localAddress}`,
    route?.proxy === undefined ? "" : `through proxy ${route.proxy}`,
  ];
  return [`connected to ${withoutCredentials(url)}`, ...details.filter((part) => part !== "")].join(", ");
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
 * Returns why the connection failed, or undefined if it ended normally. It ended normally if the
 * server answered the Close after the last line, with any code, or if it closed by itself with 1000
 * or without a code (1005). It failed if the server went away (1001), reported an error, or sent no
 * Close (1006).
 */
function closeProblem(info: CloseInfo, done: boolean): string | undefined {
  if (info.clean && (info.code === 1000 || info.code === 1005 || done)) return undefined;
  return info.error === undefined ? describeClose(info) : `${describeClose(info)}: ${info.error.message}`;
}
