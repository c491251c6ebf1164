import { createInterface } from "node:readline";
import {
  connect,
  type ConnectOptions,
  HandshakeRejectedError,
  type Message,
  type WebSocketConnection,
  WebSocketError,
} from "tungstate";
import { escapeControls } from "./escape.ts";

export interface ConnectCommandOptions {
  readonly header: readonly string[];
  readonly protocol: readonly string[];
  readonly origin?: string;
  /** seconds */
  readonly timeout: number;
  readonly quiet: boolean;
}

/** `tungstate connect URL`: lines of stdin out, messages in; everything but the messages goes to stderr. */
export async function connectCommand(url: string, options: ConnectCommandOptions): Promise<void> {
  const say = (text: string): void => {
    if (!options.quiet) process.stderr.write(`${escapeControls(text)}\n`);
  };
  let connection: WebSocketConnection;
  try {
    connection = await connect(url, connectOptions(options));
  } catch (error) {
    process.stderr.write(`tungstate: ${escapeControls(explain(error))}\n`);
    process.exitCode = 1;
    return;
  }
  const { protocol } = connection;
  say(`connected to ${url}${protocol === "" ? "" : `, protocol ${protocol}`}`);
  const interrupt = (): void => void connection.close(1000);
  process.on("SIGINT", interrupt);
  const lines = sendLines(connection);
  await printMessages(connection);
  const { code, reason, error } = await connection.closed;
  process.off("SIGINT", interrupt);
  lines.stop();
  say(`closed with ${code}${reason === "" ? "" : ` ${reason}`}${error === undefined ? "" : `: ${error.message}`}`);
  process.exitCode = code === 1000 || lines.done ? 0 : 1;
}

/** Sends stdin line by line, at the pace of the server, then closes. */
function sendLines(connection: WebSocketConnection): { readonly done: boolean; stop(): void } {
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
  let done = false;
  const send = async (): Promise<void> => {
    for await (const line of lines) {
      if (connection.state !== "open") return;
      await connection.send(line);
    }
    done = true;
    await connection.close(1000);
  };
  // a connection that ends meanwhile is told by `closed`
  send().catch(() => undefined);
  return {
    get done() {
      return done;
    },
    stop() {
      lines.close();
      process.stdin.destroy();
    },
  };
}

async function printMessages(connection: WebSocketConnection): Promise<void> {
  for await (const message of connection) {
    if (!process.stdout.write(`${show(message)}\n`))
      await new Promise((resolve) => process.stdout.once("drain", resolve));
  }
}

function show(message: Message): string {
  if (message.type === "text") return escapeControls(message.text);
  return `base64:${Buffer.from(message.bytes).toString("base64")}`;
}

function connectOptions(options: ConnectCommandOptions): ConnectOptions {
  return {
    protocols: options.protocol,
    timeout: options.timeout * 1000,
    headers: options.header.map(parseHeader),
    ...(options.origin === undefined ? {} : { origin: options.origin }),
  };
}

function parseHeader(text: string): [string, string] {
  const colon = text.indexOf(":");
  return [text.slice(0, Math.max(0, colon)), text.slice(colon + 1).trim()];
}

/** One line: the step that failed, and why. */
function explain(error: unknown): string {
  if (error instanceof HandshakeRejectedError) {
    const { status, reason, body } = error.response;
    const [firstLine = ""] = Buffer.from(body).toString("utf8").split("\n");
    return `handshake: the server answered ${status} ${reason}${firstLine === "" ? "" : `: ${firstLine.slice(0, 200)}`}`;
  }
  if (error instanceof WebSocketError) {
    const step = "step" in error ? String(error.step) : error.fault === "local" ? "usage" : "handshake";
    return `${step}: ${error.message} (${error.code})`;
  }
  return error instanceof Error ? error.message : String(error);
}
