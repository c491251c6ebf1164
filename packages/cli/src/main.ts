import { Command, InvalidArgumentError, Option } from "commander";
import { createRequire } from "node:module";
import { connectCommand } from "./connect.ts";
import { serveCommand } from "./serve.ts";

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };

const program = new Command("tungstate")
  .description("WebSocket servers and clients on the command line")
  .version(version)
  .showHelpAfterError("(--help shows what can be said)");

program
  .command("serve")
  .description("run a server: a chat page at /, broadcasting at /ws, echo at /echo, figures at /metrics")
  .option("--host <address>", "the address to listen on; 0.0.0.0 or :: for all", "127.0.0.1")
  .option("--port <number>", "the port to listen on; 0 picks a free one", wholeNumber(0, 65_535), 8000)
  .option("--origin <origin...>", "pages that may connect, beside those served here (any: all pages)")
  .option("--max-connections <count>", "WebSocket connections at a time; more get 503", wholeNumber(0, 10_000_000))
  .option("--drain <seconds>", "how long clients have to go after SIGTERM or SIGINT", wholeNumber(0, 3600), 5)
  .addOption(
    new Option("--log-level <level>", "which log lines go to stderr")
      .choices(["silent", "error", "warn", "info", "debug"])
      .default("info"),
  )
  .action(serveCommand);

program
  .command("connect")
  .description("send each line of stdin as a text message, print each message received as a line")
  .argument("<url>", "ws:, wss: or ws+unix: URL")
  .option("-H, --header <name: value>", "a header field of the request; may be given several times", collect, [])
  .option("--protocol <name>", "a subprotocol to offer; may be given several times", collect, [])
  .option("--origin <origin>", "the Origin to send")
  .option("--timeout <seconds>", "how long connecting may take", wholeNumber(1, 86_400), 20)
  .option("-q, --quiet", "nothing on stderr but errors", false)
  .addHelpText(
    "after",
    "\nBinary messages are printed as base64 behind `base64:`, control characters as escapes.\nEnds with status 0 behind a Close with 1000; else with 1.",
  )
  .action(connectCommand);

function wholeNumber(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
  };
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

await program.parseAsync();
